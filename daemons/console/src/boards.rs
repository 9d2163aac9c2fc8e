//! Gathering what every process tells of its breakers (docs/wire/breakers.md).

use std::{collections::HashMap, sync::Arc, time::Duration};

use backline_client::{Client, Discovery};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::Instant};

use crate::catalog::Service;

const TIMEOUT: Duration = Duration::from_secs(1);
/// How many processes are asked at a time.
const AT_A_TIME: usize = 16;

/// What one process tells, or that it tells nothing.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Process {
    pub service: String,
    pub instance: String,
    /// Nothing where it gave no answer that can be read.
    pub board: Option<Board>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Board {
    pub server: Option<Server>,
    pub dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Server {
    pub limit: u64,
    pub in_flight: u64,
    pub refused: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Dependency {
    pub to: String,
    pub purpose: String,
    pub if_down: Option<String>,
    pub timeout_ms: u64,
    pub latency_ms: Option<Latency>,
    pub breaker: Breaker,
    pub bulkhead: Bulkhead,
    pub retries: Retries,
    #[serde(default)]
    pub ejected: Vec<Ejected>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Latency {
    pub calls: u64,
    pub p50: f64,
    pub p99: f64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Breaker {
    pub state: String,
    pub for_ms: u64,
    pub reason: Option<String>,
    pub calls: u64,
    pub failure_rate: Option<f64>,
    pub slow_rate: Option<f64>,
    pub refused: u64,
    pub opened: u64,
    pub limits: Limits,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Limits {
    pub failure_rate: f64,
    pub slow_rate: f64,
    pub slow_ms: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Bulkhead {
    pub limit: u64,
    pub taken: u64,
    pub waiting: u64,
    pub refused: u64,
    pub connections: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Retries {
    pub made: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Ejected {
    pub address: String,
    pub for_ms: u64,
}

/// All boards: one read for all who want to know at about the same time.
#[derive(Default)]
pub(crate) struct Boards {
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    asked: Option<Instant>,
    seen: Arc<Vec<Process>>,
    /// By address. Those of processes that are gone are dropped.
    clients: HashMap<String, Client>,
}

impl Boards {
    /// What all processes tell, no older than `age`, ordered by service and instance.
    pub async fn all(&self, services: &[Service], age: Duration) -> Arc<Vec<Process>> {
        let mut shared = self.shared.lock().await;
        if shared.asked.is_none_or(|asked| asked.elapsed() >= age) {
            let now = Instant::now();
            let mut clients = HashMap::new();
            let mut asked = Vec::new();
            for service in services {
                for instance in &service.instances {
                    let address = &instance.address;
                    let kept = shared.clients.get(address).cloned();
                    let Some(client) = kept.or_else(|| client(&service.name, address)) else {
                        continue;
                    };
                    clients.insert(address.clone(), client.clone());
                    asked.push(ask(client, service.name.clone(), instance.id.clone()));
                }
            }
            shared.clients = clients;
            shared.seen = Arc::new(stream::iter(asked).buffered(AT_A_TIME).collect().await);
            // Whoever asks may give up before: then nothing was seen.
            shared.asked = Some(now);
        }
        shared.seen.clone()
    }
}

/// A client for one process. Each has a discovery of its own: what the console asks to show the
/// board stands on no board.
fn client(service: &str, address: &str) -> Option<Client> {
    let discovery = Discovery::from_url(&format!("static:{service}={address}"), "console").ok()?;
    Some(discovery.client(service))
}

async fn ask(client: Client, service: String, instance: String) -> Process {
    let answer = client.get("/breakers").timeout(TIMEOUT).send().await;
    let board = answer.and_then(|answer| answer.json());
    if let Err(error) = &board {
        tracing::debug!(error = error as &dyn std::error::Error, instance, "no board");
    }
    Process { service, instance, board: board.ok() }
}
