//! `/breakers`: the measures around the calls of this process (docs/wire/breakers.md).

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, Router, extract::State, routing::get};
use backline_client::{DependencySeen, Discovery};
use backline_resilience::Shed;
use serde::Serialize;

use crate::process::Process;

/// What happens to a consumer while the producer is away: the same for all, by how feeds work.
const FEED_IF_DOWN: &str = "its events wait at it, and are handled when it is back";
const REGISTRY_IF_DOWN: &str = "the last known addresses are used";
const TRAFFIC_IF_DOWN: &str = "its callers get 503 and when to try again; nobody else is touched";
const OPERATIONS_IF_DOWN: &str = "what was known before is shown, with its age";

/// Where the board gets what it shows.
#[derive(Clone)]
pub(crate) struct Board(Arc<Inner>);

struct Inner {
    service: &'static str,
    instance: String,
    discovery: Discovery,
    shed: Option<Shed>,
    if_down: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
struct Shown {
    service: &'static str,
    instance: String,
    as_of: String,
    server: Option<Server>,
    dependencies: Vec<Dependency>,
}

#[derive(Serialize)]
struct Server {
    limit: u32,
    in_flight: u32,
    admitted: u64,
    refused: u64,
}

#[derive(Serialize)]
struct Dependency {
    #[serde(flatten)]
    seen: DependencySeen,
    if_down: Option<&'static str>,
}

impl Board {
    pub fn of(
        process: &Process,
        shed: Option<Shed>,
        if_down: BTreeMap<&'static str, &'static str>,
    ) -> Self {
        Self(Arc::new(Inner {
            service: process.name(),
            instance: process.config.instance.clone(),
            discovery: process.discovery.clone(),
            shed,
            if_down,
        }))
    }

    fn shown(&self) -> Shown {
        let inner = &self.0;
        let server = inner.shed.as_ref().map(|shed| {
            let seen = shed.snapshot();
            let (admitted, refused) = (seen.admitted, seen.refused);
            Server { limit: seen.limit, in_flight: seen.in_flight, admitted, refused }
        });
        let dependencies = inner.discovery.dependencies().into_iter().map(|seen| {
            let if_down = match (seen.purpose, seen.to.as_str()) {
                ("feed", _) => Some(FEED_IF_DOWN),
                (_, "registry") => Some(REGISTRY_IF_DOWN),
                ("traffic", _) => Some(TRAFFIC_IF_DOWN),
                ("operations", _) => Some(OPERATIONS_IF_DOWN),
                (_, to) => inner.if_down.get(to).copied(),
            };
            Dependency { seen, if_down }
        });
        Shown {
            service: inner.service,
            instance: inner.instance.clone(),
            as_of: crate::now(),
            server,
            dependencies: dependencies.collect(),
        }
    }
}

pub(crate) fn routes(board: Board) -> Router {
    Router::new()
        .route("/breakers", get(async |State(board): State<Board>| Json(board.shown())))
        .with_state(board)
}
