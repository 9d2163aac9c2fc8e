//! Sending again what failed for a passing reason, with the same key, until nothing has gone on for
//! too long.

use std::{
    fmt,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::api::{Failure, Refusal};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often a row is sent at which the shop itself fails (500). Such a failure may be the shop's
/// bad moment or the row's fault; after this, it counts as the row's.
const MOST_SERVER_ERRORS: u32 = 4;
/// An outage that lasts longer is told.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// What all workers know of how it goes on.
#[derive(Debug)]
pub struct Course {
    patience: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// When something was last done.
    progressed: Instant,
    told: bool,
    halted: Option<Halted>,
}

/// Why an import ended before its end.
#[derive(Clone, Debug)]
pub enum Halted {
    /// Somebody asked.
    Interrupted,
    /// The shop did not answer for so long.
    GivenUp { patience: Duration, reason: String },
    /// What the shop is made of is not as expected.
    Refused { what: &'static str, reason: String },
}

impl Course {
    pub fn new(patience: Duration) -> Self {
        let state = State { progressed: Instant::now(), told: false, halted: None };
        Self { patience, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Ends everything; the first reason counts.
    pub fn halt(&self, reason: Halted) {
        self.state().halted.get_or_insert(reason);
        self.changed.notify_all();
    }

    pub fn halted(&self) -> Option<Halted> {
        self.state().halted.clone()
    }

    /// Does something until it is done or refused; `None` when everything was halted meanwhile.
    pub fn insist<T>(
        &self,
        tell: &dyn Fn(&str),
        mut attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Option<Result<T, Refusal>> {
        let mut pause = FIRST_PAUSE;
        let mut server_errors = 0;
        loop {
            if self.halted().is_some() {
                return None;
            }
            let (reason, wanted) = match attempt() {
                Ok(done) => {
                    self.note_progress();
                    return Some(Ok(done));
                }
                Err(Failure::Refused(refusal)) => {
                    server_errors += u32::from(refusal.is_server_error());
                    if !refusal.is_server_error() || server_errors == MOST_SERVER_ERRORS {
                        self.note_progress();
                        return Some(Err(refusal));
                    }
                    (refusal.to_string(), None)
                }
                Err(Failure::Away { reason, retry_after }) => (reason, retry_after),
            };
            // Workers that failed together come back one after another.
            let jittered = pause.mul_f64(0.5 + 0.5 * fraction());
            self.pause(tell, jittered.max(wanted.unwrap_or_default()), &reason);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn note_progress(&self) {
        let mut state = self.state();
        state.progressed = Instant::now();
        state.told = false;
    }

    /// Waits, or gives up when the patience is at its end. A shop that asks for more time than
    /// there is left is asked once more at the end.
    fn pause(&self, tell: &dyn Fn(&str), wanted: Duration, reason: &str) {
        let mut state = self.state();
        let idle = state.progressed.elapsed();
        if idle >= self.patience {
            let reason = reason.to_owned();
            state.halted.get_or_insert(Halted::GivenUp { patience: self.patience, reason });
            self.changed.notify_all();
            return;
        }
        if idle >= WORTH_TELLING && !state.told {
            state.told = true;
            let left = (self.patience - idle).as_secs();
            tell(&format!("waiting for the shop ({reason}); giving up in {left} s"));
        }
        let wait = wanted.min(self.patience - idle);
        let halted = |state: &mut State| state.halted.is_none();
        // Its answer does not matter: the caller looks at what was halted.
        drop(self.changed.wait_timeout_while(state, wait, halted));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Halted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => f.write_str("somebody stopped it"),
            Self::GivenUp { patience, reason } => write!(
                f,
                "nothing could be done for {} s ({reason}). Is the shop up? `--patience` waits longer",
                patience.as_secs()
            ),
            Self::Refused { what, reason } => write!(f, "{what} cannot be used: {reason}"),
        }
    }
}

/// Anything from 0 to 1: the clock's last digits are good enough to keep four workers apart.
fn fraction() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    f64::from(now.map_or(0, |now| now.subsec_nanos()) % 1_000) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENT: &dyn Fn(&str) = &|_| {};

    fn away() -> Failure {
        Failure::Away { reason: "refused".to_owned(), retry_after: None }
    }

    #[test]
    fn what_passes_is_tried_again() {
        let course = Course::new(Duration::from_secs(60));
        let mut attempts = 0;
        let done = course.insist(SILENT, || {
            attempts += 1;
            if attempts < 3 { Err(away()) } else { Ok(attempts) }
        });
        assert_eq!(done.and_then(Result::ok), Some(3));
    }

    #[test]
    fn patience_ends_and_then_everything_is_halted() {
        let course = Course::new(Duration::from_millis(1));
        let mut attempts = 0;
        let never = course.insist(SILENT, || {
            attempts += 1;
            Err::<(), _>(Failure::Away {
                reason: "refused".to_owned(),
                retry_after: Some(Duration::from_secs(3_600)),
            })
        });
        // Asked to come back in an hour, it asked once more at the end of its own time.
        assert!(never.is_none() && attempts == 2, "{attempts} attempts");
        assert!(matches!(course.halted(), Some(Halted::GivenUp { .. })));
        assert!(course.insist(SILENT, || Ok(())).is_none(), "nobody goes on after that");
    }

    #[test]
    fn a_wait_ends_when_somebody_stops_it() {
        let course = Course::new(Duration::from_secs(3_600));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                course.insist(SILENT, || {
                    Err::<(), _>(Failure::Away {
                        reason: "away".to_owned(),
                        retry_after: Some(Duration::from_secs(3_600)),
                    })
                })
            });
            course.halt(Halted::Interrupted);
            assert!(waiting.join().expect("it ends").is_none());
        });
    }
}
