//! Consul's HTTP API, the part of it that services and their clients use.

mod agent;
mod answer;
mod catalog;
mod health;
mod params;

pub(crate) use params::Wait;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{Method, Uri},
    routing::{get, put},
};
use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;

/// The largest registration, in bytes.
const MAX_BODY: usize = 128 * 1024;

/// What handlers work with.
#[derive(Clone)]
pub(crate) struct Shared {
    pub catalog: Arc<Catalog>,
    pub drain: CancellationToken,
    pub address: String,
}

/// The routes under `/v1`.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/v1/agent/self", get(agent::this))
        .route("/v1/agent/services", get(agent::services))
        .route("/v1/agent/service/{id}", get(agent::service))
        .route("/v1/agent/service/register", put(agent::register))
        .route("/v1/agent/service/deregister/{id}", put(agent::deregister))
        .route("/v1/agent/service/maintenance/{id}", put(agent::maintenance))
        .route("/v1/agent/checks", get(agent::checks))
        .route("/v1/agent/check/pass/{check}", put(agent::pass))
        .route("/v1/agent/check/warn/{check}", put(agent::warn))
        .route("/v1/agent/check/fail/{check}", put(agent::fail))
        .route("/v1/agent/check/update/{check}", put(agent::update))
        .route("/v1/catalog/datacenters", get(catalog::datacenters))
        .route("/v1/catalog/nodes", get(catalog::nodes))
        .route("/v1/catalog/services", get(catalog::services))
        .route("/v1/catalog/service/{name}", get(catalog::service))
        .route("/v1/health/service/{name}", get(health::service))
        .route("/v1/health/checks/{name}", get(health::checks))
        .route("/v1/health/state/{state}", get(health::state))
        .route("/v1/health/node/{node}", get(health::node))
        .route("/v1/status/leader", get(leader))
        .route("/v1/status/peers", get(peers))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
}

async fn leader(State(shared): State<Shared>) -> Json<String> {
    Json(shared.address)
}

async fn peers(State(shared): State<Shared>) -> Json<[String; 1]> {
    Json([shared.address])
}

async fn unknown(uri: Uri) -> answer::Fault {
    answer::Fault::not_found(format!(
        "Invalid URL path: '{}' is not part of Consul's API as this registry has it",
        uri.path()
    ))
}

async fn not_allowed(method: Method) -> answer::Fault {
    answer::Fault::not_allowed(format!("method {method} not allowed"))
}
