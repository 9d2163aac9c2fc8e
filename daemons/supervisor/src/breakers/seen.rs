//! What all processes of the estate say of the measures around their calls (docs/wire/breakers.md).

use std::{thread, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    probe,
    state::{Instance, State},
};

/// A process that takes longer is named as one that does not answer.
const WITHIN: Duration = Duration::from_secs(2);

/// The boards of all processes at one moment: the shape of `breakers --json`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Boards {
    /// As the processes sent them, in the order of their instances' names: a service of another
    /// language may tell more.
    pub processes: Vec<Value>,
    /// Those that told nothing.
    pub silent: Vec<Silent>,
}

/// A process that does not tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Silent {
    pub instance: String,
    pub service: String,
    pub why: String,
}

/// What one process tells, as far as it is shown here. What a process leaves out is not shown.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Board {
    pub service: String,
    pub instance: String,
    pub server: Option<Server>,
    pub dependencies: Vec<Dependency>,
}

/// The limit of a service itself.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Server {
    pub limit: u64,
    pub in_flight: u64,
    pub refused: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Dependency {
    pub to: String,
    pub purpose: String,
    pub timeout_ms: u64,
    pub latency_ms: Option<Latency>,
    pub breaker: Breaker,
    pub bulkhead: Bulkhead,
    pub retries: Retries,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Latency {
    pub p99: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Breaker {
    pub state: String,
    pub for_ms: u64,
    pub reason: Option<String>,
    pub failure_rate: Option<f64>,
    pub slow_rate: Option<f64>,
    pub refused: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Bulkhead {
    pub limit: u64,
    pub taken: u64,
    pub refused: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Retries {
    pub made: u64,
}

impl Boards {
    /// Asks all processes at the same time, or those of one service.
    pub fn ask(state: &State, only: Option<&str>) -> Self {
        let agent = &probe::agent_within(WITHIN);
        let instances = state.instances().filter(|(it, _)| only.is_none_or(|only| it.name == only));
        let mut told: Vec<_> = thread::scope(|scope| {
            let asked: Vec<_> = instances
                .map(|(service, instance)| {
                    (service, instance, scope.spawn(move || one(agent, instance)))
                })
                .collect();
            let dead = |_| Err("asking it failed".to_owned());
            asked
                .into_iter()
                .map(|(service, instance, answer)| {
                    (service, instance, answer.join().unwrap_or_else(dead))
                })
                .collect()
        });
        told.sort_by(|a, b| a.1.id.cmp(&b.1.id));
        let mut boards = Self::default();
        for (service, instance, answer) in told {
            match answer {
                Ok(board) => boards.processes.push(board),
                Err(why) => boards.silent.push(Silent {
                    instance: instance.id.clone(),
                    service: service.name.clone(),
                    why,
                }),
            }
        }
        boards
    }

    /// What can be shown of them.
    pub fn read(&self) -> Vec<Board> {
        let read = |board: &Value| Board::deserialize(board).ok();
        self.processes.iter().filter_map(read).collect()
    }
}

/// The board of one process, or why there is none.
fn one(agent: &ureq::Agent, instance: &Instance) -> Result<Value, String> {
    let Some(address) = instance.address.filter(|_| instance.process.is_some()) else {
        return Err("it does not run at the moment".to_owned());
    };
    let request = agent.get(format!("http://{address}/breakers"));
    let mut answer = request
        .header("Backline-Instance", &instance.id)
        .call()
        .map_err(|error| format!("it does not answer: {error}"))?;
    if !answer.status().is_success() {
        return Err(format!("it answers {} to GET /breakers", answer.status()));
    }
    let unreadable = |error: String| format!("its answer to GET /breakers is wrong: {error}");
    let board: Value = answer.body_mut().read_json().map_err(|e| unreadable(e.to_string()))?;
    Board::deserialize(&board).map_err(|e| unreadable(e.to_string()))?;
    Ok(board)
}
