//! Growing pauses with jitter, so that a registry that comes back is not met by everybody at once.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The next pause: between half and all of a span that doubles each time.
    pub fn pause(&mut self) -> Duration {
        let span = self.next;
        self.next = (span * 2).min(self.longest);
        span.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_anew_after_a_reset() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second * 3);
        for span in [1, 2, 3, 3] {
            let pause = backoff.pause();
            assert!(pause >= second * span / 2 && pause <= second * span, "{pause:?} of {span} s");
        }
        backoff.reset();
        assert!(backoff.pause() <= second);
    }
}
