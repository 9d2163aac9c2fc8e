//! Probes: how many, what they decide, and that no call can leave a breaker stuck.

use std::time::Duration;

use backline_resilience::{BreakerConfig, Outcome, State};
use tokio::time::advance;

use super::{about_to_probe, breaker, call_of, calls, config, opened, state};

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn an_open_breaker_probes_strictly_after_its_time() {
    let breaker = opened(config());
    advance(10 * SECOND).await;
    let refusal = breaker.try_acquire().unwrap_err();
    assert_eq!((refusal.state, refusal.retry_after), (State::Open, Some(Duration::ZERO)));
    advance(MOMENT).await;
    assert_eq!(state(&breaker), State::Open, "only a call makes it probe");
    let _probe = breaker.try_acquire().unwrap();
    assert_eq!((state(&breaker), breaker.snapshot().probes), (State::HalfOpen, 1));
}

// resilience4j 2093, Hystrix 1781: a breaker that stayed open for good.
#[tokio::test(start_paused = true)]
async fn a_breaker_never_stays_open_however_often_its_probes_fail() {
    let breaker = opened(config());
    for round in 2..20 {
        advance(10 * SECOND + MOMENT).await;
        calls(&breaker, Outcome::Failure, 3);
        let seen = breaker.snapshot();
        assert_eq!((seen.state, seen.opened), (State::Open, round));
    }
    advance(3600 * SECOND).await;
    calls(&breaker, Outcome::Success, 3);
    let seen = breaker.snapshot();
    assert_eq!((seen.state, seen.calls), (State::Closed, 0));
}

