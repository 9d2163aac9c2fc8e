//! Any sequence of calls, waits and orders of an operator, against a model that keeps everything it
//! saw in lists and counts them anew each time.

use std::time::Duration;

use backline_resilience::{Breaker, BreakerConfig, Outcome, Permit, State, Window};
use proptest::prelude::*;
use tokio::time::advance;

use super::breaker;

#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire,
    /// A good call from end to end, as most are: it leads to windows that are full of them.
    Good,
    /// Ends one of the calls under way; nothing is a drop.
    End(usize, Option<Outcome>),
    EndUntimed(usize, Outcome),
    Wait(u64),
    ForceOpen,
    Disable,
    ObserveOnly,
    Reset,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        3 => Just(Outcome::Success),
        3 => Just(Outcome::Failure),
        1 => Just(Outcome::Ignored),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let waits =
        prop::sample::select(vec![1, 400, 500, 499, 999, 1000, 1001, 3000, 5000, 5001, 12_000]);
    prop_oneof![
        10 => Just(Step::Acquire),
        5 => Just(Step::Good),
        10 => (0..8_usize, prop::option::weighted(0.9, outcome())).prop_map(|(n, o)| Step::End(n, o)),
        1 => (0..8_usize, outcome()).prop_map(|(n, o)| Step::EndUntimed(n, o)),
        5 => waits.prop_map(Step::Wait),
        1 => prop::sample::select(vec![Step::ForceOpen, Step::Disable, Step::ObserveOnly]),
        1 => Just(Step::Reset),
    ]
}

fn configs() -> impl Strategy<Value = BreakerConfig> {
    let window = prop_oneof![
        (1..5_u32).prop_map(Window::Count),
        Just(Window::Time(Duration::from_secs(5))),
    ];
    (window, 1..5_u32, 1..4_u32, prop::bool::ANY).prop_map(
        |(window, minimum_calls, probes, timed)| BreakerConfig {
            window,
            minimum_calls,
            probes,
            failure_rate: 0.5,
            slow_call: if timed { Duration::from_secs(1) } else { Duration::MAX },
            slow_rate: 0.75,
            open_for: Duration::from_secs(5),
            probe_within: Duration::from_secs(3),
        },
    )
}

/// A call that is over: when, whether it failed, whether it was slow.
type Ended = (u64, bool, bool);

/// A call under way.
#[derive(Clone, Copy, PartialEq)]
struct Call {
    id: u64,
    epoch: u64,
    begun: u64,
}

/// Times are in milliseconds.
struct Model {
    config: BreakerConfig,
    now: u64,
    state: State,
    since: u64,
    epoch: u64,
    opened: u64,
    refused: u64,
    last_id: u64,
    /// Where the slices of a time window begin.
    origin: u64,
    seen: Vec<Ended>,
    probes: Vec<Call>,
    results: Vec<Ended>,
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Model {
    fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            now: 0,
            state: State::Closed,
            since: 0,
            epoch: 0,
            opened: 0,
            refused: 0,
            last_id: 0,
            origin: 0,
            seen: Vec::new(),
            probes: Vec::new(),
            results: Vec::new(),
        }
    }

    fn enter(&mut self, state: State) {
        self.opened += u64::from(state == State::Open);
        self.epoch += 1;
        (self.state, self.since, self.origin) = (state, self.now, self.now);
        (self.seen, self.probes, self.results) = (Vec::new(), Vec::new(), Vec::new());
    }

    /// The calls that count at present.
    fn counted(&mut self) -> Vec<Ended> {
        match self.config.window {
            _ if self.state == State::HalfOpen => self.results.clone(),
            Window::Count(most) => self.seen.iter().rev().take(most as usize).copied().collect(),
            Window::Time(time) => {
                let (slice, origin) = (ms(time) / 10, self.origin);
                let current = (self.now - origin) / slice;
                self.seen.retain(|(when, ..)| (when - origin) / slice + 10 > current);
                self.seen.clone()
            }
        }
    }

    fn rates(&mut self) -> Option<(f64, f64)> {
        let from = match self.config.window {
            _ if self.state == State::HalfOpen => self.config.probes.min(self.config.minimum_calls),
            Window::Count(most) => self.config.minimum_calls.min(most),
            Window::Time(_) => self.config.minimum_calls,
        };
        let counted = self.counted();
        let share = |part: usize| part as f64 / counted.len() as f64;
        let failed = counted.iter().filter(|(_, failed, _)| *failed).count();
        let slow = counted.iter().filter(|(_, _, slow)| *slow).count();
        (counted.len() >= from as usize).then(|| (share(failed), share(slow)))
    }

    fn decide(&mut self) {
        let Some((failed, slow)) = self.rates() else { return };
        let over = failed >= self.config.failure_rate || slow >= self.config.slow_rate;
        match self.state {
            State::Closed if over => self.enter(State::Open),
            State::HalfOpen => self.enter(if over { State::Open } else { State::Closed }),
            _ => {}
        }
    }

    fn acquire(&mut self) -> Option<Call> {
        if self.state == State::Open && self.now - self.since > ms(self.config.open_for) {
            self.enter(State::HalfOpen);
        }
        let limit = ms(self.config.probe_within);
        while self.probes.first().is_some_and(|probe| self.now - probe.begun > limit) {
            self.probes.remove(0);
            self.results.push((self.now, true, false));
            self.decide();
        }
        let passes = match self.state {
            State::Closed | State::Disabled | State::ObserveOnly => true,
            State::Open | State::ForcedOpen => false,
            State::HalfOpen => self.probes.len() + self.results.len() < self.config.probes as usize,
        };
        self.refused += u64::from(!passes);
        self.last_id += 1;
        let call = Call { id: self.last_id, epoch: self.epoch, begun: self.now };
        if passes && self.state == State::HalfOpen {
            self.probes.push(call);
        }
        passes.then_some(call)
    }

    fn end(&mut self, call: Call, outcome: Option<Outcome>, timed: bool) {
        if call.epoch != self.epoch {
            return;
        }
        let was_out = self.probes.contains(&call);
        self.probes.retain(|probe| *probe != call);
        let failed = match outcome {
            Some(Outcome::Success) => false,
            Some(Outcome::Failure) => true,
            Some(Outcome::Ignored) | None => return,
        };
        let slow = timed && self.now - call.begun > ms(self.config.slow_call);
        match self.state {
            State::HalfOpen if was_out => self.results.push((self.now, failed, slow)),
            State::Closed | State::ObserveOnly => self.seen.push((self.now, failed, slow)),
            _ => return,
        }
        self.decide();
    }
}

