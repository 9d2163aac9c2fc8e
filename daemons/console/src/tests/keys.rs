//! The registry's keys, as much as operators need: Consul's KV API and its transactions.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Base64 values by key, and an index that grows with each change.
#[derive(Clone, Default)]
pub(super) struct Keys {
    pub index: u64,
    pub all: BTreeMap<String, String>,
    /// What the registry takes.
    pub token: String,
}

type Shared = Arc<watch::Sender<Keys>>;

pub(super) fn routes(keys: Shared) -> Router {
    Router::new()
        .route("/v1/kv/{*prefix}", get(list))
        .route("/v1/txn", put(transact))
        .with_state(keys)
}

async fn list(
    State(keys): State<Shared>,
    Path(prefix): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    stop: axum::Extension<tokio_util::sync::CancellationToken>,
) -> Response {
    let asked: u64 = query.get("index").and_then(|index| index.parse().ok()).unwrap_or(0);
    let mut seen = keys.subscribe();
    let moved = seen.wait_for(|keys| keys.index + 1 != asked);
    tokio::select! {
        _ = tokio::time::timeout(Duration::from_secs(5), moved) => {}
        () = stop.cancelled() => {}
    }
    let keys = keys.borrow().clone();
    let found = keys.all.iter().filter(|(key, _)| key.starts_with(&prefix));
    let listed: Vec<Value> = match query.contains_key("keys") {
        true => found.map(|(key, _)| json!(key)).collect(),
        false => found
            .map(|(key, value)| json!({ "Key": key, "Value": value, "ModifyIndex": keys.index }))
            .collect(),
    };
    let index = [("x-consul-index", (keys.index + 1).to_string())];
    match listed.is_empty() {
        true => (StatusCode::NOT_FOUND, index).into_response(),
        false => (index, Json(listed)).into_response(),
    }
}

async fn transact(
    State(keys): State<Shared>,
    request: HeaderMap,
    Json(steps): Json<Vec<Value>>,
) -> Response {
    let verb = |step: &Value| step["KV"]["Verb"].as_str().unwrap_or_default().to_owned();
    let key = |step: &Value| step["KV"]["Key"].as_str().unwrap_or_default().to_owned();
    if steps.iter().all(|step| verb(step) == "get") {
        let all = keys.borrow().all.clone();
        let one = |step: &Value| json!({ "KV": { "Key": key(step), "Value": all[&key(step)] } });
        let results: Vec<_> = steps.iter().map(one).collect();
        return Json(json!({ "Results": results })).into_response();
    }
    let presented = request.get("x-consul-token").map(|token| token.as_bytes().to_vec());
    if presented.as_deref() != Some(keys.borrow().token.as_bytes()) {
        return (StatusCode::FORBIDDEN, "Permission denied").into_response();
    }
    keys.send_modify(|keys| {
        keys.index += 1;
        for step in &steps {
            match verb(step).as_str() {
                "set" => {
                    let value = step["KV"]["Value"].as_str().unwrap_or_default();
                    keys.all.insert(key(step), value.to_owned());
                }
                _ => drop(keys.all.remove(&key(step))),
            }
        }
    });
    Json(json!({ "Results": [] })).into_response()
}
