//! What operators wish, and what the registry does not know yet.

use super::{
    fake_registry::{FakeRegistry, TIMINGS},
    server::{Port, Server, answer},
    within_limit,
};
use crate::{Client, Kind, Purpose};

fn state(client: &Client) -> &'static str {
    client.seen().breaker.state
}

#[tokio::test]
async fn operators_open_and_close_breakers_by_keys() {
    let registry = FakeRegistry::start();
    let server = Server::start(async |_| answer(200, "")).await;
    registry.add("a-1", server.address);
    let discovery = registry.discovery(TIMINGS);
    let client = discovery.client("a");
    let operations = discovery.client_for("a", Purpose::Operations);
    client.get("/a").send().await.unwrap();
    let becomes = async |wanted: &str| {
        within_limit(wanted, async {
            while state(&client) != wanted {
                tokio::task::yield_now().await;
            }
        })
        .await;
    };
    // {"by":"ada","reason":"new disk"}
    registry.set_key("backline/maintenance/a", "eyJieSI6ImFkYSIsInJlYXNvbiI6Im5ldyBkaXNrIn0=");
    becomes("forced-open").await;
    let error = client.get("/a").send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Open);
    assert!(error.to_string().contains("maintenance: new disk (by ada)"), "{error}");
    operations.get("/a").send().await.unwrap();
    // A client that is made meanwhile is stopped too.
    let feed = discovery.client_for("a", Purpose::Feed);
    assert_eq!(feed.get("/a").send().await.unwrap_err().kind(), Kind::Open);
    registry.delete_key("backline/maintenance/a");
    becomes("closed").await;
    client.get("/a").send().await.unwrap();
    // {"wish":"disabled"}
    registry.set_key("backline/breakers/tester/a", "eyJ3aXNoIjoiZGlzYWJsZWQifQ==");
    becomes("disabled").await;
    registry.set_key("backline/breakers/other/a", "eyJ3aXNoIjoib3BlbiJ9");
    registry.delete_key("backline/breakers/tester/a");
    becomes("closed").await;
    assert_eq!(client.dependency().service(), "a");
}

#[tokio::test]
async fn what_was_stopped_does_not_begin_by_a_restart() {
    let registry = FakeRegistry::start();
    let server = Server::start(async |_| answer(200, "")).await;
    registry.add("a-1", server.address);
    registry.set_key("backline/maintenance/a", "e30=");
    // Each is a process that has just started: its first call is stopped already.
    for _ in 0..20 {
        let client = registry.discovery(TIMINGS).client("a");
        assert_eq!(client.get("/a").send().await.unwrap_err().kind(), Kind::Open);
    }
    assert_eq!(server.connections().requests, 0);
}

#[tokio::test]
async fn no_instance_and_then_one_needs_no_open_period() {
    let port = Port::take();
    let registry = FakeRegistry::start();
    let client = registry.discovery(TIMINGS).client("a");
    for _ in 0..100 {
        assert_eq!(client.get("/a").send().await.unwrap_err().kind(), Kind::Unknown);
    }
    let _server = Server::on(port.listen(), async |_| answer(200, ""));
    registry.add("a-1", port.address);
    within_limit("an answer", async {
        while client.get("/a").send().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
