//! As much of a registry and a monitor as the console asks for.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::keys::Keys;
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// A server that can go away and come back at its address.
struct Server {
    address: SocketAddr,
    router: Router,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Server {
    async fn start(router: Router) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { address, router, running: None };
        server.come().await;
        server
    }

    async fn come(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the port");
        self.address = listener.local_addr().expect("an address");
        let (stop, router) = (CancellationToken::new(), self.router.clone());
        let stopped = stop.clone();
        let serving = tokio::spawn(async move {
            let router = router.layer(axum::Extension(stopped.clone()));
            let serving = axum::serve(listener, router);
            serving.with_graceful_shutdown(stopped.cancelled_owned()).await.expect("it serves");
        });
        self.running = Some((stop, serving));
    }

    async fn go(&mut self) {
        if let Some((stop, serving)) = self.running.take() {
            stop.cancel();
            serving.await.expect("it ends");
        }
    }
}

#[derive(Clone)]
struct Registered {
    index: u64,
    entries: Vec<Value>,
}

pub(super) struct FakeRegistry {
    server: Server,
    state: Arc<watch::Sender<Registered>>,
    pub keys: Arc<watch::Sender<Keys>>,
}

impl FakeRegistry {
    pub async fn start(entries: &[Value]) -> Self {
        let registered = Registered { index: 100, entries: entries.to_vec() };
        let state = Arc::new(watch::Sender::new(registered));
        let router = Router::new()
            .route("/v1/health/state/any", get(wait))
            .route("/v1/catalog/services", get(names))
            .route("/v1/health/service/{name}", get(instances))
            .with_state(state.clone());
        let keys = Arc::new(watch::Sender::new(Keys::default()));
        let router = router.merge(super::keys::routes(keys.clone()));
        Self { server: Server::start(router).await, state, keys }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    pub fn set(&self, entries: &[Value]) {
        self.state.send_modify(|state| {
            state.index += 1;
            state.entries = entries.to_vec();
        });
    }

    /// A restart: nobody is registered, and the index begins anew.
    pub fn forget(&self) {
        self.state.send_replace(Registered { index: 1, entries: Vec::new() });
    }

    pub async fn go(&mut self) {
        self.server.go().await;
    }

    pub async fn come(&mut self) {
        self.server.come().await;
    }
}

type Entries = State<Arc<watch::Sender<Registered>>>;

async fn wait(
    State(state): Entries,
    Query(query): Query<BTreeMap<String, String>>,
    stop: axum::Extension<CancellationToken>,
) -> Response {
    let index: u64 = query["index"].parse().expect("a number");
    let ms: u64 = query["wait"].trim_end_matches("ms").parse().expect("a wait");
    let mut state = state.subscribe();
    let changed = state.wait_for(|state| index == 0 || state.index != index);
    tokio::select! {
        _ = tokio::time::timeout(Duration::from_millis(ms), changed) => {}
        () = stop.cancelled() => {}
    }
    let index = state.borrow().index;
    ([("x-consul-index", index.to_string())], "[]").into_response()
}

async fn names(State(state): Entries) -> Json<Value> {
    let state = state.borrow();
    let names = state.entries.iter().map(|entry| entry["Service"]["Service"].as_str());
    Json(names.map(|name| (name.expect("a name").to_owned(), json!([]))).collect())
}

async fn instances(State(state): Entries, Path(name): Path<String>) -> Json<Value> {
    let state = state.borrow();
    let of = state.entries.iter().filter(|entry| entry["Service"]["Service"] == name.as_str());
    Json(of.cloned().collect())
}

#[derive(Default)]
struct Observed {
    instances: Mutex<Vec<Value>>,
    asked: AtomicUsize,
}

pub(super) struct FakeMonitor {
    server: Server,
    observed: Arc<Observed>,
}

impl FakeMonitor {
    pub async fn start() -> Self {
        let observed = Arc::<Observed>::default();
        let router = Router::new().route("/api/processes", get(tell)).with_state(observed.clone());
        Self { server: Server::start(router).await, observed }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    pub fn set(&self, instances: &[Value]) {
        *self.observed.instances.lock().expect("no panic") = instances.to_vec();
    }

    pub fn asked(&self) -> usize {
        self.observed.asked.load(Ordering::Relaxed)
    }

    pub async fn go(&mut self) {
        self.server.go().await;
    }

    pub async fn come(&mut self) {
        self.server.come().await;
    }
}

async fn tell(
    State(observed): State<Arc<Observed>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Json<Value> {
    let count = observed.asked.fetch_add(1, Ordering::Relaxed);
    let mut instances = observed.instances.lock().expect("no panic").clone();
    if let Some(correlation) = query.get("correlation") {
        instances.retain(|instance| instance["correlation"] == correlation.as_str());
    }
    let late = instances.iter().filter(|instance| instance["state"] == "late").count();
    Json(json!({
        // Another each time, which alone is no change.
        "as_of": format!("2026-01-02T03:04:{:02}Z", count % 60),
        "processes": [process(instances.len() - late, late)],
        "instances": instances,
    }))
}

pub(super) fn process(complete: usize, late: usize) -> Value {
    json!({
        "name": "customer-creation",
        "title": "Creating a customer",
        "steps": [
            { "id": "created", "title": "Customer created", "service": "customers",
              "event": "customer.created", "after": [], "within_ms": null },
            { "id": "mail", "title": "Welcome mail sent", "service": "email",
              "event": "welcome-mail.sent", "after": ["created"], "within_ms": 10_000 },
        ],
        "counts": { "running": 0, "complete": complete, "late": late },
    })
}

pub(super) fn complete(correlation: &str) -> Value {
    json!({
        "process": "customer-creation",
        "correlation": correlation,
        "subject": format!("/customers/{correlation}"),
        "state": "complete",
        "started": "2026-01-02T03:04:05.000000Z",
        "steps": [
            { "id": "created", "state": "done", "at": "2026-01-02T03:04:05Z", "event_id": "e-1" },
            { "id": "mail", "state": "done", "at": "2026-01-02T03:04:05.12Z", "event_id": "e-2" },
        ],
        "unexpected": [],
    })
}

pub(super) fn late(correlation: &str) -> Value {
    let mut instance = complete(correlation);
    instance["state"] = json!("late");
    instance["steps"][1] = json!({ "id": "mail", "state": "late", "at": null, "event_id": null });
    instance["unexpected"] = json!([{ "event": "customer.closed", "service": "customers", "at": "2026-01-02T03:04:07Z" }]);
    instance
}

/// A process that tells its breakers: what `docs/wire/breakers.md` shows.
pub(super) async fn board() -> SocketAddr {
    let text = include_str!("../../../../docs/wire/breakers.md");
    let example = text.split("```json").nth(1).and_then(|rest| rest.split("```").next());
    let board: Value = serde_json::from_str(example.expect("an example")).expect("JSON");
    let router = Router::new().route("/breakers", get(async move || Json(board.clone())));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
