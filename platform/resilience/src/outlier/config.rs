//! When a host is an outlier, and what follows.

use std::time::Duration;

use crate::InvalidLimit;
use crate::invalid::demand;

/// When a host is ejected, and for how long. The defaults are Envoy's.
#[derive(Clone, Debug, PartialEq)]
pub struct OutlierConfig {
    /// A host is ejected after this many failures in a row; at least 1. Default 5.
    pub consecutive_failures: u32,
    /// The first ejection's time; above 0. Default 30 s.
    ///
    /// The second lasts twice as long, and so on; each `interval` in between without an ejection
    /// takes one off.
    pub base_ejection: Duration,
    /// No ejection lasts longer; at least `base_ejection`. Default 300 s.
    pub max_ejection: Duration,
    /// The share of members that may be ejected at the same time; from 0 (none ever) to 1.
    /// Default 0.1.
    ///
    /// One of two or more members may always be ejected, and one always stays.
    pub max_ejected_ratio: f64,
    /// How often success rates are compared; above 0. Default 10 s.
    pub interval: Duration,
    /// Success rates are compared when at least this many hosts have one. Default 5.
    pub success_rate_hosts: usize,
    /// A host has a success rate when it got this many calls in the interval; at least 1.
    /// Default 100.
    pub success_rate_requests: u64,
    /// A host is ejected when its rate lies this many standard deviations below the mean of all;
    /// at least 1. Default 1.9.
    pub success_rate_stdev: f64,
}

impl Default for OutlierConfig {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            base_ejection: Duration::from_secs(30),
            max_ejection: Duration::from_secs(300),
            max_ejected_ratio: 0.1,
            interval: Duration::from_secs(10),
            success_rate_hosts: 5,
            success_rate_requests: 100,
            success_rate_stdev: 1.9,
        }
    }
}

impl OutlierConfig {
    /// Whether the settings can be meant.
    ///
    /// # Errors
    /// Names the first field outside its limits, its value and what would be right.
    pub fn check(&self) -> Result<(), InvalidLimit> {
        let Self { consecutive_failures, base_ejection, max_ejection, interval, .. } = self;
        let (above_zero, one) = ("above 0", "at least 1");
        demand(*consecutive_failures > 0, "consecutive_failures", consecutive_failures, one)?;
        demand(!base_ejection.is_zero(), "base_ejection", base_ejection, above_zero)?;
        let longer = max_ejection >= base_ejection;
        demand(longer, "max_ejection", max_ejection, "at least `base_ejection`")?;
        let ratio = &self.max_ejected_ratio;
        demand((0.0..=1.0).contains(ratio), "max_ejected_ratio", ratio, "from 0 to 1")?;
        demand(!interval.is_zero(), "interval", interval, above_zero)?;
        let requests = &self.success_rate_requests;
        demand(*requests > 0, "success_rate_requests", requests, one)?;
        let stdev = &self.success_rate_stdev;
        let far = *stdev >= 1.0 && stdev.is_finite();
        demand(far, "success_rate_stdev", stdev, "a number of at least 1")
    }

    /// Whether so many of the members may be ejected at the same time.
    pub(super) fn bears(&self, ejected: usize, members: usize) -> bool {
        let share = ejected as f64 / members as f64;
        let few = ejected == 1 && self.max_ejected_ratio > 0.0 || share <= self.max_ejected_ratio;
        ejected == 0 || few && ejected < members
    }
}