// Polly 216, 239: all waiting calls went through at once when the breaker was half-open.
#[tokio::test(start_paused = true)]
async fn a_stampede_places_no_more_calls_than_probes() {
    let breaker = about_to_probe(config()).await;
    let mut placed: Vec<_> = (0..100).filter_map(|_| breaker.try_acquire().ok()).collect();
    assert_eq!(placed.len(), 3);
    let refusal = breaker.try_acquire().unwrap_err();
    assert_eq!((refusal.state, refusal.retry_after), (State::HalfOpen, None));
    assert_eq!(refusal.to_string(), "the breaker is half-open and its probes are under way");
    // A result takes its place with it: calls placed are bound, not calls under way.
    placed.pop().unwrap().record(Outcome::Success);
    assert!(breaker.try_acquire().is_err());
    assert_eq!((breaker.snapshot().probes, breaker.snapshot().calls), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn the_decision_falls_with_the_last_result_it_needs() {
    let breaker = about_to_probe(config()).await;
    calls(&breaker, Outcome::Success, 2);
    assert_eq!(state(&breaker), State::HalfOpen);
    assert_eq!(breaker.snapshot().failure_rate, None);
    calls(&breaker, Outcome::Success, 1);
    assert_eq!(state(&breaker), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn fewer_calls_than_probes_decide_when_the_minimum_is_smaller() {
    let breaker = about_to_probe(BreakerConfig { probes: 10, ..config() }).await;
    calls(&breaker, Outcome::Success, 3);
    assert_eq!(state(&breaker), State::HalfOpen);
    calls(&breaker, Outcome::Success, 1);
    assert_eq!(state(&breaker), State::Closed);
}

// Polly 2381: with a single probe, one unlucky call kept a healthy dependency away.
#[tokio::test(start_paused = true)]
async fn one_flaky_probe_does_not_decide_alone() {
    for (failures, expected) in [(1, State::Closed), (2, State::Open)] {
        let breaker = about_to_probe(config()).await;
        calls(&breaker, Outcome::Failure, failures);
        assert_eq!(state(&breaker), State::HalfOpen);
        calls(&breaker, Outcome::Success, 3 - failures);
        assert_eq!(state(&breaker), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn slow_probes_open_again() {
    let breaker = about_to_probe(config()).await;
    for _ in 0..3 {
        call_of(&breaker, Outcome::Success, SECOND + MOMENT).await;
    }
    assert_eq!(state(&breaker), State::Open);
}

// resilience4j 544: an error that was to be ignored used up a permitted call, until none was left.
#[tokio::test(start_paused = true)]
async fn an_ignored_probe_gives_its_place_back() {
    let breaker = about_to_probe(config()).await;
    calls(&breaker, Outcome::Ignored, 50);
    call_of(&breaker, Outcome::Ignored, 2 * SECOND).await;
    let seen = breaker.snapshot();
    assert_eq!((seen.state, seen.probes, seen.calls), (State::HalfOpen, 0, 0));
    calls(&breaker, Outcome::Success, 3);
    assert_eq!(state(&breaker), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_gives_its_place_back_once() {
    let breaker = about_to_probe(config()).await;
    let placed: Vec<_> = (0..3).map(|_| breaker.try_acquire().unwrap()).collect();
    drop(placed);
    assert_eq!(breaker.snapshot().probes, 0);
    let placed: Vec<_> = (0..100).filter_map(|_| breaker.try_acquire().ok()).collect();
    assert_eq!(placed.len(), 3);
}

// resilience4j 903, 935: calls that never returned left the breaker half-open for good.
#[tokio::test(start_paused = true)]
async fn a_probe_that_never_returns_counts_as_failed_after_its_time() {
    let breaker = about_to_probe(config()).await;
    let lost: Vec<_> = (0..3).map(|_| breaker.try_acquire().unwrap()).collect();
    advance(5 * SECOND).await;
    assert_eq!(breaker.try_acquire().unwrap_err().state, State::HalfOpen);
    advance(MOMENT).await;
    let refusal = breaker.try_acquire().unwrap_err();
    assert_eq!((refusal.state, refusal.retry_after), (State::Open, Some(10 * SECOND)));
    drop(lost);
    advance(10 * SECOND + MOMENT).await;
    calls(&breaker, Outcome::Success, 3);
    assert_eq!(state(&breaker), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_lost_probe_that_returns_after_all_is_not_counted_twice() {
    let breaker = about_to_probe(config()).await;
    let lost = breaker.try_acquire().unwrap();
    advance(5 * SECOND + MOMENT).await;
    let second = breaker.try_acquire().unwrap();
    assert_eq!((breaker.snapshot().calls, breaker.snapshot().failures), (1, 1));
    lost.record(Outcome::Success);
    assert_eq!((breaker.snapshot().calls, breaker.snapshot().failures), (1, 1));
    second.record(Outcome::Success);
    calls(&breaker, Outcome::Success, 1);
    assert_eq!(state(&breaker), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_call_that_finds_the_last_probe_lost_passes_if_the_rest_were_well() {
    let breaker = about_to_probe(config()).await;
    let _lost = breaker.try_acquire().unwrap();
    calls(&breaker, Outcome::Success, 2);
    advance(5 * SECOND + MOMENT).await;
    breaker.try_acquire().unwrap().record(Outcome::Success);
    let seen = breaker.snapshot();
    assert_eq!((seen.state, seen.calls, seen.refused), (State::Closed, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_probe_may_take_for_ever() {
    let breaker = about_to_probe(BreakerConfig { probe_within: Duration::MAX, ..config() }).await;
    let _placed: Vec<_> = (0..3).map(|_| breaker.try_acquire().unwrap()).collect();
    advance(1000 * SECOND).await;
    assert_eq!(breaker.try_acquire().unwrap_err().state, State::HalfOpen);
}

// Hystrix 1853, 1861: an old call that ended, or was cancelled, moved the half-open breaker.
#[tokio::test(start_paused = true)]
async fn a_call_from_before_the_opening_does_not_move_a_half_open_breaker() {
    let breaker = breaker(config());
    let old: Vec<_> = (0..6).map(|_| breaker.try_acquire().unwrap()).collect();
    calls(&breaker, Outcome::Failure, 4);
    advance(10 * SECOND + MOMENT).await;
    let probe = breaker.try_acquire().unwrap();
    for (nr, permit) in old.into_iter().enumerate() {
        match nr % 3 {
            0 => permit.record(Outcome::Success),
            1 => permit.record(Outcome::Failure),
            _ => drop(permit),
        }
    }
    let seen = breaker.snapshot();
    assert_eq!((seen.state, seen.probes, seen.calls), (State::HalfOpen, 1, 0));
    probe.record(Outcome::Success);
    assert_eq!(breaker.snapshot().calls, 1);
}

#[tokio::test(start_paused = true)]
async fn a_probe_of_an_earlier_round_does_not_move_a_later_one() {
    let breaker = about_to_probe(BreakerConfig { probe_within: 60 * SECOND, ..config() }).await;
    let (old, forgotten, dropped) = {
        let (old, forgotten) = (breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap());
        breaker.force_open("maintenance");
        breaker.reset();
        calls(&breaker, Outcome::Failure, 4);
        advance(10 * SECOND + MOMENT).await;
        (old, forgotten, breaker.try_acquire().unwrap())
    };
    let kept = breaker.try_acquire().unwrap();
    drop(forgotten);
    old.record(Outcome::Failure);
    assert_eq!((breaker.snapshot().probes, breaker.snapshot().calls), (2, 0));
    drop(dropped);
    kept.record(Outcome::Success);
    assert_eq!((breaker.snapshot().probes, breaker.snapshot().calls), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_late_probe_does_not_count_for_the_closed_breaker() {
    let breaker = about_to_probe(BreakerConfig { probes: 5, ..config() }).await;
    let late = breaker.try_acquire().unwrap();
    calls(&breaker, Outcome::Success, 4);
    assert_eq!(state(&breaker), State::Closed);
    late.record(Outcome::Failure);
    assert_eq!(breaker.snapshot().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_late_success_does_not_hide_in_a_window_of_good_calls() {
    let breaker = breaker(config());
    let late = breaker.try_acquire().unwrap();
    breaker.reset();
    calls(&breaker, Outcome::Success, 9);
    late.record(Outcome::Success);
    assert_eq!(breaker.snapshot().calls, 9);
}
