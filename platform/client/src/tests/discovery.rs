//! Watching a registry that changes, dies, comes back and has forgotten.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    fake_registry::{FakeRegistry, TIMINGS},
    server::{Server, answer},
    within_limit,
};
use crate::{Instance, Kind, Stage, discovery::Timings};

type Instances = watch::Receiver<Arc<Vec<Instance>>>;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

/// Waits until these instances are known.
async fn know(instances: &mut Instances, ids: &[&str]) {
    let known = |list: &Arc<Vec<Instance>>| list.iter().map(|i| i.id.as_str()).eq(ids.to_vec());
    let known = instances.wait_for(known);
    drop(within_limit(&format!("{ids:?} are known"), known).await.unwrap());
}

fn ids(instances: &Instances) -> Vec<String> {
    instances.borrow().iter().map(|instance| instance.id.clone()).collect()
}

#[tokio::test]
async fn instances_come_and_go_by_blocking_queries() {
    let registry = FakeRegistry::start();
    registry.add("a-1", "127.0.0.1:4001".parse().unwrap());
    registry.add("b-1", ANY);
    let mut instances = registry.discovery(TIMINGS).watch("a");
    know(&mut instances, &["a-1"]).await;
    let instance = instances.borrow()[0].clone();
    assert_eq!(instance.address.to_string(), "127.0.0.1:4001");
    assert_eq!((instance.service.as_str(), instance.version.as_str()), ("a", "1.2.3"));
    assert_eq!((instance.zone.as_str(), instance.meta["version"].as_str()), ("north", "1.2.3"));
    registry.add("a-2", ANY);
    know(&mut instances, &["a-1", "a-2"]).await;
    registry.remove("a-1");
    know(&mut instances, &["a-2"]).await;
    // One question for each change and for the state at first, and the one that now waits.
    registry.is_asked("index=5").await;
    let asked = registry.asked();
    assert!(asked.len() <= 4, "{asked:?}");
    assert_eq!(asked[0], "GET /v1/health/service/a?passing=true&index=0&wait=60s");
}

#[tokio::test]
async fn one_watch_serves_all_clients_and_watchers() {
    let registry = FakeRegistry::start();
    let server = Server::start(async |_| answer(200, "")).await;
    registry.add("a-1", server.address);
    let discovery = registry.discovery(TIMINGS);
    for client in [discovery.client("a"), discovery.clone().client("a")] {
        client.get("/a").send().await.unwrap();
    }
    know(&mut discovery.watch("a"), &["a-1"]).await;
    registry.is_asked("/service/a?passing=true&index=2").await;
    let asked = registry.asked();
    let of_a = asked.iter().filter(|asked| asked.contains("/service/a")).count();
    assert_eq!(of_a, 2, "{asked:?}");
}

#[tokio::test]
async fn an_empty_first_answer_is_news() {
    let registry = FakeRegistry::start();
    let mut instances = registry.discovery(TIMINGS).watch("a");
    within_limit("the first answer", instances.changed()).await.unwrap();
    assert!(instances.borrow().is_empty());
}

