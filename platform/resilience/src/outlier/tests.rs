use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::{Instant, advance};

use super::hosts::Hosts;
use super::{OutlierConfig, Outliers};
use crate::Outcome::{Failure, Ignored, Success};

const SECOND: Duration = Duration::from_secs(1);

/// Hosts 0, 1, 2, ... under the default settings but for this share.
fn outliers(hosts: u32, max_ejected_ratio: f64) -> Outliers<u32> {
    let config = OutlierConfig { max_ejected_ratio, ..OutlierConfig::default() };
    let outliers = Outliers::new(config).unwrap();
    outliers.members(&(0..hosts).collect::<Vec<_>>());
    outliers
}

fn fail(outliers: &Outliers<u32>, host: u32, times: u32) {
    (0..times).for_each(|_| outliers.record(&host, Failure));
}

fn ejected(outliers: &Outliers<u32>) -> Vec<u32> {
    outliers.snapshot().into_iter().map(|host| host.key).collect()
}

#[tokio::test(start_paused = true)]
async fn a_host_is_ejected_by_failures_in_a_row_and_comes_back_by_itself() {
    let outliers = outliers(3, 0.1);
    fail(&outliers, 1, 4);
    outliers.record(&1, Success);
    fail(&outliers, 1, 4);
    outliers.record(&1, Ignored);
    assert!(!outliers.is_ejected(&1));
    fail(&outliers, 1, 1);
    assert!(outliers.is_ejected(&1));
    assert_eq!(outliers.admitted(&[0, 1, 2]), [&0, &2]);
    let snapshot = outliers.snapshot();
    assert_eq!((snapshot[0].ejected_until, snapshot[0].times), (Instant::now() + 30 * SECOND, 1));
    advance(30 * SECOND).await;
    assert!(!outliers.is_ejected(&1));
    assert_eq!(outliers.admitted(&[0, 1, 2]), [&0, &1, &2]);
}

