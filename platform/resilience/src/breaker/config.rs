//! When a breaker opens, and how it closes.

use std::time::Duration;

use crate::invalid::{InvalidLimit, demand};

/// The calls that a breaker takes its rates of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last so many calls; from 1 to 10,000.
    Count(u32),
    /// The calls of the last so long; from 1 s to an hour. Counted in ten slices: a call is
    /// forgotten up to a tenth of the window early.
    Time(Duration),
}

/// When a breaker opens, and how it closes. The defaults are resilience4j's (2.4).
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerConfig {
    /// The calls that the rates are taken of. Default the last 100.
    pub window: Window,
    /// Below so many calls in the window there is no rate; at least 1. A count window that is
    /// smaller has its rate when it is full. Default 100.
    pub minimum_calls: u32,
    /// The share of failed calls that opens the breaker, that share included; above 0, at most 1.
    /// Default 0.5.
    pub failure_rate: f64,
    /// A call that takes longer is slow, whatever its outcome; above 0. [`Duration::MAX`]: no call
    /// is slow, and none is timed. Default 60 s.
    pub slow_call: Duration,
    /// The share of slow calls that opens the breaker; above 0, at most 1. Default 1.
    pub slow_rate: f64,
    /// How long an open breaker refuses; the first call after it is a probe. Above 0. Default 60 s.
    pub open_for: Duration,
    /// How many calls a half-open breaker lets through before it decides; from 1 to 10,000.
    /// Default 10.
    pub probes: u32,
    /// A probe that has not come back after this time counts as failed, and no longer holds up the
    /// decision; above 0. Default 60 s.
    pub probe_within: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: Window::Count(100),
            minimum_calls: 100,
            failure_rate: 0.5,
            slow_call: Duration::from_secs(60),
            slow_rate: 1.0,
            open_for: Duration::from_secs(60),
            probes: 10,
            probe_within: Duration::from_secs(60),
        }
    }
}

impl BreakerConfig {
    /// Whether the settings can be meant.
    ///
    /// # Errors
    /// Names the first field outside its limits, its value and what would be right.
    pub fn check(&self) -> Result<(), InvalidLimit> {
        let share = |rate: f64| rate > 0.0 && rate <= 1.0;
        match &self.window {
            Window::Count(calls) => {
                demand((1..=10_000).contains(calls), "window", calls, "from 1 to 10,000 calls")?;
            }
            Window::Time(time) => {
                let range = Duration::from_secs(1)..=Duration::from_secs(3600);
                demand(range.contains(time), "window", time, "from 1 s to an hour")?;
            }
        }
        demand(self.minimum_calls > 0, "minimum_calls", &self.minimum_calls, "at least 1")?;
        let right = "above 0, at most 1";
        demand(share(self.failure_rate), "failure_rate", &self.failure_rate, right)?;
        demand(share(self.slow_rate), "slow_rate", &self.slow_rate, right)?;
        demand(!self.slow_call.is_zero(), "slow_call", &self.slow_call, "above 0")?;
        demand(!self.open_for.is_zero(), "open_for", &self.open_for, "above 0")?;
        demand(!self.probe_within.is_zero(), "probe_within", &self.probe_within, "above 0")?;
        demand((1..=10_000).contains(&self.probes), "probes", &self.probes, "from 1 to 10,000")
    }

    /// Calls in the window before there is a rate.
    pub(super) fn rated_from(&self) -> u32 {
        match self.window {
            Window::Count(calls) => self.minimum_calls.min(calls),
            Window::Time(_) => self.minimum_calls,
        }
    }

    /// Results of probes before there is a decision.
    pub(super) fn decided_from(&self) -> u32 {
        self.minimum_calls.min(self.probes)
    }
}
