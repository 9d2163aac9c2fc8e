mod layer;
mod simulation;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use tokio::time::{Instant, advance};

use super::adaptive::{Estimator, Sample};
use super::{AdaptiveConfig, Limit, Overloaded, Shed};
use crate::Outcome;

fn fixed(limit: u32) -> Shed {
    Shed::new(Limit::Fixed(limit)).unwrap()
}

fn adaptive() -> Shed {
    Shed::new(Limit::default()).unwrap()
}

#[test]
fn full_places_are_refused_at_once_and_freed_by_done_and_by_drop() {
    let shed = fixed(2);
    let (first, second) = (shed.try_acquire().unwrap(), shed.try_acquire().unwrap());
    assert_eq!(shed.try_acquire().unwrap_err(), Overloaded { limit: 2, in_flight: 2 });
    first.done(Outcome::Success);
    let third = shed.try_acquire().unwrap();
    drop(second);
    third.done(Outcome::Ignored);
    let snapshot = shed.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.admitted, snapshot.refused), (0, 3, 1));
}

#[test]
fn clones_share_the_places() {
    let shed = fixed(1);
    let _call = shed.clone().try_acquire().unwrap();
    assert!(shed.try_acquire().is_err());
}

#[test]
fn settings_out_of_range_are_named() {
    let wrong = |limit: Limit| Shed::new(limit).unwrap_err().to_string();
    let config = AdaptiveConfig::default;
    let adaptive = |config| wrong(Limit::Adaptive(config));
    assert_eq!(wrong(Limit::Fixed(0)), "limit is 0; it must be at least 1");
    assert_eq!(adaptive(AdaptiveConfig { min: 0, ..config() }), "min is 0; it must be at least 1");
    assert_eq!(
        adaptive(AdaptiveConfig { max: 19, ..config() }),
        "max is 19; it must be at least `min`"
    );
    assert_eq!(
        adaptive(AdaptiveConfig { initial: 300, ..config() }),
        "initial is 300; it must be from `min` to `max`"
    );
    assert_eq!(
        adaptive(AdaptiveConfig { smoothing: 0.0, ..config() }),
        "smoothing is 0.0; it must be above 0 and at most 1"
    );
    assert_eq!(
        adaptive(AdaptiveConfig { tolerance: f64::NAN, ..config() }),
        "tolerance is NaN; it must be a number of at least 1"
    );
}

#[test]
fn a_fixed_limit_holds_among_threads() {
    const LIMIT: u32 = 3;
    let (shed, at_work, worst) = (fixed(LIMIT), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let Ok(call) = shed.try_acquire() else { continue };
                    worst.fetch_max(at_work.fetch_add(1, SeqCst) + 1, SeqCst);
                    std::thread::yield_now();
                    at_work.fetch_sub(1, SeqCst);
                    call.done(Outcome::Success);
                }
            });
        }
    });
    assert!(worst.load(SeqCst) <= LIMIT);
    let snapshot = shed.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.admitted + snapshot.refused), (0, 160_000));
}

/// So many rounds of calls that fill all places for `latency`.
async fn full_house(shed: &Shed, rounds: u32, latency: Duration, outcome: Outcome) {
    for _ in 0..rounds {
        let calls: Vec<_> = std::iter::from_fn(|| shed.try_acquire().ok()).collect();
        advance(latency).await;
        calls.into_iter().for_each(|call| call.done(outcome));
    }
}

const WELL: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn the_limit_rises_to_its_maximum_while_nothing_queues() {
    let shed = adaptive();
    full_house(&shed, 400, WELL, Outcome::Success).await;
    assert_eq!(shed.snapshot().limit, 200);
}