// Envoy 40697: after a host came back, it took more failures than the first time to eject it;
// 1491: it was never ejected again.
#[tokio::test(start_paused = true)]
async fn a_host_that_came_back_is_ejected_by_exactly_as_many_failures() {
    let outliers = outliers(2, 0.1);
    for _ in 0..3 {
        fail(&outliers, 0, 4);
        assert!(!outliers.is_ejected(&0));
        fail(&outliers, 0, 1);
        assert!(outliers.is_ejected(&0));
        // Calls that began before end now, and must not count for the time after.
        fail(&outliers, 0, 3);
        outliers.record(&0, Success);
        advance(300 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_end_during_an_ejection_do_not_lengthen_it() {
    let outliers = outliers(4, 0.5);
    fail(&outliers, 0, 5);
    let before = outliers.snapshot();
    advance(SECOND).await;
    fail(&outliers, 0, 5);
    assert_eq!(outliers.snapshot(), before);
}

// Envoy 26758: the time did not grow with each ejection.
#[tokio::test(start_paused = true)]
async fn each_ejection_lasts_longer_up_to_a_maximum() {
    let outliers = outliers(2, 0.1);
    let mut times = Vec::new();
    for _ in 0..12 {
        fail(&outliers, 0, 5);
        let until = outliers.snapshot()[0].ejected_until;
        times.push((until - Instant::now()).as_secs());
        advance(until - Instant::now()).await;
    }
    assert_eq!(times, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]);
    // Each interval without an ejection takes one off.
    advance(75 * SECOND).await;
    fail(&outliers, 0, 5);
    let host = outliers.snapshot().remove(0);
    assert_eq!(((host.ejected_until - Instant::now()).as_secs(), host.times), (120, 13));
    advance(3600 * SECOND).await;
    fail(&outliers, 0, 5);
    assert_eq!(outliers.snapshot()[0].ejected_until, Instant::now() + 30 * SECOND);
}

// Envoy 26877: a host was ejected even if it was the only one.
#[tokio::test(start_paused = true)]
async fn the_only_host_is_never_ejected_and_one_of_two_may_be() {
    let only = outliers(1, 1.0);
    fail(&only, 0, 100);
    assert!(ejected(&only).is_empty());
    let two = outliers(2, 0.1);
    fail(&two, 0, 5);
    fail(&two, 1, 100);
    assert_eq!(ejected(&two), [0]);
    let off = outliers(2, 0.0);
    fail(&off, 0, 100);
    assert!(ejected(&off).is_empty());
}

// Envoy 27066: with 67 % of three hosts, the share before the third ejection let it happen.
#[tokio::test(start_paused = true)]
async fn the_share_counts_with_the_host_to_be_ejected() {
    let three = outliers(3, 0.67);
    (0..3).for_each(|host| fail(&three, host, 100));
    assert_eq!(ejected(&three).len(), 2);
    let twenty = outliers(20, 0.1);
    (0..20).for_each(|host| fail(&twenty, host, 100));
    assert_eq!(ejected(&twenty).len(), 2);
    let nineteen = outliers(19, 0.1);
    (0..19).for_each(|host| fail(&nineteen, host, 100));
    assert_eq!(ejected(&nineteen).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_for_which_there_was_no_room_is_ejected_when_there_is() {
    let outliers = outliers(3, 0.1);
    fail(&outliers, 0, 5);
    fail(&outliers, 1, 5);
    assert!(!outliers.is_ejected(&1));
    advance(30 * SECOND).await;
    fail(&outliers, 1, 1);
    assert_eq!(ejected(&outliers), [1]);
}

#[tokio::test(start_paused = true)]
async fn members_that_left_are_forgotten_and_others_stay_as_they_are() {
    let outliers = outliers(3, 0.1);
    fail(&outliers, 0, 4);
    fail(&outliers, 1, 5);
    outliers.members(&[0, 2, 3, 3]);
    assert!(ejected(&outliers).is_empty());
    fail(&outliers, 1, 100);
    fail(&outliers, 0, 1);
    assert_eq!(ejected(&outliers), [0]);
    outliers.members(&[0, 1, 2]);
    assert_eq!(ejected(&outliers), [0]);
}

#[tokio::test(start_paused = true)]
async fn when_members_leave_the_share_still_holds() {
    let outliers = outliers(20, 0.1);
    fail(&outliers, 0, 5);
    advance(SECOND).await;
    fail(&outliers, 1, 5);
    outliers.members(&[0, 1, 2]);
    assert_eq!(ejected(&outliers), [1]);
    outliers.members(&[1]);
    assert!(ejected(&outliers).is_empty());
}

/// Calls to hosts 0, 1, 2, ... of which so many in a hundred fail, none five times in a row.
fn calls(outliers: &Outliers<u32>, hundreds: u32, failing: &[u32]) {
    for call in 0..100 * hundreds {
        for (host, failing) in (0..).zip(failing) {
            let fails = call % 100 * failing % 100 < *failing;
            outliers.record(&host, if fails { Failure } else { Success });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_rate_far_below_the_mean_ejects_at_the_end_of_the_interval() {
    let outliers = outliers(6, 0.5);
    calls(&outliers, 1, &[2, 3, 2, 40, 2, 3]);
    assert!(ejected(&outliers).is_empty());
    advance(10 * SECOND).await;
    assert_eq!(ejected(&outliers), [3]);
}

#[tokio::test(start_paused = true)]
async fn success_rates_need_enough_hosts_calls_and_distance() {
    let few_hosts = outliers(4, 0.5);
    calls(&few_hosts, 1, &[2, 2, 2, 60]);
    let few_calls = outliers(6, 0.5);
    (0..99).for_each(|call| few_calls.record(&3, if call % 2 == 0 { Failure } else { Success }));
    (0..99).for_each(|_| [0, 1, 2, 4, 5].iter().for_each(|host| few_calls.record(host, Success)));
    let all_alike = outliers(6, 0.5);
    calls(&all_alike, 1, &[33; 6]);
    let spread = outliers(6, 0.5);
    calls(&spread, 1, &[10, 20, 30, 40, 50, 60]);
    advance(10 * SECOND).await;
    for outliers in [few_hosts, few_calls, all_alike, spread] {
        assert!(ejected(&outliers).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_worst_success_rate_is_ejected_first() {
    let outliers = outliers(20, 0.05);
    let mut failing = [1; 20];
    (failing[4], failing[9]) = (50, 60);
    calls(&outliers, 1, &failing);
    advance(10 * SECOND).await;
    assert_eq!(ejected(&outliers), [9]);
}

#[test]
fn settings_out_of_range_are_named() {
    let wrong = |config| Outliers::<u32>::new(config).unwrap_err().to_string();
    let config = OutlierConfig::default;
    assert_eq!(
        wrong(OutlierConfig { max_ejected_ratio: 10.0, ..config() }),
        "max_ejected_ratio is 10.0; it must be from 0 to 1"
    );
    assert_eq!(
        wrong(OutlierConfig { max_ejection: SECOND, ..config() }),
        "max_ejection is 1s; it must be at least `base_ejection`"
    );
    assert_eq!(
        wrong(OutlierConfig { consecutive_failures: 0, ..config() }),
        "consecutive_failures is 0; it must be at least 1"
    );
    assert_eq!(
        wrong(OutlierConfig { success_rate_stdev: f64::NAN, ..config() }),
        "success_rate_stdev is NaN; it must be a number of at least 1"
    );
}

#[derive(Clone, Debug)]
enum Step {
    Members(HashSet<u8>),
    Failures(u8, u8),
    Mixed(u8, u8),
    Wait(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => prop::collection::hash_set(0u8..20, 0..20).prop_map(Step::Members),
        6 => (0u8..20, 1u8..12).prop_map(|(host, count)| Step::Failures(host, count)),
        3 => (0u8..20, 1u8..255).prop_map(|(host, count)| Step::Mixed(host, count)),
        2 => (0u8..60).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #[test]
    fn no_more_are_ejected_than_the_share_and_never_all(steps in steps(), ratio in 0.0..=1.0) {
        let mut now = Instant::now();
        let config = OutlierConfig { max_ejected_ratio: ratio, ..OutlierConfig::default() };
        let mut hosts = Hosts::new(config, now);
        let mut members: HashSet<u8> = (0..20).collect();
        hosts.members(&members.iter().copied().collect::<Vec<_>>(), now);
        for step in steps {
            match step {
                Step::Members(new) => {
                    members = new;
                    hosts.members(&members.iter().copied().collect::<Vec<_>>(), now);
                }
                Step::Failures(host, count) =>
                    (0..count).for_each(|_| hosts.record(&host, false, now)),
                Step::Mixed(host, count) =>
                    (0..count).for_each(|call| hosts.record(&host, call % 2 == 0, now)),
                Step::Wait(seconds) => now += SECOND * u32::from(seconds),
            }
            let ejected = hosts.ejected(now);
            let share = ejected.len() as f64 / members.len().max(1) as f64;
            prop_assert!(share <= ratio || ejected.len() == 1);
            prop_assert!(ejected.is_empty() || ejected.len() < members.len());
            prop_assert_eq!(ejected.len(), hosts.ejected_count());
            for host in ejected {
                prop_assert!(members.contains(&host.key) && host.ejected_until > now);
                prop_assert!(host.ejected_until <= now + SECOND * 300);
            }
        }
    }
}
