//! Blocking queries over real HTTP.

use std::time::{Duration, Instant};

use crate::support::{call, soon, start};
use serde_json::{Value, json};
use tokio::task::JoinSet;

fn instance(name: &str, id: &str, port: u16) -> Value {
    json!({ "Name": name, "ID": id, "Address": "127.0.0.1", "Port": port })
}

#[tokio::test]
async fn a_query_wakes_when_its_service_changes() {
    let registry = start().await;
    registry.register(instance("loyalty", "loyalty-1", 1)).await;
    for path in
        ["/v1/health/service/loyalty", "/v1/catalog/service/loyalty", "/v1/health/checks/loyalty"]
    {
        let index = registry.get(path).await.index();
        let query = format!("{path}?index={index}&wait=10m");
        let change = async {
            let port = u16::try_from(index % 60_000).expect("small") + 2;
            registry.register(instance("loyalty", "loyalty-1", port)).await;
        };
        let (answer, ()) = soon(async { tokio::join!(registry.get(&query), change) }).await;
        assert!(answer.index() > index, "{path}");
    }
}

#[tokio::test]
async fn a_query_for_a_service_that_does_not_exist_wakes_when_it_comes() {
    let registry = start().await;
    let index = registry.get("/v1/health/service/late").await.index();
    let query = format!("/v1/health/service/late?passing&index={index}");
    let come = registry.register(instance("late", "late-1", 1));
    let (answer, ()) = soon(async { tokio::join!(registry.get(&query), come) }).await;
    assert_eq!(answer.json()[0]["Service"]["ID"], "late-1");

    let query = format!("/v1/health/service/late?passing&index={}", answer.index());
    let go = registry.put("/v1/agent/service/deregister/late-1", &Value::Null);
    let (gone, _) = soon(async { tokio::join!(registry.get(&query), go) }).await;
    assert_eq!(gone.json(), json!([]));
    assert!(gone.index() > answer.index());
}

#[tokio::test]
async fn a_query_sleeps_through_changes_of_other_services() {
    let registry = start().await;
    registry.register(instance("loyalty", "loyalty-1", 1)).await;
    let index = registry.get("/v1/health/service/loyalty").await.index();
    let query = format!("/v1/health/service/loyalty?index={index}&wait=500ms");
    let others = async {
        // More than there are bells: some share the bell of the watched one.
        for n in 0..600 {
            registry.register(instance(&format!("other-{n}"), &format!("other-{n}"), 1)).await;
        }
    };
    let started = Instant::now();
    let watched = async {
        let answer = registry.get(&query).await;
        (answer, started.elapsed())
    };
    let ((answer, took), ()) = soon(async { tokio::join!(watched, others) }).await;
    assert_eq!(answer.index(), index);
    assert!(took >= Duration::from_millis(500), "it was woken after {took:?}");
}

#[tokio::test]
async fn a_query_that_waits_in_vain_is_told_the_same_index() {
    let registry = start().await;
    let index = registry.get("/v1/health/service/loyalty").await.index();
    let started = Instant::now();
    let query = format!("/v1/health/service/loyalty?index={index}&wait=320ms");
    let answer = soon(registry.get(&query)).await;
    let took = started.elapsed();
    assert_eq!(answer.index(), index);
    // Jitter is at most a sixteenth (20 ms); the rest is for a busy machine.
    assert!((Duration::from_millis(320)..Duration::from_secs(5)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn any_other_index_is_answered_at_once() {
    let registry = start().await;
    let index = registry.get("/v1/catalog/services").await.index();
    for known in [0, 1, index - 1, index + 1, index + 1_000_000] {
        let query = format!("/v1/catalog/services?index={known}&wait=10m");
        assert_eq!(soon(registry.get(&query)).await.index(), index, "{known}");
    }
}

#[tokio::test]
async fn the_drain_answers_those_who_wait() {
    let registry = start().await;
    let index = registry.get("/v1/health/service/loyalty").await.index();
    let query = format!("/v1/health/service/loyalty?index={index}&wait=10m");
    let drain = async { registry.drain.cancel() };
    let (answer, ()) = soon(async { tokio::join!(registry.get(&query), drain) }).await;
    assert_eq!((answer.status, answer.index()), (200, index));
}

#[tokio::test]
async fn a_thousand_watchers_of_one_service_are_all_told_soon() {
    let registry = start().await;
    registry.register(instance("loyalty", "loyalty-1", 1)).await;
    let index = registry.get("/v1/health/service/loyalty").await.index();
    let address = registry.address;
    let mut watchers = JoinSet::new();
    for _ in 0..1_000 {
        watchers.spawn(async move {
            let path = format!("/v1/health/service/loyalty?passing&index={index}&wait=10m");
            let answer = call(address, axum::http::Method::GET, &path, bytes::Bytes::new()).await;
            (answer.json()[0]["Service"]["Port"].clone(), Instant::now())
        });
    }
    // One that comes last and times out shows that those before it wait.
    let last = format!("/v1/health/service/loyalty?index={index}&wait=1s");
    assert_eq!(soon(registry.get(&last)).await.index(), index);

    let started = Instant::now();
    registry.register(instance("loyalty", "loyalty-1", 2)).await;
    let mut slowest = Duration::ZERO;
    while let Some(told) = soon(watchers.join_next()).await {
        let (port, at) = told.expect("an answer");
        assert_eq!(port, 2);
        slowest = slowest.max(at.saturating_duration_since(started));
    }
    // A debug build on shared cores; the example `measure` has the figure.
    assert!(slowest < Duration::from_secs(10), "the last one heard after {slowest:?}");
}
