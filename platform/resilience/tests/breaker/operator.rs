//! States that somebody asks for, and who is told of a change.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use backline_resilience::{Open, Outcome, State};
use tokio::time::advance;

use super::{about_to_probe, breaker, call_of, calls, config, state};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn forced_open_refuses_with_its_reason_until_the_reset() {
    let breaker = breaker(config());
    breaker.force_open("new disks");
    advance(24 * 3600 * SECOND).await;
    let refusal = breaker.try_acquire().unwrap_err();
    let reason = Some(Arc::from("new disks"));
    assert_eq!(refusal, Open { state: State::ForcedOpen, retry_after: None, reason });
    assert_eq!(refusal.to_string(), "the breaker is open: new disks");
    assert_eq!((breaker.snapshot().opened, breaker.snapshot().refused), (0, 1));
    assert_eq!(breaker.snapshot().reason.as_deref(), Some("new disks"));
    breaker.reset();
    calls(&breaker, Outcome::Success, 1);
    let seen = breaker.snapshot();
    assert_eq!((seen.state, seen.calls, seen.reason), (State::Closed, 1, None));
}

#[tokio::test(start_paused = true)]
async fn disabled_lets_all_pass_and_sees_nothing() {
    let breaker = breaker(config());
    breaker.disable();
    calls(&breaker, Outcome::Failure, 100);
    call_of(&breaker, Outcome::Success, 2 * SECOND).await;
    let seen = breaker.snapshot();
    assert_eq!((seen.state, seen.calls, seen.epoch), (State::Disabled, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn observing_lets_all_pass_and_sees_everything() {
    let breaker = breaker(config());
    breaker.observe_only();
    calls(&breaker, Outcome::Failure, 100);
    calls(&breaker, Outcome::Success, 5);
    let seen = breaker.snapshot();
    assert_eq!((seen.state, seen.calls, seen.failures), (State::ObserveOnly, 10, 5));
    assert_eq!(seen.failure_rate, Some(0.5));
    breaker.reset();
    assert_eq!((state(&breaker), breaker.snapshot().calls), (State::Closed, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reset_forgets_what_was_seen_and_what_is_under_way() {
    let breaker = breaker(config());
    calls(&breaker, Outcome::Failure, 3);
    let old = breaker.try_acquire().unwrap();
    breaker.reset();
    old.record(Outcome::Failure);
    let seen = breaker.snapshot();
    assert_eq!((seen.state, seen.calls, seen.epoch), (State::Closed, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_half_open_breaker_can_be_forced_open_and_keeps_no_probe() {
    let breaker = about_to_probe(config()).await;
    let probe = breaker.try_acquire().unwrap();
    breaker.force_open("no");
    assert_eq!(breaker.snapshot().probes, 0);
    probe.record(Outcome::Success);
    assert_eq!(state(&breaker), State::ForcedOpen);
}

#[tokio::test(start_paused = true)]
async fn clones_are_the_same_breaker() {
    let breaker = breaker(config());
    calls(&breaker.clone(), Outcome::Failure, 4);
    assert_eq!(state(&breaker), State::Open);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_change_is_kept() {
    let breaker = breaker(config());
    let begun = breaker.snapshot().since;
    advance(SECOND).await;
    calls(&breaker, Outcome::Failure, 4);
    assert_eq!(breaker.snapshot().since - begun, SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_listener_hears_each_change_and_may_use_the_breaker() {
    let breaker = breaker(config());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (log, own) = (heard.clone(), breaker.clone());
    breaker.on_change(move |from, to| {
        // With a lock held, each of these would never return.
        let seen = own.snapshot();
        drop(own.try_acquire());
        log.lock().unwrap().push((from, to, seen.state));
        if to == State::Disabled {
            own.on_change(|_, _| {});
            own.reset();
        }
    });
    calls(&breaker, Outcome::Failure, 4);
    advance(11 * SECOND).await;
    calls(&breaker, Outcome::Success, 3);
    breaker.force_open("maintenance");
    breaker.force_open("still");
    breaker.disable();
    let changes = [
        (State::Closed, State::Open),
        (State::Open, State::HalfOpen),
        (State::HalfOpen, State::Closed),
        (State::Closed, State::ForcedOpen),
        (State::ForcedOpen, State::Disabled),
    ];
    let heard = heard.lock().unwrap();
    assert_eq!(*heard, changes.map(|(from, to)| (from, to, to)));
    assert_eq!(state(&breaker), State::Closed);
}
