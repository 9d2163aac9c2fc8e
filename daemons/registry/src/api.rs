//! Consul's HTTP API, the part of it that services and their clients use.

mod agent;
mod answer;
mod catalog;
mod health;
mod kv;
mod params;
mod txn;

pub(crate) use answer::Fault;
pub(crate) use params::Wait;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{Method, Uri},
    routing::{get, put},
};
use backline_chassis::OperatorToken;
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::Catalog,
    kv::{Keys, MAX_VALUE},
};

/// The largest registration, in bytes.
const MAX_BODY: usize = 128 * 1024;

/// What handlers work with.
#[derive(Clone)]
pub(crate) struct Shared {
    pub catalog: Arc<Catalog>,
    pub keys: Keys,
    /// Who has it may write keys; without it nobody may.
    pub operator: Option<OperatorToken>,
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
        .merge(key_routes())
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
}

fn key_routes() -> Router<Shared> {
    let methods = || get(kv::read).put(kv::write).delete(kv::delete);
    Router::new()
        .route("/v1/kv/", methods())
        .route("/v1/kv/{*key}", methods())
        .route("/v1/txn", put(txn::run))
        .layer(DefaultBodyLimit::max(MAX_VALUE))
}

async fn leader(State(shared): State<Shared>) -> Json<String> {
    Json(shared.address)
}

async fn peers(State(shared): State<Shared>) -> Json<[String; 1]> {
    Json([shared.address])
}

async fn unknown(uri: Uri) -> Fault {
    Fault::not_found(format!(
        "Invalid URL path: '{}' is not part of Consul's API as this registry has it",
        uri.path()
    ))
}

async fn not_allowed(method: Method) -> Fault {
    Fault::not_allowed(format!("method {method} not allowed"))
}
