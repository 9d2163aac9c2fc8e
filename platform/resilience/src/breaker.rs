//! A circuit breaker: it stops calling what keeps failing, and finds out by itself when it is well.

mod config;
mod core;
mod layer;
mod window;

use std::{fmt, time::Duration};

use tokio::time::Instant;

use self::core::{Core, Pass};
pub use self::{
    config::{BreakerConfig, Window},
    core::State,
    layer::{BreakerLayer, Breaking, Broken},
};
use crate::{
    InvalidLimit, Outcome,
    sync::{Arc, AtomicU64, Mutex, Ordering, lock},
};

type Listener = Arc<dyn Fn(State, State) + Send + Sync>;

/// Decides about the calls to one dependency. Cheap to clone; clones are the same breaker.
///
/// The semantics are those of resilience4j 2.4, with one change: a permit belongs to the state that
/// gave it, so that the late result of an old call never moves a new state.
///
/// ```
/// use backline_resilience::{Breaker, BreakerConfig, Outcome, State};
///
/// let breaker = Breaker::new(BreakerConfig { minimum_calls: 2, ..BreakerConfig::default() })?;
/// for _ in 0..2 {
///     breaker.try_acquire()?.record(Outcome::Failure);
/// }
/// assert_eq!(breaker.snapshot().state, State::Open);
/// assert!(breaker.try_acquire().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Breaker(Arc<Inner>);

struct Inner {
    /// Whether calls can pass without the lock, and the epoch: what the next call needs to know.
    /// Bit 0: the state lets all calls pass. Bit 1: a good call would change nothing. The rest is
    /// the epoch.
    fast: AtomicU64,
    refused: AtomicU64,
    slow_call: Duration,
    core: Mutex<Core>,
    listener: Mutex<Option<Listener>>,
}

const PASSES: u64 = 1;
const CALM: u64 = 2;
const EPOCH: u32 = 2;

fn fast_word(core: &Core) -> u64 {
    let passes = matches!(core.state, State::Closed | State::Disabled | State::ObserveOnly);
    let calm = core.state == State::Disabled || core.is_calm();
    (core.epoch << EPOCH) | if passes { PASSES } else { 0 } | if calm { CALM } else { 0 }
}

/// The right to make one call. Dropped without a result, it counts as [`Outcome::Ignored`].
#[must_use = "a call that is let through has to tell what it came to"]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    epoch: u64,
    pass: Pass,
    /// Nothing where no call can be slow.
    begun: Option<Instant>,
    told: bool,
}

/// The breaker refuses the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// `Open`, `HalfOpen` (as many probes as it takes are out) or `ForcedOpen`.
    pub state: State,
    /// When a probe has a chance; nothing where that depends on others.
    pub retry_after: Option<Duration>,
    /// What whoever opened it said.
    pub reason: Option<Arc<str>>,
}

impl std::error::Error for Open {}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.state, &self.reason) {
            (State::ForcedOpen, Some(reason)) => write!(f, "the breaker is open: {reason}"),
            (State::ForcedOpen, None) => f.write_str("the breaker was opened by hand"),
            (State::HalfOpen, _) => {
                f.write_str("the breaker is half-open and its probes are under way")
            }
            _ => write!(
                f,
                "the breaker is open, as too many calls failed or were slow; it probes in {:.1} s",
                self.retry_after.unwrap_or_default().as_secs_f64()
            ),
        }
    }
}

/// What a breaker has seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The state.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// What whoever caused it said.
    pub reason: Option<Arc<str>>,
    /// Calls in the window; of a half-open breaker, results of probes.
    pub calls: u32,
    /// Failed ones among them.
    pub failures: u32,
    /// Slow ones among them.
    pub slow: u32,
    /// Nothing below the minimum of calls.
    pub failure_rate: Option<f64>,
    /// Nothing below the minimum of calls.
    pub slow_rate: Option<f64>,
    /// Probes that are out.
    pub probes: u32,
    /// Calls refused in all.
    pub refused: u64,
    /// How often it has opened by itself.
    pub opened: u64,
    /// Grows by one with each change of state.
    pub epoch: u64,
}

impl Breaker {
    /// A closed breaker.
    ///
    /// # Errors
    /// When a setting lies outside its limits.
    pub fn new(config: BreakerConfig) -> Result<Self, InvalidLimit> {
        config.check()?;
        Ok(Self(Arc::new(Inner {
            fast: AtomicU64::new(PASSES),
            refused: AtomicU64::new(0),
            slow_call: config.slow_call,
            core: Mutex::new(Core::new(config, Instant::now())),
            listener: Mutex::new(None),
        })))
    }

