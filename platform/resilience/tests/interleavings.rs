//! The breaker under the orders in which threads can come to its lock and its atomics. Its sources
//! are compiled a second time, with shuttle's primitives in the place of the standard ones.
//!
//! Shuttle's threads take turns on one real thread, so that they all see the clock that is paused
//! there, and an order that fails can be run again. Whenever the lock is taken, the breaker itself
//! asserts that its fast word is true to what the lock guards.

#![cfg(test)]

#[path = "../src"]
mod sources {
    #[expect(
        dead_code,
        unused_imports,
        reason = "the layer and the words of errors have tests of their own"
    )]
    pub mod breaker;
    pub mod invalid;
    pub mod outcome;
}

/// What the breaker's sources take their locks and atomics from.
mod sync {
    pub(crate) use shuttle::sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    };

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

use std::{
    pin::pin,
    task::{Context, Waker},
    time::Duration,
};

use shuttle::thread;
use sources::{
    breaker::{Breaker, BreakerConfig, State, Window},
    invalid,
    invalid::InvalidLimit,
    outcome::Outcome,
};
use sync::{Arc, AtomicU64, Ordering};

/// Orders tried for each test, of each of two kinds.
const ORDERS: usize = 500;
const SECOND: Duration = Duration::from_secs(1);

fn in_many_orders(test: impl Fn() + Send + Sync + 'static) {
    let mut clock = tokio::runtime::Builder::new_current_thread();
    let clock = clock.enable_time().start_paused(true).build().unwrap();
    let _here = clock.enter();
    let test = Arc::new(test);
    let same = test.clone();
    shuttle::check_random(move || test(), ORDERS);
    shuttle::check_pct(move || same(), ORDERS, 3);
}

/// Opens with two failures of two, and closes with two good probes of two.
fn breaker() -> Breaker {
    Breaker::new(BreakerConfig {
        window: Window::Count(2),
        minimum_calls: 2,
        slow_call: Duration::MAX,
        open_for: SECOND,
        failure_rate: 1.0,
        probes: 2,
        probe_within: Duration::MAX,
        ..BreakerConfig::default()
    })
    .unwrap()
}

fn calls(breaker: &Breaker, outcome: Outcome, count: usize) {
    for _ in 0..count {
        breaker.try_acquire().unwrap().record(outcome);
    }
}

/// Opens it and lets its time pass: the next call is the first probe.
fn let_it_probe(breaker: &Breaker) {
    calls(breaker, Outcome::Failure, 2);
    assert_eq!(breaker.snapshot().state, State::Open);
    // The clock moves when this is polled; it then only makes room for other tasks.
    let advanced = pin!(tokio::time::advance(2 * SECOND));
    let _ = advanced.poll(&mut Context::from_waker(Waker::noop()));
}

