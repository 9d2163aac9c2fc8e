//! The same as JSON: `docs/wire/console.md` has the shapes.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use backline_client::Cause;
use backline_hypermedia::{Problem, not_modified};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    assets,
    boards::Process,
    catalog::Service,
    console::Console,
    operator::Maintained,
    problems::{self, Trace},
};

pub(crate) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/api", get(index))
        .route("/api/services", get(services))
        .route("/api/processes", get(processes))
        .route("/api/breakers", get(breakers))
        .route("/api/audit", get(audit))
}

async fn index(request: HeaderMap) -> Response {
    const INDEX: &str = include_str!("../assets/api.json");
    tagged(&request, INDEX.to_owned(), &format!("\"{}\"", assets::mark(INDEX)), None)
}

#[derive(Serialize)]
struct Services<'a> {
    as_of: Timestamp,
    services: &'a [Service],
}

async fn services(
    State(console): State<Arc<Console>>,
    request: HeaderMap,
    trace: Trace,
) -> Result<Response, Problem> {
    // Just started: the registry's first answer is a moment away.
    let mut registry = console.registry.clone();
    let answered = registry.wait_for(|known| known.services.is_some());
    let _ = tokio::time::timeout(console.timings.pause, answered).await;
    let known = console.registry.borrow().clone();
    let services = known.services.as_deref().ok_or_else(|| problems::away("registry", &trace))?;
    let as_of = known.as_of();
    Ok(answer(&request, as_of, &services, &Services { as_of, services }))
}

#[derive(Serialize)]
struct Breakers<'a> {
    as_of: Timestamp,
    maintenance: &'a [Maintained],
    processes: &'a [Process],
}

async fn breakers(State(console): State<Arc<Console>>, request: HeaderMap) -> Response {
    let (processes, as_of) = (console.boards().await, Timestamp::now());
    let maintenance = &*console.operators.maintained();
    let lasting = (maintenance, &*processes);
    answer(&request, as_of, &lasting, &Breakers { as_of, maintenance, processes: &processes })
}

async fn audit(State(console): State<Arc<Console>>, request: HeaderMap) -> Response {
    let (records, as_of) = (console.audit.newest().await, Timestamp::now());
    let whole = serde_json::json!({ "as_of": as_of, "records": records });
    answer(&request, as_of, &records, &whole)
}

#[derive(Deserialize)]
struct Filter {
    correlation: Option<String>,
}

async fn processes(
    State(console): State<Arc<Console>>,
    filter: Result<Query<Filter>, QueryRejection>,
    cause: Option<Extension<Cause>>,
    request: HeaderMap,
    trace: Trace,
) -> Result<Response, Problem> {
    let Query(filter) =
        filter.map_err(|error| problems::invalid_query(&error.body_text(), &trace))?;
    let cause = cause.map_or_else(Cause::root, |Extension(cause)| cause);
    let read = console.monitor.read(filter.correlation.as_deref(), &cause).await;
    let read = read.map_err(|error| {
        let away = error.is_away();
        tracing::warn!(error = &error as &dyn std::error::Error, "the monitor could not be read");
        if away { problems::away("monitor", &trace) } else { problems::failed("monitor", &trace) }
    })?;
    let as_of = read.as_of.parse().unwrap_or_else(|_| Timestamp::now());
    Ok(answer(&request, as_of, &(&read.processes, &read.instances), &read))
}

/// The tag leaves the moment out, and is weak for it: what is the same at another moment is as
/// good. The moment stands in `As-Of`, which a 304 renews.
fn answer(
    request: &HeaderMap,
    as_of: Timestamp,
    lasting: &impl Serialize,
    whole: &impl Serialize,
) -> Response {
    let (Ok(lasting), Ok(body)) = (serde_json::to_string(lasting), serde_json::to_string(whole))
    else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    tagged(request, body, &format!("W/\"{}\"", assets::mark(&lasting)), Some(as_of))
}

fn tagged(request: &HeaderMap, body: String, etag: &str, as_of: Option<Timestamp>) -> Response {
    let mut response = match not_modified(request, etag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(header::ETAG, etag);
    }
    if let Some(Ok(as_of)) = as_of.map(|as_of| HeaderValue::try_from(as_of.to_string())) {
        headers.insert("as-of", as_of);
    }
    response
}
