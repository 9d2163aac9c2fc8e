//! The calls that the rates are taken of.

use std::time::Duration;

use tokio::time::Instant;

use super::{config::Window, word::Good};

/// Slices of a time window.
const SLICES: usize = 10;

/// What is known of some calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub calls: u32,
    pub failures: u32,
    pub slow: u32,
}

impl Tally {
    pub fn add(&mut self, failed: bool, slow: bool) {
        self.calls += 1;
        self.failures += u32::from(failed);
        self.slow += u32::from(slow);
    }

    fn take(&mut self, failed: bool, slow: bool) {
        let call = Self { calls: 1, failures: failed.into(), slow: slow.into() };
        self.forget(call);
    }

    fn forget(&mut self, calls: Self) {
        self.calls -= calls.calls;
        self.failures -= calls.failures;
        self.slow -= calls.slow;
    }

    /// The share of failed and of slow calls; nothing below `from` calls.
    pub fn rates(&self, from: u32) -> Option<(f64, f64)> {
        let share = |part: u32| f64::from(part) / f64::from(self.calls);
        (self.calls >= from.max(1)).then(|| (share(self.failures), share(self.slow)))
    }
}

/// The calls of a window.
pub(super) enum Calls {
    /// A ring: whether each failed, and whether it was slow.
    Count { ring: Vec<(bool, bool)>, next: usize, size: usize, tally: Tally },
    /// One tally for each slice of the time, and that of all together.
    Time { slices: [Tally; SLICES], tally: Tally, current: usize, begun: Instant, slice: Duration },
}

impl Calls {
    pub fn empty(window: Window, now: Instant) -> Self {
        match window {
            Window::Count(size) => Self::Count {
                ring: Vec::new(),
                next: 0,
                size: size as usize,
                tally: Tally::default(),
            },
            Window::Time(time) => Self::Time {
                slices: Default::default(),
                tally: Tally::default(),
                current: 0,
                begun: now,
                slice: time / SLICES as u32,
            },
        }
    }

    pub fn record(&mut self, failed: bool, slow: bool, now: Instant) {
        self.turn(now);
        self.push(failed, slow);
    }

    fn push(&mut self, failed: bool, slow: bool) {
        match self {
            Self::Count { ring, next, size, tally } => {
                if ring.len() < *size {
                    ring.push((failed, slow));
                } else {
                    let (failed, slow) = std::mem::replace(&mut ring[*next], (failed, slow));
                    tally.take(failed, slow);
                    *next = if *next + 1 == *size { 0 } else { *next + 1 };
                }
                tally.add(failed, slow);
            }
            Self::Time { slices, current, tally, .. } => {
                slices[*current].add(failed, slow);
                tally.add(failed, slow);
            }
        }
    }

    pub fn tally(&mut self, now: Instant) -> Tally {
        self.turn(now);
        match self {
            Self::Count { tally, .. } | Self::Time { tally, .. } => *tally,
        }
    }

    /// What becomes of good calls, if from `rated` calls on they decide nothing.
    pub fn good_calls(&self, rated: u32) -> Good {
        match self {
            Self::Count { tally, .. } if tally.calls < rated => Good::Decides,
            Self::Count { size, tally, .. } => {
                let only_good = tally.failures == 0 && tally.slow == 0;
                let full = *size as u32;
                if only_good && tally.calls == full { Good::Dropped } else { Good::Counted(full) }
            }
            // When it came matters too, and what leaves the window may raise the rate.
            Self::Time { .. } => Good::Decides,
        }
    }

    /// Records so many good calls of a count window. Once it is full of them, more make no
    /// difference.
    pub fn good(&mut self, calls: u32) {
        let Self::Count { ring, next, size, tally } = self else { return };
        if calls as usize >= *size {
            ring.clear();
            ring.resize(*size, (false, false));
            *next = 0;
            *tally = Tally { calls: *size as u32, ..Tally::default() };
        } else {
            (0..calls).for_each(|_| self.push(false, false));
        }
    }

    /// Forgets the slices that are over.
    fn turn(&mut self, now: Instant) {
        let Self::Time { slices, tally, current, begun, slice } = self else { return };
        let since = now.saturating_duration_since(*begun);
        if since < *slice {
            return;
        }
        let over = since.as_nanos() / slice.as_nanos();
        for _ in 0..over.min(SLICES as u128) {
            *current = (*current + 1) % SLICES;
            tally.forget(std::mem::take(&mut slices[*current]));
        }
        // Slices begin at whole multiples of their length, whenever somebody looks.
        *begun += *slice * u32::try_from(over).unwrap_or(u32::MAX);
    }
}
