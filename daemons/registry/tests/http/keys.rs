//! Keys over real HTTP.

use std::time::{Duration, Instant};

use axum::http::Method;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Running, TOKEN, call_with, soon, start, start_for_operator};

async fn set(registry: &Running, key: &str, value: &'static str) {
    let answer = registry.operate(Method::PUT, &format!("/v1/kv/{key}"), value).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "true"), "{key}");
}

async fn delete(registry: &Running, path: &str) -> Value {
    registry.operate(Method::DELETE, path, "").await.json()
}

async fn transact(registry: &Running, steps: Value) -> (u16, Value) {
    let answer = registry.operate(Method::PUT, "/v1/txn", steps.to_string()).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn a_key_is_told_as_consul_tells_it() {
    let registry = start_for_operator().await;
    let nothing = registry.get("/v1/kv/a/1").await;
    assert_eq!((nothing.status, nothing.text().as_str()), (404, ""));
    assert!(nothing.index() >= 100);
    let path = "/v1/kv/a/1?flags=18446744073709551615";
    assert_eq!(registry.operate(Method::PUT, path, "hello").await.text(), "true");
    let answer = registry.get("/v1/kv/a/1").await;
    let at = answer.index();
    assert!(at > nothing.index());
    let entry = json!({
        "LockIndex": 0, "Key": "a/1", "Flags": u64::MAX, "Value": "aGVsbG8=",
        "CreateIndex": at, "ModifyIndex": at,
    });
    assert_eq!(answer.json(), json!([entry]));
    set(&registry, "a/1", "").await;
    let empty = registry.json("/v1/kv/a/1").await[0].clone();
    assert_eq!((&empty["Value"], &empty["CreateIndex"]), (&Value::Null, &json!(at)));
    assert!(empty["ModifyIndex"].as_u64() > Some(at));
}

#[tokio::test]
async fn a_raw_value_is_never_a_page() {
    let registry = start_for_operator().await;
    set(&registry, "page", "<script>").await;
    let raw = registry.get("/v1/kv/page?raw").await;
    assert_eq!(raw.text(), "<script>");
    assert_eq!(raw.headers["content-type"], "text/plain");
    assert_eq!(raw.headers["content-security-policy"], "sandbox");
    assert_eq!(registry.get("/v1/kv/none?raw").await.status, 404);
}

#[tokio::test]
async fn keys_are_listed_by_prefix_whole_or_by_name() {
    let registry = start_for_operator().await;
    for key in ["a/b/1", "a/b/2", "a/c", "ab", "a%20b/%C3%BC"] {
        set(&registry, key, "x").await;
    }
    let names = registry.json("/v1/kv/?keys").await;
    assert_eq!(names, json!(["a b/ü", "a/b/1", "a/b/2", "a/c", "ab"]));
    let rolled_up = registry.json("/v1/kv/a/?keys&separator=/").await;
    assert_eq!(rolled_up, json!(["a/b/", "a/c"]));
    let entries = registry.json("/v1/kv/a/?recurse").await;
    let keys: Vec<_> = entries.as_array().expect("a list").iter().map(|e| &e["Key"]).collect();
    assert_eq!(keys, ["a/b/1", "a/b/2", "a/c"]);
    assert_eq!(registry.json("/v1/kv/a%20b/%C3%BC").await[0]["Key"], "a b/ü");
    for path in ["/v1/kv/z/?keys", "/v1/kv/z/?recurse"] {
        let answer = registry.get(path).await;
        assert_eq!((answer.status, answer.text().as_str()), (404, ""));
    }
    assert_eq!(delete(&registry, "/v1/kv/a/?recurse").await, true);
    assert_eq!(registry.json("/v1/kv/?keys").await, json!(["a b/ü", "ab"]));
    assert_eq!(delete(&registry, "/v1/kv/?recurse").await, true);
    assert_eq!(registry.json("/v1/kv/?keys").await, json!([]));
}

#[tokio::test]
async fn a_prefix_wakes_by_what_is_under_it_and_sleeps_through_the_rest() {
    let registry = start_for_operator().await;
    set(&registry, "a/1", "x").await;
    let asked = "/v1/kv/a/?recurse";
    let mut index = registry.get(asked).await.index();

    let query = format!("{asked}&index={index}&wait=500ms");
    let others = async {
        for key in ["b/1", "a", "a0"] {
            set(&registry, key, "x").await;
            delete(&registry, &format!("/v1/kv/{key}")).await;
        }
        set(&registry, "a/1", "x").await;
    };
    let started = Instant::now();
    let (answer, ()) = soon(async { tokio::join!(registry.get(&query), others) }).await;
    assert_eq!(answer.index(), index);
    assert!(started.elapsed() >= Duration::from_millis(500), "{:?}", started.elapsed());

    for (method, path, status) in [
        (Method::PUT, "/v1/kv/a/2", 200),
        (Method::DELETE, "/v1/kv/a/2", 200),
        (Method::DELETE, "/v1/kv/?recurse", 404),
        (Method::PUT, "/v1/kv/a/3", 200),
    ] {
        let query = format!("{asked}&index={index}&wait=10m");
        let change = registry.operate(method, path, "x");
        let (answer, _) = soon(async { tokio::join!(registry.get(&query), change) }).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.index() > index, "{path}: {} after {index}", answer.index());
        index = answer.index();
    }
}

