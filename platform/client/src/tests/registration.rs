//! Staying registered, and leaving.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    LIMIT,
    fake_registry::{FakeRegistry, TIMINGS},
    within_limit,
};
use crate::{Discovery, Registration};

fn registration() -> Registration {
    Registration {
        id: "a-1".into(),
        service: "a".into(),
        address: "127.0.0.1:4001".parse().unwrap(),
        tags: vec!["public".into(), "zone=local".into()],
        meta: BTreeMap::from([("owner".into(), "team a".into())]),
    }
}

#[tokio::test]
async fn a_process_is_registered_at_once_with_its_health_check() {
    let registry = FakeRegistry::start();
    let drain = CancellationToken::new();
    let kept = registry.discovery(TIMINGS).keep_registered(registration(), drain.clone());
    registry.sees("a-1", |seen| seen.is_some()).await;
    let seen = registry.registered("a-1").unwrap();
    assert_eq!((&seen["Name"], &seen["Port"]), (&"a".into(), &4001.into()));
    assert_eq!(seen["Address"], "127.0.0.1");
    assert_eq!(seen["Tags"][1], "zone=local");
    assert_eq!(seen["Meta"]["owner"], "team a");
    let check = &seen["Check"];
    assert_eq!(check["HTTP"], "http://127.0.0.1:4001/health");
    assert_eq!((&check["Interval"], &check["Timeout"]), (&"1s".into(), &"1s".into()));
    assert_eq!(check["Header"]["Backline-Instance"][0], "a-1");
    assert_eq!(check["Status"], "passing");
    assert_eq!(check["DeregisterCriticalServiceAfter"], "60s");
    drain.cancel();
    within_limit("the end", kept).await.unwrap();
    assert_eq!(registry.registered("a-1"), None);
}

#[tokio::test]
async fn a_process_registers_again_when_the_registry_has_forgotten_it() {
    let mut registry = FakeRegistry::start();
    let drain = CancellationToken::new();
    let _kept = registry.discovery(TIMINGS).keep_registered(registration(), drain.clone());
    registry.sees("a-1", |seen| seen.is_some()).await;
    registry.go();
    registry.forget();
    registry.come();
    registry.sees("a-1", |seen| seen.is_some()).await;
    // While the registry lives on, too.
    registry.remove("a-1");
    registry.sees("a-1", |seen| seen.is_some()).await;
    // It was forgotten for a reason, perhaps: its check says how it is, not it itself.
    let seen = registry.registered("a-1").unwrap();
    assert_eq!(seen["Check"]["Status"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_process_takes_its_name_back_from_another_address() {
    let registry = FakeRegistry::start();
    registry.add("a-1", "127.0.0.1:9".parse().unwrap());
    let drain = CancellationToken::new();
    let _kept = registry.discovery(TIMINGS).keep_registered(registration(), drain.clone());
    let ours = |seen: Option<&serde_json::Value>| seen.is_some_and(|seen| seen["Port"] == 4001);
    registry.sees("a-1", ours).await;
    registry.add("a-1", "127.0.0.1:9".parse().unwrap());
    registry.sees("a-1", ours).await;
}

#[tokio::test]
async fn registration_waits_for_a_registry_that_starts_later() {
    let mut registry = FakeRegistry::away();
    let drain = CancellationToken::new();
    let _kept = registry.discovery(TIMINGS).keep_registered(registration(), drain.clone());
    tokio::task::yield_now().await;
    registry.come();
    registry.sees("a-1", |seen| seen.is_some()).await;
}

#[tokio::test]
async fn a_drain_does_not_wait_for_a_registry_that_is_away() {
    let registry = FakeRegistry::away();
    let drain = CancellationToken::new();
    let kept = registry.discovery(TIMINGS).keep_registered(registration(), drain.clone());
    let started = Instant::now();
    drain.cancel();
    within_limit("the end", kept).await.unwrap();
    assert!(started.elapsed() < LIMIT / 2);
}

#[tokio::test]
async fn a_drain_leaves_a_successors_registration_alone() {
    let registry = FakeRegistry::start();
    let drain = CancellationToken::new();
    let timings = crate::discovery::Timings { heartbeat: Duration::from_secs(60), ..TIMINGS };
    let kept = registry.discovery(timings).keep_registered(registration(), drain.clone());
    registry.sees("a-1", |seen| seen.is_some()).await;
    registry.add("a-1", "127.0.0.1:9".parse().unwrap());
    drain.cancel();
    within_limit("the end", kept).await.unwrap();
    assert!(registry.registered("a-1").is_some());
}

#[tokio::test]
async fn with_static_discovery_registration_only_waits_for_the_drain() {
    let drain = CancellationToken::new();
    let discovery = Discovery::from_url("static:", "tester-1").unwrap();
    let kept = discovery.keep_registered(registration(), drain.clone());
    tokio::task::yield_now().await;
    assert!(!kept.is_finished());
    drain.cancel();
    within_limit("the end", kept).await.unwrap();
}
