//! A bulkhead: so many calls to one dependency at once, and a short wait for a place.
//!
//! Without it, a dependency that is slow takes every connection, task and buffer of its caller; a
//! pool that has a limit but no limit on the wait for it only moves the queue.

mod layer;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::timeout,
};

pub use self::layer::{BulkheadLayer, Walled, WalledError};

/// So many calls at once. Cheap to clone; clones share the places.
///
/// Who waits is served in the order of arrival. A wait that ends early, by time or because its
/// future is dropped, takes no place along.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// use std::time::Duration;
/// use backline_resilience::Bulkhead;
///
/// let bulkhead = Bulkhead::new(1, Duration::ZERO);
/// let place = bulkhead.acquire().await?;
/// assert!(bulkhead.acquire().await.is_err());
/// drop(place);
/// assert!(bulkhead.acquire().await.is_ok());
/// # Ok::<(), backline_resilience::Full>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Bulkhead(Arc<Inner>);

struct Inner {
    places: usize,
    max_wait: Duration,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    refused: AtomicU64,
}

/// A place; given back when dropped.
#[derive(Debug)]
#[must_use = "the place is given back at once"]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

/// No place came free in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// How many there are.
    pub places: usize,
    /// How long was waited.
    pub waited: Duration,
}

impl std::error::Error for Full {}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { places, waited } = self;
        write!(f, "all {places} places are taken, and none came free within {waited:?}")
    }
}

/// How full a bulkhead is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkheadSnapshot {
    /// Places in all.
    pub places: usize,
    /// Places taken.
    pub taken: usize,
    /// Calls that wait.
    pub waiting: usize,
    /// Calls refused in all.
    pub refused: u64,
}

/// Counts a wait until it ends, however it ends.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Bulkhead {
    /// `places` calls at once (0 counts as 1; tokio's semaphores have at most `usize::MAX >> 3`), and a
    /// wait of `max_wait` for one, which may be nothing. For 25 places and 100 ms, the 26th call
    /// waits up to 100 ms until one of the 25 has ended, and is refused otherwise.
    #[must_use]
    pub fn new(places: usize, max_wait: Duration) -> Self {
        let places = places.clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            places,
            max_wait,
            free: Arc::new(Semaphore::new(places)),
            waiting: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// Takes a place, or waits for one.
    ///
    /// # Errors
    /// [`Full`] when none came free within the longest wait.
    pub async fn acquire(&self) -> Result<Place, Full> {
        if let Some(place) = self.free_place() {
            return Ok(place);
        }
        let inner = &self.0;
        if !inner.max_wait.is_zero() {
            let _waiting = Waiting::begin(&inner.waiting);
            let free = timeout(inner.max_wait, inner.free.clone().acquire_owned()).await;
            if let Ok(Ok(permit)) = free {
                return Ok(Place { _permit: permit });
            }
        }
        Err(self.refuse(inner.max_wait))
    }

    /// Takes a place if one is free now and nobody waits for it.
    ///
    /// # Errors
    /// [`Full`] otherwise.
    pub fn try_acquire(&self) -> Result<Place, Full> {
        self.free_place().ok_or_else(|| self.refuse(Duration::ZERO))
    }

    fn free_place(&self) -> Option<Place> {
        match self.0.free.clone().try_acquire_owned() {
            Ok(permit) => Some(Place { _permit: permit }),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => None,
        }
    }

    fn refuse(&self, waited: Duration) -> Full {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
        Full { places: self.0.places, waited }
    }

    /// How full it is.
    #[must_use]
    pub fn snapshot(&self) -> BulkheadSnapshot {
        let inner = &self.0;
        BulkheadSnapshot {
            places: inner.places,
            taken: inner.places - inner.free.available_permits(),
            waiting: inner.waiting.load(Ordering::Relaxed),
            refused: inner.refused.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bulkhead").field(&self.snapshot()).finish()
    }
}
