//! The wait before a retry.

use std::time::Duration;

/// Exponential waits with full jitter: anything from nothing to a ceiling that grows with each
/// retry, so that callers who failed together do not come back together (Marc Brooker,
/// "Exponential Backoff and Jitter", AWS Architecture Blog 2015).
///
/// The randomness is `fastrand`'s generator of the thread: `fastrand::seed` makes a test repeatable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The ceiling before the first retry. Default 25 ms; zero means no waits at all.
    pub base: Duration,
    /// What the ceiling is multiplied by from one retry to the next. Default 2.
    pub factor: u32,
    /// The ceiling never rises above this, and a server that asks for a longer wait
    /// ([`Retry::After`](crate::Retry::After)) is not tried again. Default 1 s.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(25), factor: 2, max: Duration::from_secs(1) }
    }
}

impl Backoff {
    /// The longest wait before retry number `retry`, counted from 1.
    pub fn ceiling(&self, retry: u32) -> Duration {
        let growth = self.factor.saturating_pow(retry.saturating_sub(1));
        self.base.saturating_mul(growth).min(self.max)
    }

    /// A wait before retry number `retry`, counted from 1: evenly spread up to the ceiling.
    pub fn delay(&self, retry: u32) -> Duration {
        self.ceiling(retry).mul_f64(fastrand::f64())
    }
}
