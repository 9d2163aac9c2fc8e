//! The circuit breaker, by its public face and a clock that stands still. Bugs that others have
//! filed carry the project and the number.

#![cfg(test)]

mod closed;
mod half_open;
mod layer;
mod model;
mod operator;

use std::time::Duration;

use backline_resilience::{Breaker, BreakerConfig, Outcome, State, Window};
use tokio::time::advance;

/// Small and round: four calls of ten, ten seconds, three probes.
fn config() -> BreakerConfig {
    BreakerConfig {
        window: Window::Count(10),
        minimum_calls: 4,
        slow_call: Duration::from_secs(1),
        open_for: Duration::from_secs(10),
        probes: 3,
        probe_within: Duration::from_secs(5),
        ..BreakerConfig::default()
    }
}

fn breaker(config: BreakerConfig) -> Breaker {
    Breaker::new(config).unwrap()
}

fn calls(breaker: &Breaker, outcome: Outcome, count: usize) {
    for _ in 0..count {
        breaker.try_acquire().unwrap().record(outcome);
    }
}

/// A call that takes this long.
async fn call_of(breaker: &Breaker, outcome: Outcome, time: Duration) {
    let permit = breaker.try_acquire().unwrap();
    advance(time).await;
    permit.record(outcome);
}

fn state(breaker: &Breaker) -> State {
    breaker.snapshot().state
}

fn opened(config: BreakerConfig) -> Breaker {
    let breaker = breaker(config);
    calls(&breaker, Outcome::Failure, 4);
    assert_eq!(state(&breaker), State::Open);
    breaker
}

/// A breaker whose next call is its first probe.
async fn about_to_probe(config: BreakerConfig) -> Breaker {
    let open_for = config.open_for;
    let breaker = opened(config);
    advance(open_for + Duration::from_millis(1)).await;
    breaker
}
