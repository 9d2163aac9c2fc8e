//! `/v1/health`: instances and their checks.

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::{
    Shared,
    answer::{Fault, indexed},
    params::Params,
};
use crate::{
    blocking::query,
    catalog::{Catalog, Topic},
};

pub async fn service(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Fault> {
    let (filter, wait) = (params.filter()?, params.wait()?);
    let topic = Topic::Service(&name);
    let read = |catalog: &Catalog| catalog.health(&name, &filter);
    Ok(indexed(query(&shared.catalog, &shared.drain, wait, topic, read).await, &params))
}

pub async fn checks(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Fault> {
    let (wait, topic) = (params.wait()?, Topic::Service(&name));
    let read = |catalog: &Catalog| catalog.checks(&name);
    Ok(indexed(query(&shared.catalog, &shared.drain, wait, topic, read).await, &params))
}

pub async fn state(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Fault> {
    let status = match name.as_str() {
        "any" => None,
        name => Some(name.parse().map_err(|error| Fault::bad_request(format!("{error}, or any")))?),
    };
    let read = |catalog: &Catalog| catalog.checks_in(status);
    let answer = query(&shared.catalog, &shared.drain, params.wait()?, Topic::Checks, read).await;
    Ok(indexed(answer, &params))
}

pub async fn node(
    State(shared): State<Shared>,
    Path(node): Path<String>,
    params: Params,
) -> Result<Response, Fault> {
    let here = node == shared.catalog.node().name;
    let topic = if here { Topic::Checks } else { Topic::Nodes };
    let read = |catalog: &Catalog| match here {
        true => catalog.checks_in(None),
        false => catalog.nothing(),
    };
    let answer = query(&shared.catalog, &shared.drain, params.wait()?, topic, read).await;
    Ok(indexed(answer, &params))
}
