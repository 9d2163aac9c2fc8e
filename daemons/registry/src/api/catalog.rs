//! `/v1/catalog`: what there is, without health.

use axum::{
    Json,
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
    catalog::{Catalog, Filter, Topic},
};

pub async fn datacenters(State(shared): State<Shared>) -> Json<[String; 1]> {
    Json([shared.catalog.node().datacenter.clone()])
}

pub async fn nodes(State(shared): State<Shared>, params: Params) -> Result<Response, Fault> {
    let (wait, topic) = (params.wait()?, Topic::Nodes);
    let answer = query(&shared.catalog, &shared.drain, wait, topic, Catalog::nodes).await;
    Ok(indexed(answer, &params))
}

pub async fn services(State(shared): State<Shared>, params: Params) -> Result<Response, Fault> {
    let (wait, topic) = (params.wait()?, Topic::Names);
    let answer = query(&shared.catalog, &shared.drain, wait, topic, Catalog::names).await;
    Ok(indexed(answer, &params))
}

pub async fn service(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Fault> {
    let wait = params.wait()?;
    // The catalog knows no health.
    let filter = Filter { passing: false, ..params.filter()? };
    let topic = Topic::Service(&name);
    let read = |catalog: &Catalog| catalog.instances_of(&name, &filter);
    Ok(indexed(query(&shared.catalog, &shared.drain, wait, topic, read).await, &params))
}
