//! Asking a process how it is.

use std::{net::SocketAddr, time::Duration};

use serde::Deserialize;
use ureq::Agent;

/// What a process says of itself (draft-inadarei-api-health-check).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Health {
    /// `pass`, `warn` or `fail`.
    pub status: String,
    pub version: Option<String>,
}

/// A client that waits for nobody longer than a second, and keeps no connection: an idle one would
/// be in the way of a process that drains.
pub fn agent() -> Agent {
    agent_within(Duration::from_secs(1))
}

/// The same with another patience.
pub fn agent_within(time: Duration) -> Agent {
    Agent::config_builder()
        .timeout_global(Some(time))
        .http_status_as_error(false)
        .max_idle_connections(0)
        // Where another address answers, nothing is known of this one.
        .max_redirects(0)
        .max_redirects_will_error(false)
        // Loopback is never reached through somebody's proxy.
        .proxy(None)
        .build()
        .new_agent()
}

/// Asks for `/health`. None if nobody answers with success, or not the one that is meant: it says
/// 421 to the name of another instance.
pub fn health(agent: &Agent, address: SocketAddr, instance: &str) -> Option<Health> {
    let mut response = agent
        .get(format!("http://{address}/health"))
        .header("Backline-Instance", instance)
        .call()
        .ok()?;
    if !response.status().is_success() {
        return None;
    }
    response.body_mut().read_json().ok()
}
