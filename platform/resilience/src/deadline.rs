//! The end of the time for something, and a layer that keeps it.

mod layer;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use tokio::time::{Instant, timeout_at};

pub use self::layer::{Late, LateError, TimeoutLayer};

/// The moment after which nobody waits any more. What is done on the way to an answer shares it, so
/// that many short steps cannot take longer together than the whole may.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use backline_resilience::Deadline;
///
/// let deadline = Deadline::after(Duration::from_millis(20));
/// assert_eq!(deadline.within(async { 7 }).await, Ok(7));
/// assert!(deadline.within(std::future::pending::<()>()).await.is_err());
/// assert!(deadline.is_over());
/// # });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

/// As good as no end, and within the reach of any clock.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

impl std::error::Error for TimedOut {}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its time was over")
    }
}

impl Deadline {
    /// So long from now; a time that no clock can hold counts as thirty years.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        let now = Instant::now();
        Self(now.checked_add(time).unwrap_or_else(|| now + FOR_EVER))
    }

    /// At this moment.
    #[must_use]
    pub fn at(moment: Instant) -> Self {
        Self(moment)
    }

    /// The moment.
    #[must_use]
    pub fn moment(self) -> Instant {
        self.0
    }

    /// How long is left; nothing when it is over. This is what travels downstream: a duration needs
    /// no clocks that agree.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.remaining().is_zero()
    }

    /// The earlier of the two.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        self.min(other)
    }

    /// Waits for `work`, and drops it when the time is over. Work that comes too late is not begun.
    ///
    /// # Errors
    /// [`TimedOut`] then.
    pub async fn within<T>(self, work: impl Future<Output = T>) -> Result<T, TimedOut> {
        // The timeout alone would still let through what is ready at once.
        if self.is_over() {
            return Err(TimedOut);
        }
        timeout_at(self.0, work).await.map_err(|_| TimedOut)
    }
}
