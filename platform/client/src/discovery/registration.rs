//! Being registered, and staying so whatever happens to the registry.

use std::{collections::BTreeMap, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Registry, Timings};
use crate::{Error, backoff::Backoff};

/// The drain must not wait longer for the registry.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// What a process tells the registry of itself.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The instance's name, unique in the estate: `loyalty-1`.
    pub id: String,
    /// The service that it is an instance of.
    pub service: String,
    /// Where it listens; its `/health` is checked there each second.
    pub address: SocketAddr,
    /// Marks that callers choose by: `public`, `zone=local`.
    pub tags: Vec<String>,
    /// What it says of itself.
    pub meta: BTreeMap<String, String>,
}

/// Registers until the drain, again whenever the registry has forgotten.
pub(super) async fn keep(
    registry: Arc<Registry>,
    registration: Registration,
    timings: Timings,
    drain: CancellationToken,
) {
    let staying = stay(&registry, &registration, timings, &drain);
    let mut staying = pin!(staying);
    let mut under_way = true;
    tokio::select! {
        () = &mut staying => under_way = false,
        () = drain.cancelled() => {}
    }
    let left = timeout(LEAVE_WITHIN, async {
        // A request under way is finished first: it must not arrive after the farewell.
        if under_way {
            staying.await;
        }
        leave(&registry, &registration).await
    });
    match left.await {
        Ok(Ok(())) => tracing::debug!(instance = registration.id, "left the registry"),
        Ok(Err(error)) => tracing::warn!(
            instance = registration.id,
            error = &error as &dyn std::error::Error,
            "could not leave the registry: its health check will find out"
        ),
        Err(_) => tracing::warn!(
            instance = registration.id,
            "could not leave the registry in time: its health check will find out"
        ),
    }
}

async fn stay(
    registry: &Registry,
    registration: &Registration,
    timings: Timings,
    drain: &CancellationToken,
) {
    let [first, longest] = timings.pauses;
    let mut backoff = Backoff::new(first, longest);
    // Told in any case at the start: what is listed may be of an earlier process.
    let mut told = false;
    while !drain.is_cancelled() {
        let pause = match see_to_it(registry, registration, told).await {
            Ok(()) => {
                told = true;
                backoff.reset();
                timings.heartbeat
            }
            Err(_) => backoff.pause(),
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = drain.cancelled() => {}
        }
    }
}

async fn see_to_it(
    registry: &Registry,
    registration: &Registration,
    told: bool,
) -> Result<(), Error> {
    if told && registry.registered(&registration.id).await? == Some(registration.address) {
        return Ok(());
    }
    registry.register(registration, !told).await
}

/// Takes the registration out, unless a successor of the same name has taken it over.
async fn leave(registry: &Registry, registration: &Registration) -> Result<(), Error> {
    match registry.registered(&registration.id).await? {
        Some(address) if address == registration.address => {
            registry.deregister(&registration.id).await
        }
        _ => Ok(()),
    }
}
