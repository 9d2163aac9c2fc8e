//! As much of a Consul as the client asks for, and as unreliable as a test wants.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    server::{Answer, Port, Server, answer},
    within_limit,
};
use crate::{Caller, Discovery, discovery::Timings, sync::lock};

/// Everything that takes seconds in earnest, short; but what must not happen by itself, long.
pub(super) const TIMINGS: Timings = Timings {
    wait: Duration::from_secs(60),
    grace: Duration::from_secs(60),
    pauses: [Duration::from_millis(5), Duration::from_millis(20)],
    quiet: Duration::from_millis(5),
    heartbeat: Duration::from_millis(10),
};

#[derive(Clone, Default)]
struct State {
    index: u64,
    /// By id, as they were registered.
    registered: BTreeMap<String, Value>,
    /// Values in base64.
    keys: BTreeMap<String, String>,
}

pub(super) struct FakeRegistry {
    port: Port,
    state: Arc<watch::Sender<State>>,
    asked: Arc<Mutex<Vec<String>>>,
    server: Option<Server>,
}

impl FakeRegistry {
    pub fn away() -> Self {
        let state = Arc::new(watch::Sender::new(State { index: 1, ..State::default() }));
        Self { port: Port::take(), state, asked: Arc::default(), server: None }
    }

    pub fn start() -> Self {
        let mut registry = Self::away();
        registry.come();
        registry
    }

    /// Begins to listen, with what it knew.
    pub fn come(&mut self) {
        let (state, asked) = (self.state.clone(), self.asked.clone());
        self.server = Some(Server::on(self.port.listen(), move |request| {
            let (state, asked) = (state.clone(), asked.clone());
            async move { handle(request, &state, &asked).await }
        }));
    }

    /// Dies with all its connections.
    pub fn go(&mut self) {
        self.server = None;
    }

    /// Forgets everything, its index too.
    pub fn forget(&self) {
        self.state.send_replace(State { index: 1, ..State::default() });
    }

    pub fn discovery(&self, timings: Timings) -> Discovery {
        let url = format!("consul://{}", self.port.address);
        Discovery::with_timings(&url, caller(), timings).unwrap()
    }

    pub fn add(&self, id: &str, address: SocketAddr) {
        let (service, _) = id.split_once('-').unwrap();
        let body = json!({
            "ID": id, "Name": service, "Address": address.ip().to_string(), "Port": address.port(),
            "Tags": ["public"], "Meta": {"version": "1.2.3", "zone": "north"},
        });
        put(&self.state, id, body);
    }

    pub fn remove(&self, id: &str) {
        remove(&self.state, id);
    }

    /// `value` is in base64.
    pub fn set_key(&self, key: &str, value: &str) {
        self.state.send_modify(|state| {
            state.index += 1;
            state.keys.insert(key.to_owned(), value.to_owned());
        });
    }

    pub fn delete_key(&self, key: &str) {
        self.state.send_modify(|state| {
            state.index += 1;
            state.keys.remove(key);
        });
    }

    /// The last transaction, and the token that it came with.
    pub fn written(&self) -> Option<Value> {
        self.state.borrow().registered.get("txn").cloned()
    }

    pub fn jump_to(&self, index: u64) {
        self.state.send_modify(|state| state.index = index);
    }

    /// Waits until what is registered under this id is as wanted.
    pub async fn sees(&self, id: &str, wanted: impl Fn(Option<&Value>) -> bool) {
        let mut states = self.state.subscribe();
        let seen = states.wait_for(|state| wanted(state.registered.get(id)));
        drop(within_limit(&format!("the registration of {id}"), seen).await.unwrap());
    }

    pub fn registered(&self, id: &str) -> Option<Value> {
        self.state.borrow().registered.get(id).cloned()
    }

