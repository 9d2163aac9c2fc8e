//! Reading the monitor: one read for all who want to know at about the same time.

use std::{sync::Arc, time::Duration};

use backline_client::{Cause, Client, Error};
use tokio::{sync::Mutex, time::Instant};

use crate::{processes::Processes, view};

const TIMEOUT: Duration = Duration::from_secs(1);

/// What is known of processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The monitor's last answer.
    pub known: Option<Arc<Processes>>,
    /// Whether it gave none the last time.
    pub away: bool,
}

pub(crate) struct Monitor {
    client: Client,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    asked: Option<Instant>,
    seen: Seen,
}

impl Monitor {
    pub fn new(client: Client) -> Self {
        Self { client, shared: Mutex::default() }
    }

    /// All processes and their newest instances, no older than `age`. Who asks while another's
    /// question is open gets the answer to that one.
    pub async fn overview(&self, age: Duration) -> Seen {
        let mut shared = self.shared.lock().await;
        if shared.asked.is_none_or(|asked| asked.elapsed() >= age) {
            let asked = Instant::now();
            let read = self.read(None, &Cause::root()).await;
            shared.asked = Some(asked);
            match read {
                Ok(processes) => {
                    if shared.seen.away {
                        tracing::info!("the monitor is back");
                    }
                    shared.seen = Seen { known: Some(Arc::new(processes)), away: false };
                }
                Err(error) => {
                    if !std::mem::replace(&mut shared.seen.away, true) {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "the monitor is away: showing what is known");
                    }
                }
            }
        }
        shared.seen.clone()
    }

    /// The instances of one correlation id; while the monitor is away, those among the last known.
    pub async fn correlated(&self, correlation: &str) -> Seen {
        match self.read(Some(correlation), &Cause::root()).await {
            Ok(processes) => Seen { known: Some(Arc::new(processes)), away: false },
            Err(_) => {
                let known = self.shared.lock().await.seen.known.clone();
                Seen { known: known.map(|known| Arc::new(known.of(correlation))), away: true }
            }
        }
    }

    /// What it says now.
    pub async fn read(&self, correlation: Option<&str>, cause: &Cause) -> Result<Processes, Error> {
        let mut path = "/api/processes".to_owned();
        if let Some(correlation) = correlation {
            path = format!("{path}?correlation={}", view::segment(correlation));
        }
        self.client.get(&path).cause(cause).timeout(TIMEOUT).send().await?.json()
    }
}
