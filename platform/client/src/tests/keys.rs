//! Watching keys, and writing them.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;
use tokio::sync::watch;

use super::{
    fake_registry::{FakeRegistry, TIMINGS},
    static_discovery, within_limit,
};
use crate::{Key, KeyOp, Kind};

type Keys = watch::Receiver<Arc<BTreeMap<String, Key>>>;

/// Waits until these are known: `key=value`.
async fn know(keys: &mut Keys, wanted: &[&str]) {
    let shown =
        |(key, known): (&String, &Key)| format!("{key}={}", String::from_utf8_lossy(&known.value));
    let known = |keys: &Arc<BTreeMap<_, _>>| keys.iter().map(shown).eq(wanted.to_vec());
    drop(within_limit(&format!("{wanted:?} are known"), keys.wait_for(known)).await.unwrap());
}

#[tokio::test]
async fn keys_come_and_go_by_blocking_queries() {
    let registry = FakeRegistry::start();
    let mut keys = registry.discovery(TIMINGS).watch_keys("a/");
    // That nothing is there is an answer, and one to wait after.
    within_limit("the first answer", keys.changed()).await.unwrap();
    registry.is_asked("GET /v1/kv/a/?recurse=true&index=1&wait=60s").await;
    registry.set_key("a/1", "eA==");
    registry.set_key("b/1", "eA==");
    know(&mut keys, &["a/1=x"]).await;
    assert!(keys.borrow()["a/1"].modify_index > 1);
    registry.set_key("a/1", "eQ==");
    know(&mut keys, &["a/1=y"]).await;
    registry.delete_key("a/1");
    know(&mut keys, &[]).await;
    assert!(registry.asked().len() <= 7, "{:?}", registry.asked());
}

#[tokio::test]
async fn what_is_known_stays_while_the_registry_is_away_and_goes_with_its_answer() {
    let mut registry = FakeRegistry::start();
    registry.set_key("a/1", "eA==");
    registry.set_key("a/2", "eA==");
    let mut keys = registry.discovery(TIMINGS).watch_keys("a/");
    know(&mut keys, &["a/1=x", "a/2=x"]).await;
    registry.is_asked("index=3").await;
    registry.go();
    registry.delete_key("a/2");
    know(&mut keys, &["a/1=x", "a/2=x"]).await;
    registry.come();
    // The grace of instances would be a minute.
    know(&mut keys, &["a/1=x"]).await;
    registry.go();
    registry.delete_key("a/1");
    registry.come();
    know(&mut keys, &[]).await;
}

#[tokio::test]
async fn keys_are_written_in_one_transaction_with_the_token() {
    let registry = FakeRegistry::start();
    let discovery = registry.discovery(TIMINGS);
    let ops = vec![
        KeyOp::Set { key: "a/1".into(), value: b"x".to_vec() },
        KeyOp::Delete { key: "a/2".into() },
    ];
    discovery.write_keys("right", ops.clone()).await.unwrap();
    let steps = json!([
        { "KV": { "Verb": "set", "Key": "a/1", "Value": "eA==" } },
        { "KV": { "Verb": "delete", "Key": "a/2" } },
    ]);
    assert_eq!(registry.written().unwrap(), json!({ "token": "right", "steps": steps }));

    let denied = discovery.write_keys("wrong", ops.clone()).await.unwrap_err();
    assert_eq!(denied.status(), Some(403));
    let nowhere = static_discovery(&["127.0.0.1:9"]).write_keys("right", ops.clone()).await;
    assert_eq!(nowhere.unwrap_err().kind(), Kind::Unknown);
    let torn = discovery.write_keys("two\nlines", ops).await.unwrap_err();
    assert_eq!(torn.kind(), Kind::Invalid);
}
