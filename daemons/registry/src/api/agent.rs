//! `/v1/agent`: registering, reporting, and what is registered.

use axum::{
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::HeaderName,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    Shared,
    answer::{self, Fault},
    params::Params,
};
use crate::{check::Status, registration::Registration, wire};

/// The part that clients look at to know whom they talk to.
pub async fn this(State(shared): State<Shared>, params: Params) -> Response {
    let node = shared.catalog.node();
    let body = json!({
        "Config": {
            "Datacenter": node.datacenter,
            "PrimaryDatacenter": node.datacenter,
            "NodeName": node.name,
            "NodeID": wire::node_id(node),
            "Server": true,
            "Revision": "",
            "Version": env!("CARGO_PKG_VERSION"),
        },
        "DebugConfig": {},
        "Member": { "Name": node.name, "Addr": node.address, "Status": 1, "Tags": {} },
        "Meta": {},
    });
    answer::json(body.to_string().into(), &params)
}

pub async fn services(State(shared): State<Shared>, params: Params) -> Response {
    answer::json(shared.catalog.agent_services(), &params)
}

pub async fn service(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Fault> {
    let found = shared.catalog.agent_service(&id);
    let (body, hash) =
        found.ok_or_else(|| Fault::not_found(format!("unknown service ID: {id}")))?;
    let hash = [(HeaderName::from_static("x-consul-contenthash"), hash)];
    Ok((hash, answer::json(body, &params)).into_response())
}

pub async fn checks(State(shared): State<Shared>, params: Params) -> Response {
    answer::json(shared.catalog.agent_checks(), &params)
}

pub async fn register(
    State(shared): State<Shared>,
    params: Params,
    body: Result<Bytes, BytesRejection>,
) -> Result<(), Fault> {
    let registration = Registration::parse(&body?)?;
    let (id, service) = (registration.service.id.clone(), registration.service.name.clone());
    let changed = shared.catalog.register(registration, params.flag("replace-existing-checks")?)?;
    if changed {
        tracing::info!(instance = id, service, "registered");
    }
    Ok(())
}

pub async fn deregister(State(shared): State<Shared>, Path(id): Path<String>) -> Result<(), Fault> {
    if !shared.catalog.deregister(&id) {
        return Err(unknown_service(&id));
    }
    tracing::info!(instance = id, "deregistered");
    Ok(())
}

pub async fn maintenance(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<(), Fault> {
    if !params.has("enable") {
        return Err(Fault::bad_request("Missing value for enable"));
    }
    let reason = params.flag("enable")?.then(|| {
        let reason = params.get("reason").filter(|reason| !reason.is_empty());
        reason.unwrap_or("Maintenance mode is enabled for this service").to_owned()
    });
    match shared.catalog.maintain(&id, reason) {
        true => Ok(()),
        false => Err(unknown_service(&id)),
    }
}

fn unknown_service(id: &str) -> Fault {
    Fault::not_found(format!(
        "Unknown service ID \"{id}\". Ensure that the service ID is passed, not the service name."
    ))
}

pub async fn pass(shared: State<Shared>, check: Path<String>, params: Params) -> Result<(), Fault> {
    heartbeat(&shared, &check, Status::Passing, &params)
}

pub async fn warn(shared: State<Shared>, check: Path<String>, params: Params) -> Result<(), Fault> {
    heartbeat(&shared, &check, Status::Warning, &params)
}

pub async fn fail(shared: State<Shared>, check: Path<String>, params: Params) -> Result<(), Fault> {
    heartbeat(&shared, &check, Status::Critical, &params)
}

fn heartbeat(shared: &Shared, check: &str, status: Status, params: &Params) -> Result<(), Fault> {
    let note = params.get("note").unwrap_or_default().to_owned();
    Ok(shared.catalog.heartbeat(check, status, note)?)
}

/// What `check/update` says.
#[derive(serde::Deserialize)]
struct Update {
    #[serde(alias = "Status")]
    status: String,
    #[serde(default, alias = "Output")]
    output: Option<String>,
}

pub async fn update(
    State(shared): State<Shared>,
    Path(check): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(), Fault> {
    let update: Update = serde_json::from_slice(&body?)
        .map_err(|error| Fault::bad_request(format!("Request decode failed: {error}")))?;
    let status = update
        .status
        .parse()
        .map_err(|error: String| Fault::bad_request(format!("Invalid check status: {error}")))?;
    let output = update.output.unwrap_or_default();
    Ok(shared.catalog.heartbeat(&check, status, output)?)
}