#[tokio::test]
async fn the_first_call_waits_for_the_registry_within_its_time() {
    let mut registry = FakeRegistry::away();
    let server = Server::start(async |_| answer(200, "")).await;
    registry.add("a-1", server.address);
    let client = registry.discovery(TIMINGS).client("a");
    let late = client.post("/a").timeout(Duration::from_millis(50)).send().await.unwrap_err();
    assert_eq!(late.kind(), Kind::TimedOut(Stage::Address));
    assert!(late.is_away() && late.is_retry_safe());
    let waiting = tokio::spawn(client.get("/a").send());
    registry.come();
    within_limit("the answer", waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_index_that_goes_backwards_starts_anew_and_loses_nobody() {
    let registry = FakeRegistry::start();
    registry.jump_to(500);
    registry.add("a-1", ANY);
    registry.add("a-2", ANY);
    let mut instances = registry.discovery(TIMINGS).watch("a");
    know(&mut instances, &["a-1", "a-2"]).await;
    registry.is_asked("index=502").await;
    registry.forget_questions();
    registry.forget();
    registry.is_asked("index=0").await;
    registry.add("a-3", ANY);
    know(&mut instances, &["a-1", "a-2", "a-3"]).await;
}

#[tokio::test]
async fn an_index_of_zero_makes_no_busy_loop() {
    let registry = FakeRegistry::start();
    registry.jump_to(0);
    let discovery = registry.discovery(Timings { quiet: Duration::from_secs(60), ..TIMINGS });
    let mut instances = discovery.watch("a");
    within_limit("the first answer", instances.changed()).await.unwrap();
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(registry.asked().len(), 1);
}

#[tokio::test]
async fn while_the_registry_is_away_everything_goes_on() {
    let mut registry = FakeRegistry::start();
    let server = Server::start(async |_| answer(200, "")).await;
    registry.add("a-1", server.address);
    let discovery = registry.discovery(TIMINGS);
    let client = discovery.client("a");
    client.get("/a").send().await.unwrap();
    registry.go();
    client.get("/a").send().await.unwrap();
    registry.add("a-2", ANY);
    registry.come();
    let mut instances = discovery.watch("a");
    know(&mut instances, &["a-1", "a-2"]).await;
    // Changes reach us as before.
    registry.remove("a-2");
    know(&mut instances, &["a-1"]).await;
}

#[tokio::test]
async fn a_restarted_and_empty_registry_does_not_stop_the_traffic() {
    let mut registry = FakeRegistry::start();
    registry.jump_to(100);
    let server = Server::start(async |_| answer(200, "")).await;
    registry.add("a-1", server.address);
    let discovery = registry.discovery(TIMINGS);
    let client = discovery.client("a");
    client.get("/a").send().await.unwrap();
    registry.go();
    registry.forget();
    registry.forget_questions();
    registry.come();
    // Its second question shows that it took the first answer.
    registry.is_asked("index=0").await;
    registry.is_asked("index=1").await;
    client.get("/a").send().await.unwrap();
    registry.add("a-2", ANY);
    know(&mut discovery.watch("a"), &["a-1", "a-2"]).await;
}

#[tokio::test]
async fn who_does_not_register_again_is_dropped_after_the_grace() {
    let mut registry = FakeRegistry::start();
    registry.add("a-1", ANY);
    registry.add("a-2", ANY);
    let timings = Timings { grace: Duration::from_millis(200), ..TIMINGS };
    let mut instances = registry.discovery(timings).watch("a");
    know(&mut instances, &["a-1", "a-2"]).await;
    registry.go();
    registry.forget();
    registry.come();
    registry.add("a-2", ANY);
    know(&mut instances, &["a-2"]).await;
    assert_eq!(ids(&instances), ["a-2"]);
}

#[tokio::test]
async fn services_are_watched_with_their_tags() {
    let mut registry = FakeRegistry::start();
    registry.add("a-1", ANY);
    let discovery = registry.discovery(TIMINGS);
    let mut services = discovery.watch_services();
    let first = services.wait_for(|known| known.contains_key("a"));
    assert_eq!(within_limit("a", first).await.unwrap()["a"], ["public"]);
    registry.go();
    registry.add("b-1", ANY);
    registry.come();
    let second = services.wait_for(|known| known.len() == 2);
    drop(within_limit("b", second).await.unwrap());
    assert!(discovery.watch_services().same_channel(&services));
}

#[tokio::test]
async fn a_watch_that_nobody_reads_ends() {
    let registry = FakeRegistry::start();
    let discovery = registry.discovery(TIMINGS);
    let instances = discovery.watch("a");
    registry.is_asked("index=1").await;
    drop((discovery, instances));
    registry.lets_go().await;
}
