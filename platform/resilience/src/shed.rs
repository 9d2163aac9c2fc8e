//! Load shedding at the server: a limit on calls at work, and a refusal at once beyond it.

mod adaptive;
mod layer;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

pub use adaptive::AdaptiveConfig;
use adaptive::{Estimator, Sample};
pub use layer::{ShedLayer, ShedRule, Shedder};

use crate::invalid::demand;
use crate::{InvalidLimit, Outcome};

/// How many calls may be at work at the same time.
#[derive(Clone, Debug, PartialEq)]
pub enum Limit {
    /// Always this many; at least 1.
    Fixed(u32),
    /// As many as the measured latency bears.
    Adaptive(AdaptiveConfig),
}

impl Default for Limit {
    fn default() -> Self {
        Self::Adaptive(AdaptiveConfig::default())
    }
}

impl Limit {
    /// Whether the settings can be meant.
    ///
    /// # Errors
    /// Names the first field outside its limits, its value and what would be right.
    pub fn check(&self) -> Result<(), InvalidLimit> {
        match self {
            Self::Fixed(limit) => demand(*limit > 0, "limit", limit, "at least 1"),
            Self::Adaptive(config) => config.check(),
        }
    }
}

/// Admits calls up to a limit and refuses the others at once.
///
/// It never queues: a queue in front of a server that is too slow adds waiting to every call and
/// saves none. Clones share one limit. Long polls and other calls that wait on purpose do not
/// belong here: they would fill the limit and spoil the measured latency.
///
/// ```
/// use backline_resilience::{Limit, Outcome, Shed};
///
/// let shed = Shed::new(Limit::Fixed(1))?;
/// let call = shed.try_acquire().expect("there is a place");
/// let refused = shed.try_acquire().expect_err("the only place is taken");
/// assert_eq!(refused.to_string(), "overloaded: 1 of at most 1 calls at work");
/// call.done(Outcome::Success);
/// assert!(shed.try_acquire().is_ok());
/// # Ok::<(), backline_resilience::InvalidLimit>(())
/// ```
#[derive(Clone, Debug)]
pub struct Shed {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: AtomicU32,
    in_flight: AtomicU32,
    admitted: AtomicU64,
    refused: AtomicU64,
    estimator: Option<Mutex<Estimator>>,
}

/// A refusal: no work was done, so the call is safe to repeat elsewhere or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("overloaded: {in_flight} of at most {limit} calls at work")]
pub struct Overloaded {
    /// The limit at the moment of refusal.
    pub limit: u32,
    /// Calls at work at the moment of refusal; above `limit` for a while after that sank.
    pub in_flight: u32,
}

/// What a [`Shed`] looks like now, and has done since it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShedSnapshot {
    /// The limit now.
    pub limit: u32,
    /// Calls at work now.
    pub in_flight: u32,
    /// Calls admitted so far.
    pub admitted: u64,
    /// Calls refused so far.
    pub refused: u64,
}

impl Shed {
    /// A shed with nobody in it.
    ///
    /// # Errors
    /// When a setting lies outside its limits ([`Limit::check`]).
    pub fn new(limit: Limit) -> Result<Self, InvalidLimit> {
        limit.check()?;
        let (limit, estimator) = match limit {
            Limit::Fixed(limit) => (limit, None),
            Limit::Adaptive(config) => {
                (config.initial, Some(Mutex::new(Estimator::new(config, Instant::now()))))
            }
        };
        Ok(Self {
            shared: Arc::new(Shared {
                limit: AtomicU32::new(limit),
                in_flight: AtomicU32::new(0),
                admitted: AtomicU64::new(0),
                refused: AtomicU64::new(0),
                estimator,
            }),
        })
    }

    /// A place for one call, held until it is [done](Admitted::done) or dropped.
    ///
    /// # Errors
    /// At once, when all places are taken.
    pub fn try_acquire(&self) -> Result<Admitted, Overloaded> {
        let shared = &self.shared;
        let limit = shared.limit.load(Relaxed);
        let place = shared
            .in_flight
            .fetch_update(Relaxed, Relaxed, |taken| (taken < limit).then(|| taken + 1));
        match place {
            Ok(before) => {
                shared.admitted.fetch_add(1, Relaxed);
                // Only the adaptive limit pays for reading the clock.
                let since = shared.estimator.is_some().then(Instant::now);
                let place = Place { shared: shared.clone() };
                Ok(Admitted { place, since, in_flight: before + 1 })
            }
            Err(in_flight) => {
                shared.refused.fetch_add(1, Relaxed);
                Err(Overloaded { limit, in_flight })
            }
        }
    }

    /// The figures now. They are read one after another, so they may be a call apart.
    pub fn snapshot(&self) -> ShedSnapshot {
        let shared = &self.shared;
        ShedSnapshot {
            limit: shared.limit.load(Relaxed),
            in_flight: shared.in_flight.load(Relaxed),
            admitted: shared.admitted.load(Relaxed),
            refused: shared.refused.load(Relaxed),
        }
    }
}

/// A call at work. Dropping it frees its place and samples nothing.
#[derive(Debug)]
#[must_use = "dropping it frees the place"]
pub struct Admitted {
    place: Place,
    since: Option<Instant>,
    in_flight: u32,
}

impl Admitted {
    /// Ends the call: its latency teaches the adaptive limit, unless it is [`Outcome::Ignored`].
    pub fn done(self, outcome: Outcome) {
        let shared = &self.place.shared;
        let (Some(estimator), Some(since)) = (&shared.estimator, self.since) else { return };
        if outcome == Outcome::Ignored {
            return;
        }
        let now = Instant::now();
        let sample = Sample {
            latency: now - since,
            // The more crowded end of the call counts: its latency may be owed to either.
            in_flight: self.in_flight.max(shared.in_flight.load(Relaxed)),
            failed: outcome == Outcome::Failure,
        };
        let mut estimator = estimator.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = estimator.learn(now, sample) {
            shared.limit.store(limit, Relaxed);
        }
    }
}

/// A taken place; a type of its own so that no way out of a call can keep or free it twice.
#[derive(Debug)]
struct Place {
    shared: Arc<Shared>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.in_flight.fetch_sub(1, Relaxed);
    }
}