#[tokio::test]
async fn one_key_wakes_by_its_coming_and_going() {
    let registry = start_for_operator().await;
    let mut index = registry.get("/v1/kv/a").await.index();
    for (method, status) in [(Method::PUT, 200), (Method::DELETE, 404), (Method::PUT, 200)] {
        let query = format!("/v1/kv/a?index={index}&wait=10m");
        let change = registry.operate(method, "/v1/kv/a", "x");
        let (answer, _) = soon(async { tokio::join!(registry.get(&query), change) }).await;
        assert_eq!(answer.status, status);
        assert!(answer.index() > index);
        index = answer.index();
    }
    let drain = async { registry.drain.cancel() };
    let query = format!("/v1/kv/a?index={index}&wait=10m");
    let (answer, ()) = soon(async { tokio::join!(registry.get(&query), drain) }).await;
    assert_eq!((answer.status, answer.index()), (200, index));
}

#[tokio::test]
async fn of_a_hundred_who_compare_and_set_exactly_one_wins_each_round() {
    let registry = start_for_operator().await;
    for _ in 0..3 {
        let known = registry.get("/v1/kv/leader").await;
        let index = match known.status {
            404 => 0,
            _ => known.json()[0]["ModifyIndex"].as_u64().expect("a number"),
        };
        let (address, mut racers) = (registry.address, JoinSet::new());
        for n in 0..100 {
            racers.spawn(async move {
                let path = format!("/v1/kv/leader?cas={index}");
                let body = Bytes::from(format!("{index}-{n}"));
                let token = [("x-consul-token", TOKEN)];
                call_with(address, Method::PUT, &path, body, &token).await.text()
            });
        }
        let won = soon(racers.join_all()).await.into_iter().filter(|won| won == "true").count();
        assert_eq!(won, 1);
    }
    let at = registry.json("/v1/kv/leader").await[0]["ModifyIndex"].clone();
    assert_eq!(delete(&registry, "/v1/kv/leader?cas=1").await, false);
    assert_eq!(delete(&registry, &format!("/v1/kv/leader?cas={at}")).await, true);
    assert_eq!(registry.get("/v1/kv/leader").await.status, 404);
}

#[tokio::test]
async fn a_transaction_is_made_whole_or_not_at_all() {
    let registry = start_for_operator().await;
    let kv = |verb: &str, key: &str| json!({ "KV": { "Verb": verb, "Key": key, "Value": "eA==" } });
    let (status, done) = transact(
        &registry,
        json!([kv("check-not-exists", "a"), kv("set", "a"), kv("set", "b"), kv("get", "a")]),
    )
    .await;
    assert_eq!(status, 200, "{done}");
    let at = done["Results"][0]["KV"]["ModifyIndex"].clone();
    let told = |key: &str, value: Value| {
        json!({ "KV": { "LockIndex": 0, "Key": key, "Flags": 0, "Value": value,
                        "CreateIndex": at, "ModifyIndex": at } })
    };
    let results = [told("a", Value::Null), told("b", Value::Null), told("a", json!("eA=="))];
    assert_eq!(done, json!({ "Results": results, "Errors": null }));

    let (status, done) =
        transact(&registry, json!([kv("delete", "a"), kv("set", "c"), kv("cas", "b")])).await;
    assert_eq!(status, 409);
    let what = "failed to set key \"b\", index is stale";
    assert_eq!(done, json!({ "Results": null, "Errors": [{ "OpIndex": 2, "What": what }] }));
    assert_eq!(registry.json("/v1/kv/?keys").await, json!(["a", "b"]));

    let cas = json!({ "KV": { "Verb": "cas", "Key": "b", "Value": "eQ==", "Index": at } });
    let gone = json!({ "KV": { "Verb": "delete-cas", "Key": "a", "Index": at } });
    assert_eq!(transact(&registry, json!([cas, gone])).await.0, 200);
    assert_eq!(registry.json("/v1/kv/?keys").await, json!(["b"]));
}