    /// Waits until it was asked this.
    pub async fn is_asked(&self, what: &str) {
        within_limit(what, async {
            while !self.asked().iter().any(|asked| asked.contains(what)) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    pub fn asked(&self) -> Vec<String> {
        lock(&self.asked).clone()
    }

    /// Waits until nobody is connected.
    pub async fn lets_go(&self) {
        self.server.as_ref().unwrap().sees("nobody is connected", |seen| seen.open == 0).await;
    }

    pub fn forget_questions(&self) {
        lock(&self.asked).clear();
    }
}

fn put(state: &watch::Sender<State>, id: &str, body: Value) {
    state.send_modify(|state| {
        state.index += 1;
        state.registered.insert(id.to_owned(), body);
    });
}

fn remove(state: &watch::Sender<State>, id: &str) {
    state.send_modify(|state| {
        state.index += 1;
        state.registered.remove(id);
    });
}

async fn handle(
    request: Request<Incoming>,
    state: &watch::Sender<State>,
    asked: &Mutex<Vec<String>>,
) -> Response<Answer> {
    let (head, body) = request.into_parts();
    lock(asked).push(format!("{} {}", head.method, head.uri));
    let path = head.uri.path();
    if let Some(id) = path.strip_prefix("/v1/agent/service/deregister/") {
        remove(state, id);
        return answer(200, "");
    }
    if (head.method == Method::PUT) && path == "/v1/agent/service/register" {
        let body = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        put(state, body["ID"].clone().as_str().unwrap(), body);
        return answer(200, "");
    }
    if path == "/v1/txn" {
        let body = body.collect().await.unwrap().to_bytes();
        let steps: Value = serde_json::from_slice(&body).unwrap();
        let token = head.headers["x-consul-token"].to_str().unwrap();
        put(state, "txn", json!({ "token": token, "steps": steps }));
        return answer(if token == "right" { 200 } else { 403 }, "Permission denied");
    }
    if let Some(id) = path.strip_prefix("/v1/agent/service/") {
        return match state.borrow().registered.get(id) {
            Some(body) => answer(200, service_of(body).to_string().as_str()),
            None => answer(404, "unknown service ID"),
        };
    }
    let query = head.uri.query().unwrap_or_default();
    let now = blocked(state, query).await;
    if let Some(prefix) = path.strip_prefix("/v1/kv/") {
        return keys_under(prefix, &now);
    }
    let listed = match path.strip_prefix("/v1/health/service/") {
        Some(name) => now
            .registered
            .values()
            .filter(|body| body["Name"] == name)
            .map(|body| json!({"Node": {"Address": "10.9.9.9"}, "Service": service_of(body)}))
            .collect(),
        None => now.registered.values().fold(json!({}), |mut all, body| {
            all[body["Name"].as_str().unwrap()] = body["Tags"].clone();
            all
        }),
    };
    with_index(answer(200, listed.to_string().as_str()), now.index)
}

fn keys_under(prefix: &str, now: &State) -> Response<Answer> {
    let entry = |(key, value)| json!({"Key": key, "Value": value, "ModifyIndex": now.index});
    let listed: Vec<_> =
        now.keys.iter().filter(|(key, _)| key.starts_with(prefix)).map(entry).collect();
    let found = match listed.is_empty() {
        true => answer(404, ""),
        false => answer(200, Value::from(listed).to_string().as_str()),
    };
    with_index(found, now.index)
}

fn with_index(mut response: Response<Answer>, index: u64) -> Response<Answer> {
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert("x-consul-index", index.into());
    response
}

fn service_of(body: &Value) -> Value {
    json!({
        "ID": body["ID"], "Service": body["Name"], "Address": body["Address"],
        "Port": body["Port"], "Tags": body["Tags"], "Meta": body["Meta"],
    })
}

/// Consul's blocking query; an index that lies ahead is answered, as the real one does after its
/// wait, but at once.
async fn blocked(state: &watch::Sender<State>, query: &str) -> State {
    let index: u64 = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("index="))
        .map_or(0, |index| index.parse().unwrap());
    let mut states = state.subscribe();
    let seen = states.wait_for(|state| index == 0 || state.index != index).await;
    seen.unwrap().clone()
}

fn caller() -> Caller {
    Caller { service: "tester".into(), instance: "tester-1".into(), ..Caller::default() }
}
