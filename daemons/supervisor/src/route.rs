//! Whether the gateway already leads to the public services.
//!
//! A healthy service registers itself, and the gateway learns of it from the registry: moments
//! after the last process is healthy. Who is told "up" may send a request at once, so the start is
//! over only then.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};
use ureq::Agent;

const MOST: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

/// Waits until all of `services` are reached through the gateway, but not for long; returns those
/// that are not.
pub async fn wait(agent: &Agent, gateway: SocketAddr, mut services: Vec<String>) -> Vec<String> {
    let deadline = Instant::now() + MOST;
    loop {
        let mut asked = JoinSet::new();
        for service in &services {
            let (agent, service) = (agent.clone(), service.clone());
            asked.spawn_blocking(move || leads_to(&agent, gateway, &service).then_some(service));
        }
        while let Ok(Some(answer)) = timeout_at(deadline, asked.join_next()).await {
            if let Ok(Some(reached)) = answer {
                services.retain(|service| *service != reached);
            }
        }
        if services.is_empty() || Instant::now() >= deadline {
            return services;
        }
        sleep(LOOK).await;
    }
}

/// Any answer of the service itself will do, so only the gateway's own are none.
fn leads_to(agent: &Agent, gateway: SocketAddr, service: &str) -> bool {
    let Ok(mut response) = agent.get(format!("http://{gateway}/{service}")).call() else {
        return false;
    };
    match response.status().as_u16() {
        502..=504 => false,
        404 => response
            .body_mut()
            .read_to_string()
            .is_ok_and(|body| !body.contains("urn:backline:error:no-such-service")),
        _ => true,
    }
}
