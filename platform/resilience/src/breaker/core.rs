//! The state machine, one step at a time, under a lock.
//!
//! Each change of state begins a new epoch. A permit carries the epoch that it was given in, so
//! that the result of a call from an earlier state cannot move a later one.

use tokio::time::Instant;

use super::{
    Open,
    config::BreakerConfig,
    window::{Calls, Tally},
    word::Good,
};
use crate::sync::Arc;

/// What a breaker does at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It lets calls through and watches them.
    Closed,
    /// It refuses calls, for a time.
    Open,
    /// It lets some calls through to find out.
    HalfOpen,
    /// It refuses calls until somebody resets it.
    ForcedOpen,
    /// It lets calls through and does not watch them.
    Disabled,
    /// It lets calls through and watches them, and does nothing about what it sees.
    ObserveOnly,
}

pub(super) struct Core {
    pub config: BreakerConfig,
    pub state: State,
    pub epoch: u64,
    pub since: Instant,
    pub reason: Option<Arc<str>>,
    pub opened: u64,
    calls: Calls,
    probes: Probes,
}

/// The calls that a half-open breaker has let through.
#[derive(Default)]
struct Probes {
    next: u64,
    /// Those that have not come back, oldest first, with when they began.
    out: Vec<(u64, Instant)>,
    results: Tally,
}

/// What a call was let through as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    Call,
    Probe(u64),
}

impl Core {
    pub fn new(config: BreakerConfig, now: Instant) -> Self {
        Self {
            calls: Calls::empty(config.window, now),
            probes: Probes::default(),
            state: State::Closed,
            epoch: 0,
            since: now,
            reason: None,
            opened: 0,
            config,
        }
    }

    /// Begins a state, with nothing seen yet.
    pub fn enter(&mut self, state: State, reason: Option<Arc<str>>, now: Instant) {
        if state == State::Open {
            self.opened += 1;
        }
        self.state = state;
        self.epoch += 1;
        self.since = now;
        self.reason = reason;
        self.calls = Calls::empty(self.config.window, now);
        self.probes = Probes::default();
    }

    /// Lets a call pass and says as what, or says why not.
    pub fn admit(&mut self, now: Instant) -> Result<Pass, Open> {
        let open_since = now.saturating_duration_since(self.since);
        match self.state {
            State::Open if open_since > self.config.open_for => {
                self.enter(State::HalfOpen, None, now);
            }
            State::HalfOpen => self.expire_probes(now),
            _ => {}
        }
        let pass = match self.state {
            State::Closed | State::Disabled | State::ObserveOnly => Some(Pass::Call),
            State::Open | State::ForcedOpen => None,
            State::HalfOpen => self.admit_probe(now),
        };
        pass.ok_or_else(|| self.refusal(now))
    }

    fn refusal(&self, now: Instant) -> Open {
        let left = self.config.open_for.saturating_sub(now.saturating_duration_since(self.since));
        Open {
            state: self.state,
            retry_after: (self.state == State::Open).then_some(left),
            reason: self.reason.clone(),
        }
    }

    fn admit_probe(&mut self, now: Instant) -> Option<Pass> {
        let placed = self.probes.out.len() + self.probes.results.calls as usize;
        if placed >= self.config.probes as usize {
            return None;
        }
        let probe = self.probes.next;
        self.probes.next += 1;
        self.probes.out.push((probe, now));
        Some(Pass::Probe(probe))
    }

    /// Probes that never came back must not hold the decision up for ever.
    fn expire_probes(&mut self, now: Instant) {
        while let Some((_, begun)) = self.probes.out.first() {
            if now.saturating_duration_since(*begun) <= self.config.probe_within {
                return;
            }
            self.probes.out.remove(0);
            self.probe_result(true, false, now);
        }
    }

    /// Takes a call's result. That of an earlier epoch is dropped.
    pub fn record(&mut self, epoch: u64, pass: Pass, failed: bool, slow: bool, now: Instant) {
        if epoch != self.epoch || self.state == State::Disabled {
            return;
        }
        match pass {
            Pass::Probe(probe) => {
                if self.take_probe(probe) {
                    self.probe_result(failed, slow, now);
                }
            }
            Pass::Call => {
                self.calls.record(failed, slow, now);
                // A good call can open it too: the one that completes the minimum.
                if self.state == State::Closed && self.is_over(now) {
                    self.enter(State::Open, None, now);
                }
            }
        }
    }

    /// Gives a call's place back without a result.
    pub fn give_back(&mut self, epoch: u64, pass: Pass) {
        if let (true, Pass::Probe(probe)) = (epoch == self.epoch, pass) {
            self.take_probe(probe);
        }
    }

    fn take_probe(&mut self, probe: u64) -> bool {
        let place = self.probes.out.iter().position(|(id, _)| *id == probe);
        place.map(|place| self.probes.out.remove(place)).is_some()
    }

    fn probe_result(&mut self, failed: bool, slow: bool, now: Instant) {
        self.probes.results.add(failed, slow);
        if let Some(rates) = self.probes.results.rates(self.config.decided_from()) {
            let next = if self.exceeds(rates) { State::Open } else { State::Closed };
            self.enter(next, None, now);
        }
    }

    fn is_over(&mut self, now: Instant) -> bool {
        let rates = self.calls.tally(now).rates(self.config.rated_from());
        rates.is_some_and(|rates| self.exceeds(rates))
    }

    fn exceeds(&self, (failed, slow): (f64, f64)) -> bool {
        failed >= self.config.failure_rate || slow >= self.config.slow_rate
    }

    /// What was seen in this state.
    pub fn tally(&mut self, now: Instant) -> Tally {
        match self.state {
            State::HalfOpen => self.probes.results,
            _ => self.calls.tally(now),
        }
    }

    pub fn rates(&mut self, now: Instant) -> Option<(f64, f64)> {
        let from = match self.state {
            State::HalfOpen => self.config.decided_from(),
            _ => self.config.rated_from(),
        };
        self.tally(now).rates(from)
    }

    pub fn probes_out(&self) -> usize {
        self.probes.out.len()
    }

    /// Whether all calls pass.
    pub fn passes(&self) -> bool {
        matches!(self.state, State::Closed | State::Disabled | State::ObserveOnly)
    }

    /// What becomes of good calls from here on.
    pub fn good_calls(&self) -> Good {
        match self.state {
            State::Disabled => Good::Dropped,
            // Below the threshold, with a rate, a good call of a count window can only lower it.
            State::Closed => self.calls.good_calls(self.config.rated_from()),
            State::ObserveOnly => self.calls.good_calls(0),
            State::Open | State::HalfOpen | State::ForcedOpen => Good::Decides,
        }
    }

    /// Takes the good calls that were counted without the lock.
    pub fn good(&mut self, calls: u32) {
        if matches!(self.state, State::Closed | State::ObserveOnly) {
            self.calls.good(calls);
        }
    }
}
