//! When a closed breaker opens, to the call and to the millisecond.

use std::time::Duration;

use backline_resilience::{BreakerConfig, Open, Outcome, State, Window};
use tokio::time::advance;

use super::{breaker, call_of, calls, config, opened, state};

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn settings_out_of_range_are_named() {
    let wrong = |config: BreakerConfig| config.check().unwrap_err().to_string();
    let zero = Duration::ZERO;
    assert_eq!(
        wrong(BreakerConfig { window: Window::Count(0), ..config() }),
        "window is 0; it must be from 1 to 10,000 calls"
    );
    assert_eq!(
        wrong(BreakerConfig { window: Window::Time(SECOND - MOMENT), ..config() }),
        "window is 999ms; it must be from 1 s to an hour"
    );
    assert_eq!(
        wrong(BreakerConfig { minimum_calls: 0, ..config() }),
        "minimum_calls is 0; it must be at least 1"
    );
    assert_eq!(
        wrong(BreakerConfig { failure_rate: 0.0, ..config() }),
        "failure_rate is 0.0; it must be above 0, at most 1"
    );
    assert_eq!(
        wrong(BreakerConfig { slow_rate: f64::NAN, ..config() }),
        "slow_rate is NaN; it must be above 0, at most 1"
    );
    assert_eq!(
        wrong(BreakerConfig { slow_call: zero, ..config() }),
        "slow_call is 0ns; it must be above 0"
    );
    assert_eq!(
        wrong(BreakerConfig { open_for: zero, ..config() }),
        "open_for is 0ns; it must be above 0"
    );
    assert_eq!(
        wrong(BreakerConfig { probe_within: zero, ..config() }),
        "probe_within is 0ns; it must be above 0"
    );
    assert_eq!(
        wrong(BreakerConfig { probes: 10_001, ..config() }),
        "probes is 10001; it must be from 1 to 10,000"
    );
    assert!(BreakerConfig { failure_rate: 1.0, probes: 10_000, ..config() }.check().is_ok());
    assert!(BreakerConfig { window: Window::Count(10_000), ..config() }.check().is_ok());
    assert!(BreakerConfig { window: Window::Count(10_001), ..config() }.check().is_err());
    assert!(BreakerConfig { window: Window::Time(3600 * SECOND), ..config() }.check().is_ok());
    assert!(BreakerConfig { window: Window::Time(3601 * SECOND), ..config() }.check().is_err());
}

