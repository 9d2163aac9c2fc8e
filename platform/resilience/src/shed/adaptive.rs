//! Gradient2, with two faults of its models mended.
//!
//! The limit follows the ratio between the latency without queueing and the latency now (Netflix
//! concurrency-limits, `Gradient2Limit`). There the former is a long average, which follows a
//! lasting overload upwards and takes the limit along. Here it is learnt only from calls that had
//! little company, so that no load can raise it.

use std::time::Duration;

use tokio::time::Instant;

use crate::InvalidLimit;
use crate::invalid::demand;

/// A window is not closed before this time: shorter ones would follow every ripple.
const WINDOW: Duration = Duration::from_millis(100);

/// What the limit may grow by, before smoothing, while nothing queues (there called queue size).
const HEADROOM: f64 = 4.0;

/// How much of a new measurement the latency without queueing takes over.
const LEARNING: f64 = 0.2;

/// How an adaptive limit moves.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptiveConfig {
    /// The limit to start with, in calls; from `min` to `max`. Default 20.
    pub initial: u32,
    /// The limit never sinks below this, in calls; at least 1. Default 20.
    ///
    /// It is also the number of calls that count as little company: only windows with no more
    /// calls at work may raise the latency without queueing. It should be no more than the server
    /// does side by side.
    pub min: u32,
    /// The limit never rises above this, in calls; at least `min`. Default 200.
    pub max: u32,
    /// The share of each new estimate that the limit takes over; above 0, at most 1. Default 0.2.
    pub smoothing: f64,
    /// How many times the latency without queueing is fine; at least 1. Default 1.5.
    ///
    /// A server that does `n` calls side by side gets a limit of about `n * tolerance`.
    pub tolerance: f64,
}

impl Default for AdaptiveConfig {
    fn default() -> Self {
        Self { initial: 20, min: 20, max: 200, smoothing: 0.2, tolerance: 1.5 }
    }
}

impl AdaptiveConfig {
    /// Whether the settings can be meant.
    ///
    /// # Errors
    /// Names the first field outside its limits, its value and what would be right.
    pub fn check(&self) -> Result<(), InvalidLimit> {
        demand(self.min > 0, "min", &self.min, "at least 1")?;
        demand(self.max >= self.min, "max", &self.max, "at least `min`")?;
        let between = (self.min..=self.max).contains(&self.initial);
        demand(between, "initial", &self.initial, "from `min` to `max`")?;
        let share = self.smoothing > 0.0 && self.smoothing <= 1.0;
        demand(share, "smoothing", &self.smoothing, "above 0 and at most 1")?;
        let tolerant = self.tolerance >= 1.0 && self.tolerance.is_finite();
        demand(tolerant, "tolerance", &self.tolerance, "a number of at least 1")
    }
}

/// One finished call.
pub(super) struct Sample {
    pub latency: Duration,
    /// Calls at work beside it and itself, at the more crowded of its two ends.
    pub in_flight: u32,
    pub failed: bool,
}

/// Learns from finished calls how many may be at work.
#[derive(Debug)]
pub(super) struct Estimator {
    config: AdaptiveConfig,
    /// The fraction is kept, else small steps would be lost.
    limit: f64,
    /// Seconds that a call takes when nothing queues; nothing is known before the first window.
    unloaded: Option<f64>,
    window: Window,
}

impl Estimator {
    pub fn new(config: AdaptiveConfig, now: Instant) -> Self {
        Self { limit: f64::from(config.initial), config, unloaded: None, window: Window::at(now) }
    }

    /// Takes in one call, and gives the limit anew when that closed a window.
    pub fn learn(&mut self, now: Instant, sample: Sample) -> Option<u32> {
        let seconds = sample.latency.as_secs_f64();
        // A failure quicker than good work did no work, and says nothing of how much there may be.
        if sample.failed && self.unloaded.is_none_or(|unloaded| seconds < unloaded) {
            return None;
        }
        self.window.take(seconds, &sample);
        // One call for each place is a round trip: fewer would be noise.
        if now < self.window.since + WINDOW || f64::from(self.window.calls.count) < self.limit {
            return None;
        }
        let window = std::mem::replace(&mut self.window, Window::at(now));
        self.unloaded = self.unloaded_after(&window);
        self.limit = self.limit_after(&window);
        // In 1..=u32::MAX by construction.
        Some(self.limit as u32)
    }

    /// Any window may lower it, but only one with little company may raise it.
    fn unloaded_after(&self, window: &Window) -> Option<f64> {
        let Some(known) = self.unloaded else { return window.good.average() };
        let Some(seen) = window.good.average() else { return Some(known) };
        let quiet = window.in_flight <= self.config.min;
        // Chance alone makes some windows quick, and to follow those down would end at the quickest
        // ever seen: it must be lower by more than two standard errors.
        let lower = seen + 2.0 * window.good.standard_error() < known;
        Some(if quiet || lower { known + (seen - known) * LEARNING } else { known })
    }

    fn limit_after(&self, window: &Window) -> f64 {
        let (Some(unloaded), Some(latency)) = (self.unloaded, window.calls.average()) else {
            return self.limit;
        };
        // A limit that nobody comes near has not been tried: it is left as it is.
        if f64::from(window.in_flight) < self.limit / 2.0 {
            return self.limit;
        }
        // At most halved at once, so that one odd window does not refuse everybody.
        let gradient = (self.config.tolerance * unloaded / latency).clamp(0.5, 1.0);
        // Headroom beside a gradient below 1 would outweigh a mild overload.
        let headroom = if gradient < 1.0 { 0.0 } else { HEADROOM };
        let aim = self.limit * gradient + headroom;
        let limit = self.limit + (aim - self.limit) * self.config.smoothing;
        limit.clamp(f64::from(self.config.min), f64::from(self.config.max))
    }
}

/// The calls since the limit was last thought over.
#[derive(Debug)]
struct Window {
    since: Instant,
    /// The most calls at work at the same time.
    in_flight: u32,
    calls: Latencies,
    /// Those among them that did not fail: a time-out is the client's patience, not the work.
    good: Latencies,
}

impl Window {
    fn at(since: Instant) -> Self {
        Self { since, in_flight: 0, calls: Latencies::default(), good: Latencies::default() }
    }

    fn take(&mut self, seconds: f64, sample: &Sample) {
        self.in_flight = self.in_flight.max(sample.in_flight);
        self.calls.take(seconds);
        if !sample.failed {
            self.good.take(seconds);
        }
    }
}

#[derive(Debug, Default)]
struct Latencies {
    sum: f64,
    squares: f64,
    count: u32,
}

impl Latencies {
    fn take(&mut self, seconds: f64) {
        self.sum += seconds;
        self.squares += seconds * seconds;
        self.count = self.count.saturating_add(1);
    }

    fn average(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }

    /// How far chance takes the average of so many calls.
    fn standard_error(&self) -> f64 {
        let count = f64::from(self.count.max(1));
        let average = self.sum / count;
        ((self.squares / count - average * average).max(0.0) / count).sqrt()
    }
}