struct Pair<'a> {
    real: &'a Breaker,
    model: Model,
    under_way: Vec<(Permit<'a>, Call)>,
}

impl Pair<'_> {
    async fn take(&mut self, step: Step) {
        match step {
            Step::Acquire => match (self.real.try_acquire(), self.model.acquire()) {
                (Ok(permit), Some(call)) => self.under_way.push((permit, call)),
                (Err(refusal), None) => assert_eq!(refusal.state, self.model.state),
                (real, model) => panic!("{real:?}, but the model lets pass: {}", model.is_some()),
            },
            Step::Good => {
                let call = (self.real.try_acquire(), self.model.acquire());
                assert_eq!(call.0.is_ok(), call.1.is_some());
                if let (Ok(permit), Some(call)) = call {
                    permit.record(Outcome::Success);
                    self.model.end(call, Some(Outcome::Success), true);
                }
            }
            Step::End(nr, outcome) if nr < self.under_way.len() => {
                let (permit, call) = self.under_way.remove(nr);
                match outcome {
                    Some(outcome) => permit.record(outcome),
                    None => drop(permit),
                }
                self.model.end(call, outcome, true);
            }
            Step::EndUntimed(nr, outcome) if nr < self.under_way.len() => {
                let (permit, call) = self.under_way.remove(nr);
                permit.record_untimed(outcome);
                self.model.end(call, Some(outcome), false);
            }
            Step::End(..) | Step::EndUntimed(..) => {}
            Step::Wait(time) => {
                advance(Duration::from_millis(time)).await;
                self.model.now += time;
            }
            Step::ForceOpen => {
                self.real.force_open("");
                self.model.enter(State::ForcedOpen);
            }
            Step::Disable => {
                self.real.disable();
                self.model.enter(State::Disabled);
            }
            Step::ObserveOnly => {
                self.real.observe_only();
                self.model.enter(State::ObserveOnly);
            }
            Step::Reset => {
                self.real.reset();
                self.model.enter(State::Closed);
            }
        }
    }

    fn compare(&mut self) {
        let (seen, model) = (self.real.snapshot(), &mut self.model);
        assert_eq!((seen.state, seen.epoch, seen.opened), (model.state, model.epoch, model.opened));
        assert_eq!((seen.refused, seen.probes as usize), (model.refused, model.probes.len()));
        let counted = model.counted();
        let failures = counted.iter().filter(|(_, failed, _)| *failed).count();
        let slow = counted.iter().filter(|(_, _, slow)| *slow).count();
        let real = (seen.calls as usize, seen.failures as usize, seen.slow as usize);
        assert_eq!(real, (counted.len(), failures, slow));
        assert_eq!(seen.failure_rate.zip(seen.slow_rate), model.rates());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn it_does_what_the_model_does(
        config in configs(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut clock = tokio::runtime::Builder::new_current_thread();
        let clock = clock.enable_time().start_paused(true).build().unwrap();
        clock.block_on(async {
            let real = breaker(config.clone());
            let mut pair = Pair { real: &real, model: Model::new(config), under_way: Vec::new() };
            for step in steps {
                pair.take(step).await;
                pair.compare();
            }
        });
    }
}