#[tokio::test]
async fn only_the_operators_token_opens_writing() {
    let registry = start_for_operator().await;
    let address = registry.address;
    let steps = r#"[{"KV":{"Verb":"set","Key":"a","Value":""}}]"#;
    let bearer = format!("Bearer {TOKEN}");
    let wrong = TOKEN.replace('0', "1");
    for (headers, status) in [
        (vec![], 403),
        (vec![("x-consul-token", "")], 403),
        (vec![("x-consul-token", wrong.as_str())], 403),
        (vec![("authorization", wrong.as_str())], 403),
        (vec![("authorization", TOKEN)], 403),
        (vec![("authorization", bearer.as_str())], 200),
        (vec![("x-consul-token", TOKEN)], 200),
    ] {
        for (method, path, body) in [
            (Method::PUT, "/v1/kv/a", "x"),
            (Method::PUT, "/v1/txn", steps),
            (Method::DELETE, "/v1/kv/a", ""),
            (Method::DELETE, "/v1/kv/?recurse", ""),
        ] {
            let answer = call_with(address, method, path, body.into(), &headers).await;
            assert_eq!(answer.status, status, "{path} with {headers:?}");
            let denied = answer.text().starts_with("Permission denied: 'key:write' on");
            assert_eq!(denied, status == 403, "{}", answer.text());
        }
    }
    set(&registry, "a", "x").await;
    let reads = r#"[{"KV":{"Verb":"get","Key":"a"}}]"#;
    let read = call_with(address, Method::PUT, "/v1/txn", reads.into(), &[]).await;
    assert_eq!(read.json()["Results"][0]["KV"]["Value"], "eA==");
}

#[tokio::test]
async fn without_a_token_of_its_own_a_registry_lets_nobody_write() {
    let registry = start().await;
    let answer = registry.operate(Method::PUT, "/v1/kv/a", "x").await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("BACKLINE_OPERATOR_TOKEN_FILE"), "{}", answer.text());
    assert_eq!(registry.json("/v1/kv/?keys").await, json!([]));
}

#[tokio::test]
async fn what_is_not_taken_is_refused_with_the_reason() {
    let registry = start_for_operator().await;
    let (long, big) = (format!("/v1/kv/{}", "k".repeat(513)), "x".repeat(512 * 1024));
    let many = json!(vec![json!({ "KV": { "Verb": "get", "Key": "a" } }); 65]).to_string();
    for (method, path, body, status, reason) in [
        (Method::GET, "/v1/kv/", "", 400, "Missing key name"),
        (Method::PUT, "/v1/kv/", "x", 400, "Missing key name"),
        (Method::DELETE, "/v1/kv/", "", 400, "Missing key name"),
        (Method::PUT, "/v1/kv/a?acquire=s", "x", 400, "no sessions and no locks yet"),
        (Method::PUT, "/v1/kv/a?release=s", "x", 400, "no sessions and no locks yet"),
        (Method::PUT, "/v1/kv/a?cas=no", "x", 400, "Invalid cas value"),
        (Method::PUT, "/v1/kv/a?flags=-1", "x", 400, "Invalid flags value"),
        (Method::DELETE, "/v1/kv/a?recurse&cas=1", "", 400, "Conflicting flags"),
        (Method::PUT, &long, "x", 400, "at most 512"),
        (Method::POST, "/v1/kv/a", "x", 405, "not allowed"),
        (Method::PUT, "/v1/kv/a", &format!("{big}x"), 413, "max size: 524288 bytes"),
        (Method::PUT, "/v1/txn", &many, 413, "too many operations (65 > 64)"),
        (Method::PUT, "/v1/txn", "{", 400, "Failed to parse body"),
        (Method::PUT, "/v1/txn", r#"[{"Node":{}}]"#, 400, "only KV is"),
        (Method::PUT, "/v1/txn", r#"[{"KV":{"Verb":"lock","Key":"a"}}]"#, 400, "\"lock\""),
        (Method::PUT, "/v1/txn", r#"[{"KV":{"Verb":"set"}}]"#, 400, "Missing key name"),
        (
            Method::PUT,
            "/v1/txn",
            r#"[{"KV":{"Verb":"set","Key":"a","Value":"?"}}]"#,
            400,
            "not base64",
        ),
    ] {
        let answer = registry.operate(method, path, body.to_owned()).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.text().contains(reason), "{path}: {}", answer.text());
    }
    assert_eq!(registry.operate(Method::PUT, "/v1/kv/a", big).await.text(), "true");
}
