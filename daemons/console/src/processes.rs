//! What the monitor says of processes. Read from it and passed on in the same shape.

use serde::{Deserialize, Serialize};

/// The monitor's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Processes {
    pub as_of: String,
    pub processes: Vec<Process>,
    /// The newest first.
    pub instances: Vec<Instance>,
}

/// A declared process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub name: String,
    pub title: String,
    pub steps: Vec<Step>,
    pub counts: Counts,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub id: String,
    pub title: String,
    pub service: String,
    pub event: String,
    pub after: Vec<String>,
    pub within_ms: Option<u64>,
}

/// How many instances there are of each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub running: u64,
    pub complete: u64,
    pub late: u64,
}

/// An instance of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub process: String,
    pub correlation: String,
    pub subject: String,
    pub state: State,
    pub started: String,
    pub steps: Vec<StepOf>,
    pub unexpected: Vec<Unexpected>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Running,
    Complete,
    Late,
}

/// A step of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepOf {
    pub id: String,
    pub state: StepState,
    pub at: Option<String>,
    pub event_id: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StepState {
    Done,
    Waiting,
    Late,
    Missing,
}

/// An event that no step expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unexpected {
    pub event: String,
    pub service: String,
    pub at: String,
}

impl Processes {
    /// Over all processes.
    pub fn totals(&self) -> Counts {
        self.processes.iter().fold(Counts::default(), |sum, process| Counts {
            running: sum.running + process.counts.running,
            complete: sum.complete + process.counts.complete,
            late: sum.late + process.counts.late,
        })
    }

    /// The part that belongs to one correlation id.
    pub fn of(&self, correlation: &str) -> Self {
        let mut part = self.clone();
        part.instances.retain(|instance| instance.correlation == correlation);
        part
    }
}