/// Runs all of it at once, and waits for the end.
fn at_once(works: Vec<Box<dyn FnOnce() + Send>>) {
    let threads: Vec<_> = works.into_iter().map(thread::spawn).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn work(
    breaker: &Breaker,
    work: impl FnOnce(Breaker) + Send + 'static,
) -> Box<dyn FnOnce() + Send> {
    let breaker = breaker.clone();
    Box::new(move || work(breaker))
}

/// Calls placed: under way, and with their results in.
fn placed(breaker: &Breaker) -> u32 {
    let seen = breaker.snapshot();
    if seen.state == State::HalfOpen { seen.probes + seen.calls } else { 0 }
}

/// Calls that never return, until one is refused.
fn places_left(breaker: &Breaker) -> usize {
    std::iter::from_fn(|| breaker.try_acquire().ok().map(std::mem::forget)).take(9).count()
}

#[test]
fn calls_that_come_as_the_time_is_over_place_exactly_the_probes() {
    in_many_orders(|| {
        let breaker = breaker();
        let_it_probe(&breaker);
        let passed = Arc::new(AtomicU64::new(0));
        let call = |breaker: Breaker, passed: Arc<AtomicU64>| {
            if let Ok(permit) = breaker.try_acquire() {
                passed.fetch_add(1, Ordering::SeqCst);
                std::mem::forget(permit);
            }
        };
        let works = (0..4).map(|_| {
            let passed = passed.clone();
            work(&breaker, move |breaker| call(breaker, passed))
        });
        at_once(works.collect());
        assert_eq!(passed.load(Ordering::SeqCst), 2);
        let seen = breaker.snapshot();
        assert_eq!((seen.state, seen.probes, seen.epoch, seen.refused), (State::HalfOpen, 2, 2, 2));
    });
}

#[test]
fn probes_that_are_given_back_are_neither_lost_nor_doubled() {
    in_many_orders(|| {
        let breaker = breaker();
        let_it_probe(&breaker);
        let under_way = Arc::new(AtomicU64::new(0));
        let works = (0..4).map(|nr| {
            let under_way = under_way.clone();
            work(&breaker, move |breaker| {
                let Ok(permit) = breaker.try_acquire() else { return };
                assert!(under_way.fetch_add(1, Ordering::SeqCst) < 2);
                assert!(placed(&breaker) <= 2);
                under_way.fetch_sub(1, Ordering::SeqCst);
                if nr % 2 == 0 { drop(permit) } else { permit.record(Outcome::Ignored) }
            })
        });
        at_once(works.collect());
        assert_eq!((breaker.snapshot().probes, breaker.snapshot().calls), (0, 0));
        assert_eq!(places_left(&breaker), 2);
    });
}

#[test]
fn no_place_is_lost_when_results_meet_an_operator() {
    in_many_orders(|| {
        let breaker = breaker();
        let_it_probe(&breaker);
        let call = |nr: u8| {
            move |breaker: Breaker| {
                let Ok(permit) = breaker.try_acquire() else { return };
                assert!(placed(&breaker) <= 2);
                match nr {
                    0 => permit.record(Outcome::Success),
                    1 => permit.record(Outcome::Failure),
                    _ => drop(permit),
                }
                assert!(placed(&breaker) <= 2);
            }
        };
        at_once(vec![
            work(&breaker, call(0)),
            work(&breaker, call(1)),
            work(&breaker, call(2)),
            work(&breaker, |breaker| {
                breaker.force_open("maintenance");
                breaker.reset();
                for _ in 0..2 {
                    if let Ok(permit) = breaker.try_acquire() {
                        permit.record(Outcome::Failure);
                    }
                }
            }),
        ]);
        breaker.reset();
        let_it_probe(&breaker);
        assert_eq!(places_left(&breaker), 2);
    });
}

#[test]
fn results_that_meet_a_reset_never_move_the_state_after_it() {
    in_many_orders(|| {
        let breaker = breaker();
        let old = || {
            let ours = breaker.clone();
            let permit = Box::leak(Box::new(ours)).try_acquire().unwrap();
            Box::new(move || permit.record(Outcome::Failure)) as Box<dyn FnOnce() + Send>
        };
        at_once(vec![old(), old(), old(), work(&breaker, |breaker| breaker.reset())]);
        let seen = breaker.snapshot();
        assert_eq!((seen.state, seen.calls), (State::Closed, 0));
    });
}

#[test]
fn old_calls_that_meet_probes_never_move_the_half_open_breaker() {
    in_many_orders(|| {
        let breaker = breaker();
        let old = |outcome| {
            let ours = breaker.clone();
            let permit = Box::leak(Box::new(ours)).try_acquire().unwrap();
            Box::new(move || permit.record(outcome)) as Box<dyn FnOnce() + Send>
        };
        let (failed, ignored) = (old(Outcome::Failure), old(Outcome::Ignored));
        let_it_probe(&breaker);
        let probe = || work(&breaker, |breaker| calls(&breaker, Outcome::Success, 1));
        at_once(vec![failed, ignored, probe(), probe()]);
        let seen = breaker.snapshot();
        assert_eq!((seen.state, seen.epoch, seen.calls), (State::Closed, 3, 0));
    });
}

#[test]
fn a_failure_is_never_lost_among_good_calls_that_need_no_lock() {
    in_many_orders(|| {
        let breaker = breaker();
        calls(&breaker, Outcome::Success, 2);
        at_once(vec![
            work(&breaker, |breaker| calls(&breaker, Outcome::Success, 1)),
            work(&breaker, |breaker| calls(&breaker, Outcome::Failure, 1)),
        ]);
        let seen = breaker.snapshot();
        assert_eq!((seen.calls, seen.failures), (2, 1));
        calls(&breaker, Outcome::Success, 2);
        assert_eq!(breaker.snapshot().failures, 0);
        calls(&breaker, Outcome::Failure, 2);
        assert_eq!(breaker.snapshot().state, State::Open);
    });
}

/// From its first call on, good calls are counted without the lock.
fn counting(calls: u32) -> Breaker {
    let config = BreakerConfig { window: Window::Count(calls), ..BreakerConfig::default() };
    let config = BreakerConfig { minimum_calls: 1, failure_rate: 1.0, ..config };
    let breaker = Breaker::new(BreakerConfig { slow_call: Duration::MAX, ..config }).unwrap();
    self::calls(&breaker, Outcome::Success, 1);
    breaker
}

#[test]
fn no_call_is_lost_or_counted_twice_though_good_ones_need_no_lock() {
    in_many_orders(|| {
        let breaker = counting(100);
        let also = |work: fn(&Breaker)| -> Box<dyn FnOnce() + Send> {
            let breaker = breaker.clone();
            Box::new(move || work(&breaker))
        };
        at_once(vec![
            also(|breaker| calls(breaker, Outcome::Success, 3)),
            also(|breaker| calls(breaker, Outcome::Success, 2)),
            also(|breaker| calls(breaker, Outcome::Failure, 2)),
            also(|breaker| drop((breaker.snapshot(), breaker.snapshot()))),
        ]);
        let seen = breaker.snapshot();
        assert_eq!((seen.calls, seen.failures), (8, 2));
    });
}

#[test]
fn a_failure_stays_in_a_full_window_for_as_long_as_it_must() {
    in_many_orders(|| {
        let breaker = counting(6);
        calls(&breaker, Outcome::Success, 6);
        let also = |outcome, count| -> Box<dyn FnOnce() + Send> {
            let breaker = breaker.clone();
            Box::new(move || calls(&breaker, outcome, count))
        };
        at_once(vec![
            also(Outcome::Success, 3),
            also(Outcome::Success, 2),
            also(Outcome::Failure, 1),
        ]);
        assert_eq!((breaker.snapshot().calls, breaker.snapshot().failures), (6, 1));
        calls(&breaker, Outcome::Success, 6);
        assert_eq!(breaker.snapshot().failures, 0);
    });
}

#[test]
fn no_result_is_counted_in_a_later_epoch() {
    in_many_orders(|| {
        let breaker = counting(100);
        let outcomes = [Outcome::Success, Outcome::Success, Outcome::Failure];
        let results = outcomes.map(|outcome| {
            let breaker = breaker.clone();
            let (begun, wait) = shuttle::sync::mpsc::channel();
            let thread = thread::spawn(move || {
                let permit = breaker.try_acquire().unwrap();
                begun.send(()).unwrap();
                permit.record(outcome);
            });
            wait.recv().unwrap();
            thread
        });
        breaker.reset();
        calls(&breaker, Outcome::Success, 1);
        results.into_iter().for_each(|thread| thread.join().unwrap());
        // What came before the reset is forgotten with it, and what came after is late.
        let seen = breaker.snapshot();
        assert_eq!((seen.state, seen.epoch), (State::Closed, 1));
        assert_eq!((seen.calls, seen.failures), (1, 0));
    });
}
