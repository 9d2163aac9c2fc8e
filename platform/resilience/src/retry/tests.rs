mod layer;

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{Backoff, BudgetConfig, RetryBudget};

const SECOND: Duration = Duration::from_secs(1);

fn budget(ratio: f64, reserve: u32) -> RetryBudget {
    RetryBudget::new(BudgetConfig { ratio, reserve, ..BudgetConfig::default() }).unwrap()
}

#[test]
fn the_ceiling_doubles_up_to_its_maximum() {
    let backoff = Backoff::default();
    let ceilings = [1, 2, 3, 6, 7, u32::MAX].map(|retry| backoff.ceiling(retry).as_millis());
    assert_eq!(ceilings, [25, 50, 100, 800, 1000, 1000]);
    let none = Backoff { base: Duration::ZERO, ..backoff };
    assert_eq!(none.delay(9), Duration::ZERO);
}

#[test]
fn waits_are_spread_over_everything_up_to_the_ceiling() {
    fastrand::seed(7);
    let backoff = Backoff::default();
    let waits: Vec<_> = (0..10_000).map(|_| backoff.delay(3)).collect();
    let ceiling = backoff.ceiling(3);
    assert!(waits.iter().all(|wait| *wait <= ceiling));
    for tenth in 0..10 {
        let range = ceiling * tenth / 10..ceiling * (tenth + 1) / 10;
        let count = waits.iter().filter(|wait| range.contains(wait)).count();
        assert!((850..1150).contains(&count), "{tenth}: {count}");
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let wrong = |config| RetryBudget::new(config).unwrap_err().to_string();
    let config = BudgetConfig::default;
    assert_eq!(
        wrong(BudgetConfig { ratio: 1.5, ..config() }),
        "ratio is 1.5; it must be from 0 to 1"
    );
    assert_eq!(
        wrong(BudgetConfig { ratio: f64::NAN, ..config() }),
        "ratio is NaN; it must be from 0 to 1"
    );
    assert_eq!(
        wrong(BudgetConfig { ttl: Duration::ZERO, ..config() }),
        "ttl is 0ns; it must be from 1 s to 60 s"
    );
}

#[test]
fn a_quiet_client_may_use_the_reserve_and_a_busy_one_its_share() {
    let (budget, now) = (budget(0.2, 10), Instant::now());
    let retries = || (0..1000).filter(|_| budget.try_withdraw_at(now)).count();
    budget.deposit_at(now);
    assert_eq!(retries(), 10);
    (0..199).for_each(|_| budget.deposit_at(now));
    assert_eq!(retries(), 30);
}

#[test]
fn calls_and_retries_are_forgotten_together() {
    let (budget, start) = (budget(0.5, 2), Instant::now());
    let retries =
        |after: Duration| (0..1000).filter(|_| budget.try_withdraw_at(start + after)).count();
    (0..100).for_each(|_| budget.deposit_at(start));
    assert_eq!(retries(Duration::ZERO), 50);
    assert_eq!(retries(9 * SECOND), 0);
    assert_eq!(retries(11 * SECOND), 2);
    assert_eq!(retries(20 * SECOND), 0);
    assert_eq!(retries(1000 * SECOND), 2);
}

#[test]
fn a_clock_that_was_read_too_early_does_no_harm() {
    let (budget, start) = (budget(0.2, 1), Instant::now());
    budget.deposit_at(start + 100 * SECOND);
    assert!(budget.try_withdraw_at(start));
    assert!(!budget.try_withdraw_at(start + 100 * SECOND));
}

#[test]
fn clones_share_the_budget() {
    let budget = budget(0.0, 1);
    assert!(budget.clone().try_withdraw());
    assert!(!budget.try_withdraw());
    let snapshot = budget.snapshot();
    assert_eq!((snapshot.retries, snapshot.left, snapshot.refused), (1, 0, 1));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Calls(u8),
    Failures(u8),
    Wait(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        any::<u8>().prop_map(Step::Calls),
        any::<u8>().prop_map(Step::Failures),
        (0u16..15_000).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    // The reference keeps every call and retry with its second, and counts them all each time.
    #[test]
    fn it_allows_what_a_plain_count_of_the_last_ten_seconds_allows(
        steps in steps(), ratio in 0.0..1.0, reserve in 0u32..20,
    ) {
        let (budget, start) = (budget(ratio, reserve), Instant::now());
        let mut time = Duration::ZERO;
        let (mut calls, mut retries) = (VecDeque::new(), VecDeque::new());
        for step in steps {
            let second = time.as_secs();
            match step {
                Step::Wait(ms) => time += Duration::from_millis(u64::from(ms)),
                Step::Calls(count) => for _ in 0..count {
                    budget.deposit_at(start + time);
                    calls.push_back(second);
                },
                Step::Failures(count) => for _ in 0..count {
                    calls.retain(|at| at + 10 > second);
                    retries.retain(|at| at + 10 > second);
                    let earned = (ratio * calls.len() as f64) as usize;
                    let allowed = retries.len() < earned.max(reserve as usize);
                    prop_assert_eq!(budget.try_withdraw_at(start + time), allowed);
                    if allowed { retries.push_back(second); }
                },
            }
        }
    }

    #[test]
    fn without_expiry_retries_never_exceed_the_ratio_of_calls_and_the_reserve(
        steps in steps(), ratio in 0.0..1.0, reserve in 0u32..20,
    ) {
        let (budget, start) = (budget(ratio, reserve), Instant::now());
        let (mut calls, mut retries) = (0u32, 0u32);
        let mut time = Duration::ZERO;
        for step in steps {
            match step {
                // All within one time to live.
                Step::Wait(ms) => time += Duration::from_millis(u64::from(ms) / 100),
                Step::Calls(count) => for _ in 0..count {
                    budget.deposit_at(start + time);
                    calls += 1;
                },
                Step::Failures(count) => for _ in 0..count {
                    retries += u32::from(budget.try_withdraw_at(start + time));
                },
            }
            prop_assert!(f64::from(retries) <= (ratio * f64::from(calls)).max(f64::from(reserve)));
        }
    }

    // With no reserve nothing is earned twice, however calls, failures and time are mixed.
    #[test]
    fn over_any_time_retries_never_exceed_the_ratio_of_calls(steps in steps(), ratio in 0.0..1.0) {
        let (budget, start) = (budget(ratio, 0), Instant::now());
        let (mut calls, mut retries) = (0u32, 0u32);
        let mut time = Duration::ZERO;
        for step in steps {
            match step {
                Step::Wait(ms) => time += Duration::from_millis(u64::from(ms)),
                Step::Calls(count) => for _ in 0..count {
                    budget.deposit_at(start + time);
                    calls += 1;
                },
                Step::Failures(count) => for _ in 0..count {
                    retries += u32::from(budget.try_withdraw_at(start + time));
                },
            }
            prop_assert!(f64::from(retries) <= ratio * f64::from(calls));
        }
    }
}
