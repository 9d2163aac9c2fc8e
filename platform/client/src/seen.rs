//! The latency seen lately, to be shown beside the limit.

use std::{sync::Mutex, time::Duration};

use hdrhistogram::Histogram;
use tokio::time::Instant;

use crate::sync::lock;

/// A summary is of the last one to two of these.
const SPAN: Duration = Duration::from_secs(30);
/// Longer ones count as this long.
const LONGEST_US: u64 = 3_600_000_000;

/// Two histograms in turn: the one that fills, and the one before.
pub(crate) struct Seen(Mutex<Option<Spans>>);

struct Spans {
    since: Instant,
    now: Histogram<u32>,
    before: Histogram<u32>,
}

/// The latency of the tries of the last 30 to 60 s, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct LatencySeen {
    /// How many there were.
    pub calls: u64,
    /// Half of them took no longer.
    pub p50: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Seen {
    pub fn new() -> Self {
        // Most dependencies of most processes are never called: no histogram before the first.
        Self(Mutex::new(None))
    }

    pub fn record(&self, took: Duration, now: Instant) {
        let mut spans = lock(&self.0);
        if spans.is_none() {
            *spans = Spans::starting(now);
        }
        let Some(spans) = spans.as_mut() else { return };
        spans.turn(now);
        let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US);
        spans.now.saturating_record(micros.max(1));
    }

    /// Nothing where there was no call lately.
    pub fn summary(&self, now: Instant) -> Option<LatencySeen> {
        let mut spans = lock(&self.0);
        let spans = spans.as_mut()?;
        spans.turn(now);
        let mut all = spans.before.clone();
        all.add(&spans.now).ok()?;
        let milliseconds = |micros: u64| Duration::from_micros(micros).as_secs_f64() * 1000.0;
        (!all.is_empty()).then(|| LatencySeen {
            calls: all.len(),
            p50: milliseconds(all.value_at_quantile(0.5)),
            p99: milliseconds(all.value_at_quantile(0.99)),
            max: milliseconds(all.max()),
        })
    }
}

impl Spans {
    fn starting(now: Instant) -> Option<Self> {
        let empty = Histogram::new_with_bounds(1, LONGEST_US, 2).ok()?;
        Some(Self { since: now, now: empty.clone(), before: empty })
    }

    fn turn(&mut self, now: Instant) {
        let spans = now.duration_since(self.since).as_secs() / SPAN.as_secs();
        if spans == 0 {
            return;
        }
        self.before.reset();
        if spans == 1 {
            std::mem::swap(&mut self.before, &mut self.now);
        }
        self.now.reset();
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_is_seen_is_of_the_last_minute() {
        let (seen, start) = (Seen::new(), Instant::now());
        assert_eq!(seen.summary(start), None);
        for _ in 0..99 {
            seen.record(MS, start);
        }
        seen.record(MS * 500, start);
        let summary = seen.summary(start + SPAN).unwrap();
        assert_eq!(summary.calls, 100);
        assert!((0.99..1.02).contains(&summary.p99), "{summary:?}");
        assert!((499.0..505.0).contains(&summary.max), "{summary:?}");
        seen.record(MS * 2, start + SPAN);
        let later = seen.summary(start + SPAN * 2).unwrap();
        assert_eq!(later.calls, 1);
        assert_eq!(seen.summary(start + SPAN * 5), None);
    }
}
