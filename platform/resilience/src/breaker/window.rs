//! The calls that the rates are taken of.

use std::time::Duration;

use tokio::time::Instant;

use super::config::Window;

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
        self.calls -= 1;
        self.failures -= u32::from(failed);
        self.slow -= u32::from(slow);
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
    /// One tally for each slice of the time.
    Time { slices: [Tally; SLICES], current: usize, begun: Instant, slice: Duration },
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
                current: 0,
                begun: now,
                slice: time / SLICES as u32,
            },
        }
    }

    pub fn record(&mut self, failed: bool, slow: bool, now: Instant) {
        self.turn(now);
        match self {
            Self::Count { ring, next, size, tally } => {
                if ring.len() < *size {
                    ring.push((failed, slow));
                } else {
                    let (failed, slow) = std::mem::replace(&mut ring[*next], (failed, slow));
                    tally.take(failed, slow);
                    *next = (*next + 1) % *size;
                }
                tally.add(failed, slow);
            }
            Self::Time { slices, current, .. } => slices[*current].add(failed, slow),
        }
    }

    pub fn tally(&mut self, now: Instant) -> Tally {
        self.turn(now);
        match self {
            Self::Count { tally, .. } => *tally,
            Self::Time { slices, .. } => slices.iter().fold(Tally::default(), |all, slice| Tally {
                calls: all.calls + slice.calls,
                failures: all.failures + slice.failures,
                slow: all.slow + slice.slow,
            }),
        }
    }

    /// Whether a further call that is neither failed nor slow would change nothing: a full ring of
    /// such calls.
    pub fn is_calm(&self) -> bool {
        match self {
            Self::Count { ring, size, tally, .. } => {
                ring.len() == *size && tally.failures == 0 && tally.slow == 0
            }
            Self::Time { .. } => false,
        }
    }

    /// Forgets the slices that are over.
    fn turn(&mut self, now: Instant) {
        let Self::Time { slices, current, begun, slice } = self else { return };
        let over = now.saturating_duration_since(*begun).as_nanos() / slice.as_nanos();
        let over = u32::try_from(over).unwrap_or(u32::MAX);
        for _ in 0..over.min(SLICES as u32) {
            *current = (*current + 1) % SLICES;
            slices[*current] = Tally::default();
        }
        *begun += *slice * over;
    }
}