#[test]
fn the_defaults_are_resilience4js() {
    let config = BreakerConfig::default();
    assert_eq!((config.window, config.minimum_calls), (Window::Count(100), 100));
    assert_eq!((config.failure_rate, config.slow_rate), (0.5, 1.0));
    assert_eq!((config.slow_call, config.open_for), (60 * SECOND, 60 * SECOND));
    assert_eq!((config.probes, config.probe_within), (10, 60 * SECOND));
    assert!(config.check().is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_threshold_itself_opens() {
    let breaker = breaker(BreakerConfig { minimum_calls: 5, failure_rate: 0.6, ..config() });
    calls(&breaker, Outcome::Success, 2);
    calls(&breaker, Outcome::Failure, 2);
    assert_eq!(breaker.snapshot().failure_rate, None);
    calls(&breaker, Outcome::Failure, 1);
    let seen = breaker.snapshot();
    assert_eq!((seen.state, seen.opened, seen.epoch), (State::Open, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn half_of_the_calls_is_too_many_by_default_and_less_is_not() {
    let even = breaker(config());
    calls(&even, Outcome::Success, 2);
    calls(&even, Outcome::Failure, 2);
    assert_eq!(state(&even), State::Open);
    let fewer = breaker(BreakerConfig { minimum_calls: 5, ..config() });
    calls(&fewer, Outcome::Success, 3);
    calls(&fewer, Outcome::Failure, 2);
    assert_eq!(state(&fewer), State::Closed);
    assert_eq!(fewer.snapshot().failure_rate, Some(0.4));
}

#[tokio::test(start_paused = true)]
async fn a_good_call_that_completes_the_minimum_opens_too() {
    let breaker = breaker(config());
    calls(&breaker, Outcome::Failure, 3);
    assert_eq!(state(&breaker), State::Closed);
    calls(&breaker, Outcome::Success, 1);
    assert_eq!(state(&breaker), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_window_smaller_than_the_minimum_has_its_rate_when_full() {
    let small = breaker(BreakerConfig { window: Window::Count(3), minimum_calls: 100, ..config() });
    calls(&small, Outcome::Failure, 2);
    assert_eq!(state(&small), State::Closed);
    calls(&small, Outcome::Failure, 1);
    assert_eq!(state(&small), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_time_window_waits_for_the_whole_minimum() {
    let window = Window::Time(10 * SECOND);
    let breaker = breaker(BreakerConfig { window, minimum_calls: 20, ..config() });
    calls(&breaker, Outcome::Failure, 19);
    assert_eq!(state(&breaker), State::Closed);
    calls(&breaker, Outcome::Failure, 1);
    assert_eq!(state(&breaker), State::Open);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_call_leaves_a_count_window() {
    let breaker = breaker(config());
    calls(&breaker, Outcome::Success, 1);
    calls(&breaker, Outcome::Failure, 1);
    calls(&breaker, Outcome::Success, 8);
    assert_eq!((breaker.snapshot().calls, breaker.snapshot().failures), (10, 1));
    calls(&breaker, Outcome::Success, 1);
    assert_eq!((breaker.snapshot().calls, breaker.snapshot().failures), (10, 1));
    calls(&breaker, Outcome::Success, 1);
    assert_eq!((breaker.snapshot().calls, breaker.snapshot().failures), (10, 0));
    calls(&breaker, Outcome::Failure, 4);
    assert_eq!(state(&breaker), State::Closed);
    calls(&breaker, Outcome::Failure, 1);
    assert_eq!(state(&breaker), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_time_window_forgets_by_slices() {
    let window = Window::Time(10 * SECOND);
    let breaker = breaker(BreakerConfig { window, ..config() });
    calls(&breaker, Outcome::Failure, 1);
    advance(SECOND - MOMENT).await;
    calls(&breaker, Outcome::Failure, 1);
    advance(MOMENT).await;
    calls(&breaker, Outcome::Failure, 1);
    advance(9 * SECOND - MOMENT).await;
    assert_eq!(breaker.snapshot().failures, 3);
    advance(MOMENT).await;
    assert_eq!(breaker.snapshot().failures, 1);
    advance(SECOND - MOMENT).await;
    assert_eq!(breaker.snapshot().failures, 1);
    advance(MOMENT).await;
    assert_eq!(breaker.snapshot().failures, 0);
    calls(&breaker, Outcome::Failure, 2);
    advance(100 * SECOND).await;
    assert_eq!(breaker.snapshot().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_slow_only_beyond_the_limit() {
    let breaker = breaker(config());
    call_of(&breaker, Outcome::Success, SECOND).await;
    assert_eq!(breaker.snapshot().slow, 0);
    call_of(&breaker, Outcome::Success, SECOND + MOMENT).await;
    let seen = breaker.snapshot();
    assert_eq!((seen.calls, seen.slow, seen.failures), (2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn slow_calls_open_whatever_they_came_to() {
    let breaker = breaker(BreakerConfig { slow_rate: 0.75, failure_rate: 1.0, ..config() });
    call_of(&breaker, Outcome::Success, 2 * SECOND).await;
    call_of(&breaker, Outcome::Failure, 2 * SECOND).await;
    calls(&breaker, Outcome::Success, 1);
    assert_eq!(state(&breaker), State::Closed);
    call_of(&breaker, Outcome::Success, 2 * SECOND).await;
    assert_eq!(state(&breaker), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_is_not_slow_and_the_longest_limit_times_nothing() {
    let polled = breaker(config());
    let permit = polled.try_acquire().unwrap();
    advance(30 * SECOND).await;
    permit.record_untimed(Outcome::Success);
    assert_eq!((polled.snapshot().calls, polled.snapshot().slow), (1, 0));
    let untimed = breaker(BreakerConfig { slow_call: Duration::MAX, ..config() });
    call_of(&untimed, Outcome::Success, 3600 * SECOND).await;
    assert_eq!((untimed.snapshot().calls, untimed.snapshot().slow), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_ignored_or_dropped_call_is_not_counted() {
    let breaker = breaker(config());
    calls(&breaker, Outcome::Failure, 3);
    calls(&breaker, Outcome::Ignored, 5);
    call_of(&breaker, Outcome::Ignored, 2 * SECOND).await;
    drop(breaker.try_acquire().unwrap());
    let seen = breaker.snapshot();
    assert_eq!((seen.state, seen.calls, seen.slow), (State::Closed, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_window_of_good_calls_still_notices_the_first_bad_one() {
    let breaker = breaker(config());
    calls(&breaker, Outcome::Success, 50);
    assert_eq!(breaker.snapshot().calls, 10);
    calls(&breaker, Outcome::Failure, 4);
    assert_eq!((breaker.snapshot().calls, breaker.snapshot().failures), (10, 4));
    calls(&breaker, Outcome::Failure, 1);
    assert_eq!(state(&breaker), State::Open);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_says_when_it_probes() {
    let breaker = opened(config());
    advance(4 * SECOND).await;
    let refusal = breaker.try_acquire().unwrap_err();
    let retry_after = Some(6 * SECOND);
    assert_eq!(refusal, Open { state: State::Open, retry_after, reason: None });
    assert_eq!(
        refusal.to_string(),
        "the breaker is open, as too many calls failed or were slow; it probes in 6.0 s"
    );
    assert_eq!(breaker.snapshot().refused, 1);
}

#[test]
fn a_breaker_is_named_with_its_state_when_printed() {
    let breaker = breaker(config());
    assert_eq!(format!("{breaker:?}"), "Breaker { state: Closed, .. }");
    assert_eq!(format!("{:?}", breaker.try_acquire().unwrap()), "Permit { epoch: 0, .. }");
}
