//! How long a process that died stays down.
//!
//! The first death costs nothing: the process is back at once. One that keeps dying young waits
//! longer each time, so that a broken service does not take the machine from the others, and with
//! jitter, so that several which died of the same cause do not come back in step.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// A life this long says that the start itself is fine: the count begins anew.
const LONG_LIFE: Duration = Duration::from_secs(30);

/// The quick deaths of one process, in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    quick_deaths: u32,
}

impl Backoff {
    /// How long to wait after a life of `lived`. `jitter` is between 0 and 1; half of the wait is
    /// fixed, the other half is scaled by it.
    pub fn after(&mut self, lived: Duration, jitter: f64) -> Duration {
        if lived >= LONG_LIFE {
            self.quick_deaths = 0;
        }
        self.quick_deaths = self.quick_deaths.saturating_add(1);
        match self.quick_deaths {
            1 => Duration::ZERO,
            // The cap on the exponent only keeps the multiplication in range.
            n => (FIRST * 2_u32.pow((n - 2).min(10))).min(LONGEST).mul_f64(0.5 + jitter / 2.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(lives: &[u64], jitter: f64) -> Vec<u128> {
        let mut backoff = Backoff::default();
        lives.iter().map(|s| backoff.after(Duration::from_secs(*s), jitter).as_millis()).collect()
    }

    #[test]
    fn the_first_death_costs_nothing_and_the_next_ones_ever_more() {
        assert_eq!(waits(&[1; 10], 1.0), [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    }

    #[test]
    fn a_long_life_is_forgiven() {
        assert_eq!(waits(&[1, 1, 1, 30, 1], 1.0), [0, 100, 200, 0, 100]);
    }

    #[test]
    fn jitter_takes_at_most_half_of_the_wait() {
        assert_eq!(waits(&[0; 3], 0.0), [0, 50, 100]);
    }

    #[test]
    fn a_process_that_never_lives_long_stays_at_the_longest_wait() {
        assert_eq!(waits(&[0; 5000], 1.0).last(), Some(&10_000));
    }
}