#[tokio::test(start_paused = true)]
async fn calls_given_up_or_ignored_teach_nothing() {
    let shed = adaptive();
    full_house(&shed, 400, WELL, Outcome::Ignored).await;
    assert_eq!(shed.snapshot().limit, 20);
    for _ in 0..400 {
        let calls: Vec<_> = std::iter::from_fn(|| shed.try_acquire().ok()).collect();
        advance(WELL).await;
        drop(calls);
    }
    assert_eq!(shed.snapshot().limit, 20);
    assert_eq!(shed.snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn idle_time_changes_nothing() {
    let shed = adaptive();
    full_house(&shed, 60, WELL, Outcome::Success).await;
    let before = shed.snapshot().limit;
    assert!(before > 40);
    advance(Duration::from_secs(3600)).await;
    assert_eq!(shed.snapshot().limit, before);
    full_house(&shed, 1, WELL, Outcome::Success).await;
    assert!(shed.snapshot().limit.abs_diff(before) <= 1);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_not_used_does_not_rise() {
    let shed = adaptive();
    for _ in 0..10_000 {
        let calls = [shed.try_acquire().unwrap(), shed.try_acquire().unwrap()];
        advance(WELL).await;
        calls.into_iter().for_each(|call| call.done(Outcome::Success));
    }
    assert_eq!(shed.snapshot().limit, 20);
}

// concurrency-limits 137: latencies that are all the same, as those of time-outs are, raised the
// limit to its maximum.
#[tokio::test(start_paused = true)]
async fn steady_time_outs_lower_the_limit_to_its_minimum() {
    let shed = adaptive();
    full_house(&shed, 60, WELL, Outcome::Success).await;
    full_house(&shed, 200, Duration::from_secs(5), Outcome::Failure).await;
    assert_eq!(shed.snapshot().limit, 20);
}

#[tokio::test(start_paused = true)]
async fn quick_failures_say_nothing_about_good_calls() {
    let shed = adaptive();
    full_house(&shed, 60, WELL, Outcome::Success).await;
    let before = shed.snapshot().limit;
    full_house(&shed, 1000, Duration::from_millis(1), Outcome::Failure).await;
    full_house(&shed, 20, WELL, Outcome::Success).await;
    assert!(shed.snapshot().limit >= before);
}

#[tokio::test(start_paused = true)]
async fn quick_failures_do_not_hide_that_good_calls_are_slow() {
    let shed = adaptive();
    full_house(&shed, 60, WELL, Outcome::Success).await;
    let before = shed.snapshot().limit;
    for _ in 0..10 {
        let calls: Vec<_> = std::iter::from_fn(|| shed.try_acquire().ok()).collect();
        let mut calls = calls.into_iter();
        let half = calls.len() / 2;
        calls.by_ref().take(half).for_each(|call| call.done(Outcome::Failure));
        advance(WELL * 5 / 2).await;
        calls.for_each(|call| call.done(Outcome::Success));
    }
    assert!(shed.snapshot().limit < before);
}

// Envoy 11579: calls that began in a crowd ended while the latency without queueing was measured,
// and raised it with each measurement.
#[tokio::test(start_paused = true)]
async fn calls_that_began_in_a_crowd_do_not_raise_the_latency_without_queueing() {
    let shed = adaptive();
    full_house(&shed, 60, WELL, Outcome::Success).await;
    assert!(shed.snapshot().limit > 40);
    for _ in 0..20 {
        // All but the last to come are given up, and those end without company.
        let mut calls: Vec<_> = std::iter::from_fn(|| shed.try_acquire().ok()).collect();
        advance(3 * WELL).await;
        drop(calls.drain(..calls.len() - 20));
        calls.into_iter().for_each(|call| call.done(Outcome::Success));
        if shed.snapshot().limit < 40 {
            break;
        }
    }
    // Had they raised it, two and a half times the latency would now pass for good.
    let before = shed.snapshot().limit;
    assert!(before < 40);
    full_house(&shed, 3, WELL * 5 / 2, Outcome::Success).await;
    assert!(shed.snapshot().limit < before);
}

#[test]
fn a_service_that_became_slower_for_good_gets_its_limit_back() {
    let (mut now, config) = (Instant::now(), AdaptiveConfig::default());
    let mut estimator = Estimator::new(config, now);
    let mut limit = 20;
    let mut rounds = |latency: Duration, rounds: u32| {
        for _ in 0..rounds {
            now += latency;
            for _ in 0..limit + 1 {
                let sample = Sample { latency, in_flight: limit, failed: false };
                limit = estimator.learn(now, sample).unwrap_or(limit);
            }
        }
        limit
    };
    assert_eq!(rounds(WELL, 400), 200);
    assert!(rounds(3 * WELL, 20) < 40);
    assert_eq!(rounds(3 * WELL, 400), 200);
}
