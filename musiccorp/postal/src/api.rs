//! The mail room's resources.

use backline_chassis::{Answer, App, Cx, Fault, Paging, Path, Query, Resource};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::store::{self, Pack};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(root)).routes(routes!(list)).routes(routes!(show))
}

/// A welcome pack.
#[derive(Serialize, ToSchema)]
struct PackView<'a> {
    /// The name on the pack.
    name: &'a str,
    /// RFC 3339, UTC.
    posted: &'a str,
}

/// Whose packs.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Reference of a customer, such as `/customers/0198…`.
    customer: Option<String>,
}

/// Where to start
#[utoipa::path(get, path = "/postal",
    responses((status = 200, description = "Links", content_type = "application/hal+json")))]
async fn root() -> Answer {
    Ok(Resource::new("/postal")
        .title("Postal")
        .link_titled("packs", "/postal/packs", "All packs")
        .templated("pack-of", "/postal/packs{?customer}")
        .into())
}

/// Packs, oldest first
#[utoipa::path(get, path = "/postal/packs", params(Filter, Paging),
    responses((status = 200, description = "A page of packs", content_type = "application/hal+json")))]
async fn list(cx: Cx, Query(filter): Query<Filter>, paging: Paging) -> Answer {
    let href = Paging::filtered("/postal/packs", &[("customer", filter.customer.as_deref())]);
    let (total, packs) = cx
        .read(async move |tx| {
            store::page(&tx, filter.customer.as_deref(), paging.offset(), Paging::SIZE).await
        })
        .await?;
    Ok(paging
        .collection(&href, "packs", total, packs.iter().map(view))
        .title("Welcome packs")
        .into())
}

/// One pack
#[utoipa::path(get, path = "/postal/packs/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "The pack", body = PackView, content_type = "application/hal+json"),
    (status = 404, description = "`not-found`")))]
async fn show(cx: Cx, Path(id): Path<String>) -> Answer {
    let pack = cx.read(async move |tx| store::find(&tx, &id).await).await?;
    let pack = pack.ok_or_else(|| Fault::not_found("No pack has this reference."))?;
    Ok(view(&pack).into())
}

fn view(pack: &Pack) -> Resource {
    Resource::new(pack.href())
        .title("Welcome pack")
        .fields(&PackView { name: &pack.name, posted: &pack.posted })
        .link("customer", &pack.customer)
        .link_titled("collection", "/postal/packs", "All packs")
}
