//! Who is registered, how they are, and at which index that became true.
//!
//! One lock guards the state. Changes are short and happen in memory; readers share the bytes of
//! an answer, which are made once after each change. Nothing waits while it holds the lock.
//!
//! Index rules (docs/wire/registry.md): one counter grows with every change, and each service
//! keeps the numbers of the last changes that concerned it. Registering the same again, and a
//! check that finds the same state again, change nothing.

mod agenda;
mod answers;
mod change;
mod state;
mod wakes;

use std::{
    sync::{PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use tokio::time::Instant;

pub use agenda::Job;
pub use answers::{Answer, Filter, Found, FoundInstance};
pub use change::HeartbeatError;
use state::State;
pub(crate) use state::{Check, Instance};
pub use wakes::Topic;
use wakes::Wakes;

use crate::{
    check::{Outcome, Status},
    registration::Registration,
};

/// How many instances are kept. A service that registers a new ID at every start would fill the
/// memory otherwise.
pub const MAX_INSTANCES: usize = 20_000;

/// The registry itself, as one node of a datacenter.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The datacenter's name.
    pub datacenter: String,
    /// Its IP address, for instances that name none.
    pub address: String,
}

/// Why a registration was not taken, though it was well formed.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// No room.
    #[error(
        "the registry is full: it holds {MAX_INSTANCES} instances; deregister those that are gone"
    )]
    Full,
    /// Another instance has a check of that ID.
    #[error("CheckID '{check}' belongs to the instance '{owner}': give another, or none")]
    CheckTaken {
        /// The check.
        check: String,
        /// Whose it is.
        owner: String,
    },
}

/// The state of the registry, shared by all requests.
#[derive(Debug)]
pub struct Catalog {
    node: Node,
    state: RwLock<State>,
    wakes: Wakes,
}

impl Catalog {
    /// An empty catalog whose counter starts at `first_index` (at least 1).
    #[must_use]
    pub fn new(node: Node, first_index: u64) -> Self {
        Self { node, state: RwLock::new(State::new(first_index.max(1))), wakes: Wakes::default() }
    }

    /// The node that all instances are on.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Takes an instance in, or the place of the one with the same ID. With `replace_checks`,
    /// checks of that ID which are not mentioned go; without, they stay. Tells whether anything
    /// changed.
    ///
    /// # Errors
    /// When there is no room for another instance, or a check is another's.
    pub fn register(
        &self,
        registration: Registration,
        replace_checks: bool,
    ) -> Result<bool, Refused> {
        self.change(|state| state.register(registration, replace_checks))
    }

    /// Takes an instance and its checks out. Tells whether it was there.
    pub fn deregister(&self, id: &str) -> bool {
        self.change(|state| state.deregister(id))
    }

    /// Takes what a service says of itself (TTL checks).
    ///
    /// # Errors
    /// When there is no such check, or it is not one with a TTL.
    pub fn heartbeat(
        &self,
        check: &str,
        status: Status,
        note: String,
    ) -> Result<(), HeartbeatError> {
        self.change(|state| state.heartbeat(check, status, note))
    }

    /// Takes what a check found, unless the check was replaced meanwhile.
    pub fn report(&self, job: &Job, outcome: Outcome) {
        self.change(|state| state.report(job, outcome));
    }

    /// Puts an instance into maintenance with a reason, or takes it out. Tells whether there is
    /// such an instance.
    pub fn maintain(&self, id: &str, reason: Option<String>) -> bool {
        self.change(|state| state.maintain(id, reason))
    }

    /// Does what is due (checks expire, instances that were critical for too long go), hands out
    /// the checks to run, and tells when to come back.
    pub fn take_due(&self, now: Instant, run: impl FnMut(Job)) -> Option<Instant> {
        self.change(|state| state.take_due(now, run))
    }

    /// Ends when what is due may have changed. What changed before the call counts.
    pub async fn agenda_changed(&self) {
        self.wakes.agenda().notified().await;
    }

    /// Ends when the topic changes after the first poll.
    pub fn changed(&self, topic: Topic<'_>) -> tokio::sync::futures::Notified<'_> {
        self.wakes.topic(topic).notified()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then wakes whom it concerns.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut state);
        let touched = state.take_touched();
        if !touched.services.is_empty() {
            metrics::gauge!("registry_instances").set(state.instances.len() as f64);
        }
        drop(state);
        self.wakes.wake(&touched);
        result
    }
}

/// How long a critical instance had been so when it was taken out.
fn log_reaped(id: &str, after: Duration) {
    let critical_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    tracing::warn!(instance = id, critical_ms, "deregistered: it was critical for too long");
}

#[cfg(test)]
mod tests;
