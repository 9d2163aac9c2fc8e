//! A circuit breaker: it stops calling what keeps failing, and finds out by itself when it is well.

mod config;
mod core;
mod layer;
mod window;
mod word;

use std::{fmt, time::Duration};

use tokio::time::Instant;

pub use self::{
    config::{BreakerConfig, Window},
    core::State,
    layer::{BreakerLayer, Breaking, Broken},
};
use self::{
    core::{Core, Pass},
    word::Word,
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
    word: Word,
    refused: AtomicU64,
    slow_call: Duration,
    core: Mutex<Core>,
    listener: Mutex<Option<Listener>>,
}

/// The right to make one call. Dropped without a result, it counts as [`Outcome::Ignored`].
#[must_use = "a call that is let through has to tell what it came to"]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    epoch: u64,
    pass: Pass,
    /// Nothing where no call can be slow.
    begun: Option<Instant>,
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
        let slow_call = config.slow_call;
        let core = Core::new(config, Instant::now());
        Ok(Self(Arc::new(Inner {
            word: Word::new(core.epoch, core.passes(), core.good_calls()),
            refused: AtomicU64::new(0),
            slow_call,
            core: Mutex::new(core),
            listener: Mutex::new(None),
        })))
    }

    /// Asks to make a call.
    ///
    /// # Errors
    /// When the breaker is open, or half-open with all its probes under way.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<'_>, Open> {
        match self.0.word.passes() {
            Some(epoch) => Ok(self.permit(epoch, Pass::Call, None)),
            None => self.ask(),
        }
    }

    #[cold]
    fn ask(&self) -> Result<Permit<'_>, Open> {
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

    #[inline]
    fn permit(&self, epoch: u64, pass: Pass, now: Option<Instant>) -> Permit<'_> {
        let timed = self.0.slow_call != Duration::MAX;
        let begun = timed.then(|| now.unwrap_or_else(Instant::now));
        Permit { breaker: self, epoch, pass, begun }
    }

    /// What it has seen.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        let refused = self.0.refused.load(Ordering::Relaxed);
        self.change(|core| {
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
                refused,
                opened: core.opened,
                epoch: core.epoch,
            }
        })
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

    #[inline(never)]
    fn is_slow(&self, begun: Instant) -> (bool, Option<Instant>) {
        let now = Instant::now();
        (now.saturating_duration_since(begun) > self.0.slow_call, Some(now))
    }

    #[inline(never)]
    fn take_result(
        &self,
        epoch: u64,
        pass: Pass,
        (failed, slow): (bool, bool),
        now: Option<Instant>,
    ) {
        let now = now.unwrap_or_else(Instant::now);
        self.change(|core| core.record(epoch, pass, failed, slow, now));
    }

    /// Works on the state machine, keeps the word true to it, and tells of a change.
    fn change<T>(&self, work: impl FnOnce(&mut Core) -> T) -> T {
        let (result, before, after) = {
            let mut core = lock(&self.0.core);
            let before = (core.state, core.epoch);
            debug_assert!(self.0.word.holds(core.epoch, core.passes(), core.good_calls()));
            core.good(self.0.word.take());
            let result = work(&mut core);
            let since = self.0.word.put(core.epoch, core.passes(), core.good_calls());
            if core.epoch == before.1 {
                core.good(since);
            }
            (result, before.0, core.state)
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
    #[inline]
    pub fn record(self, outcome: Outcome) {
        let (slow, now) = match self.begun {
            Some(begun) => self.breaker.is_slow(begun),
            None => (false, None),
        };
        self.tell(outcome, slow, now);
    }

    /// Tells what the call came to, however long it took: for long polls.
    #[inline]
    pub fn record_untimed(self, outcome: Outcome) {
        self.tell(outcome, false, None);
    }

    #[inline(always)]
    fn tell(self, outcome: Outcome, slow: bool, now: Option<Instant>) {
        if outcome == Outcome::Ignored {
            return;
        }
        let (breaker, epoch, pass) = (self.breaker, self.epoch, self.pass);
        // What its drop would do is for calls without a result.
        std::mem::forget(self);
        let failed = outcome == Outcome::Failure;
        // The usual case by far: a good call that decides nothing.
        if !failed && !slow && pass == Pass::Call && breaker.0.word.count(epoch) {
            return;
        }
        breaker.take_result(epoch, pass, (failed, slow), now);
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.pass != Pass::Call {
            lock(&self.breaker.0.core).give_back(self.epoch, self.pass);
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}
