//! `GET /api/processes`: see `docs/wire/console.md`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    routing::get,
};
use backline_hypermedia::Problem;
use backline_store::{Error, Store, Tx};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    declaration::{Declarations, Process, Step},
    evaluation::{InstanceState, Seen, StepState, evaluate},
    store::{self, Counts},
};

/// The most instances that one answer lists.
const MOST: i64 = 100;

#[derive(Clone)]
struct Parts {
    store: Store,
    declarations: Arc<Declarations>,
}

pub(crate) fn routes(store: Store, declarations: Arc<Declarations>) -> Router {
    Router::new().route("/api/processes", get(processes)).with_state(Parts { store, declarations })
}

#[derive(Deserialize)]
struct Filter {
    correlation: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    as_of: Timestamp,
    processes: Vec<ProcessView>,
    instances: Vec<InstanceView>,
}

#[derive(Serialize)]
struct ProcessView {
    name: String,
    title: String,
    steps: Vec<Step>,
    counts: Counts,
}

#[derive(Serialize)]
struct InstanceView {
    process: String,
    correlation: String,
    subject: String,
    state: InstanceState,
    started: String,
    steps: Vec<StepView>,
    unexpected: Vec<EventView>,
}

#[derive(Serialize)]
struct StepView {
    id: String,
    state: StepState,
    at: Option<Timestamp>,
    event_id: Option<String>,
}

#[derive(Serialize)]
struct EventView {
    event: String,
    service: String,
    at: Timestamp,
}

async fn processes(
    State(parts): State<Parts>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Answer>, Problem> {
    let Query(filter) = filter.map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid-query", "The query is not valid")
            .detail(error.body_text())
    })?;
    let declarations = parts.declarations.clone();
    let answer =
        parts.store.read(async move |tx: Tx| answer(&tx, &declarations, &filter).await).await;
    answer.map(Json).map_err(|error| {
        tracing::error!(%error, "the processes could not be read");
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store-unavailable",
            "The service's store does not answer at present",
        )
    })
}

async fn answer(tx: &Tx, declarations: &Declarations, filter: &Filter) -> Result<Answer, Error> {
    let now = Timestamp::now();
    let mut processes = Vec::new();
    for process in &declarations.0 {
        processes.push(ProcessView {
            name: process.name.clone(),
            title: process.title.clone(),
            steps: process.steps.clone(),
            counts: store::counts(tx, &process.name, now).await?,
        });
    }
    let mut instances = Vec::new();
    for instance in store::instances(tx, filter.correlation.as_deref(), MOST).await? {
        let declared = declarations.0.iter().find(|process| process.name == instance.process);
        if let Some(process) = declared {
            let seen = store::seen(tx, &instance.correlation).await?;
            instances.push(view(process, instance, &seen, now));
        }
    }
    Ok(Answer { as_of: now, processes, instances })
}

fn view(
    process: &Process,
    instance: store::Instance,
    seen: &[Seen],
    now: Timestamp,
) -> InstanceView {
    let evaluation = evaluate(process, seen, now);
    let steps = process.steps.iter().zip(&evaluation.steps);
    InstanceView {
        process: instance.process,
        correlation: instance.correlation,
        subject: instance.subject,
        state: evaluation.state,
        started: instance.started,
        steps: steps
            .map(|(step, (state, event))| StepView {
                id: step.id.clone(),
                state: *state,
                at: event.map(|event| event.at),
                event_id: event.map(|event| event.event_id.clone()),
            })
            .collect(),
        unexpected: evaluation
            .unexpected
            .iter()
            .map(|event| EventView {
                event: event.event.clone(),
                service: event.service.clone(),
                at: event.at,
            })
            .collect(),
    }
}