    /// Asks to make a call.
    ///
    /// # Errors
    /// When the breaker is open, or half-open with all its probes under way.
    pub fn try_acquire(&self) -> Result<Permit<'_>, Open> {
        let fast = self.0.fast.load(Ordering::Acquire);
        if fast & PASSES != 0 {
            return Ok(self.permit(fast >> EPOCH, Pass::Call, None));
        }
        let now = Instant::now();
        let (admitted, epoch) = self.change(|core| (core.admit(now), core.epoch));
        match admitted {
            Ok(pass) => Ok(self.permit(epoch, pass, Some(now))),
            Err(refusal) => {
                self.0.refused.fetch_add(1, Ordering::Relaxed);
                Err(refusal)
            }
        }
    }

    fn permit(&self, epoch: u64, pass: Pass, now: Option<Instant>) -> Permit<'_> {
        let timed = self.0.slow_call != Duration::MAX;
        let begun = timed.then(|| now.unwrap_or_else(Instant::now));
        Permit { breaker: self, epoch, pass, begun, told: false }
    }

    /// What it has seen.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        let mut core = lock(&self.0.core);
        debug_assert_eq!(self.0.fast.load(Ordering::Acquire), fast_word(&core));
        let tally = core.tally(now);
        let rates = core.rates(now);
        Snapshot {
            state: core.state,
            since: core.since,
            reason: core.reason.clone(),
            calls: tally.calls,
            failures: tally.failures,
            slow: tally.slow,
            failure_rate: rates.map(|(failed, _)| failed),
            slow_rate: rates.map(|(_, slow)| slow),
            probes: u32::try_from(core.probes_out()).unwrap_or(u32::MAX),
            refused: self.0.refused.load(Ordering::Relaxed),
            opened: core.opened,
            epoch: core.epoch,
        }
    }

    /// Refuses all calls until it is reset: for maintenance.
    pub fn force_open(&self, reason: impl Into<Arc<str>>) {
        self.enter(State::ForcedOpen, Some(reason.into()));
    }

    /// Lets all calls pass, unwatched, until it is reset.
    pub fn disable(&self) {
        self.enter(State::Disabled, None);
    }

    /// Lets all calls pass and watches them, until it is reset.
    pub fn observe_only(&self) {
        self.enter(State::ObserveOnly, None);
    }

    /// Closes, with nothing seen.
    pub fn reset(&self) {
        self.enter(State::Closed, None);
    }

    /// Has `listener` told each change of state, from and to, after it happened; takes the place of
    /// the listener before. It may use the breaker.
    pub fn on_change(&self, listener: impl Fn(State, State) + Send + Sync + 'static) {
        *lock(&self.0.listener) = Some(Arc::new(listener));
    }

    fn enter(&self, state: State, reason: Option<Arc<str>>) {
        let now = Instant::now();
        self.change(|core| core.enter(state, reason, now));
    }

    /// Works on the state machine, keeps the fast word true to it, and tells of a change.
    fn change<T>(&self, work: impl FnOnce(&mut Core) -> T) -> T {
        let (result, before, after) = {
            let mut core = lock(&self.0.core);
            debug_assert_eq!(self.0.fast.load(Ordering::Acquire), fast_word(&core));
            let before = core.state;
            let result = work(&mut core);
            self.0.fast.store(fast_word(&core), Ordering::Release);
            (result, before, core.state)
        };
        if before != after {
            let listener = lock(&self.0.listener).clone();
            if let Some(listener) = listener {
                listener(before, after);
            }
        }
        result
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.snapshot();
        f.debug_struct("Breaker").field("state", &seen.state).finish_non_exhaustive()
    }
}

impl Permit<'_> {
    /// Tells what the call came to. It is slow if it took longer than the breaker's
    /// [`slow_call`](BreakerConfig::slow_call) from the permit on.
    pub fn record(self, outcome: Outcome) {
        let (now, slow) = match self.begun {
            Some(begun) => {
                let now = Instant::now();
                let took = now.saturating_duration_since(begun);
                (Some(now), took > self.breaker.0.slow_call)
            }
            None => (None, false),
        };
        self.tell(outcome, slow, now);
    }

    /// Tells what the call came to, however long it took: for long polls.
    pub fn record_untimed(self, outcome: Outcome) {
        self.tell(outcome, false, None);
    }

    fn tell(mut self, outcome: Outcome, slow: bool, now: Option<Instant>) {
        if outcome == Outcome::Ignored {
            return;
        }
        self.told = true;
        let failed = outcome == Outcome::Failure;
        if !failed && !slow && self.pass == Pass::Call {
            // The usual case by far: a good call in a calm window changes nothing.
            let fast = self.breaker.0.fast.load(Ordering::Acquire);
            if fast & CALM != 0 && fast >> EPOCH == self.epoch {
                return;
            }
        }
        let now = now.unwrap_or_else(Instant::now);
        let (epoch, pass) = (self.epoch, self.pass);
        self.breaker.change(|core| core.record(epoch, pass, failed, slow, now));
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.told && self.pass != Pass::Call {
            let (epoch, pass) = (self.epoch, self.pass);
            lock(&self.breaker.0.core).give_back(epoch, pass);
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}
