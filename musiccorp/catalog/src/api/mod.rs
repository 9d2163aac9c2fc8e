//! The catalogue's resources, and the one place where domain errors become HTTP.

mod albums;
mod artists;
mod search;
mod tracks;

use axum::http::StatusCode;
use backline_chassis::{Answer, App, Fault, Problem, Resource};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::domain::{Money, Wrong};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(root))
        .routes(routes!(search::search))
        .routes(routes!(artists::list, artists::create))
        .routes(routes!(artists::show))
        .routes(routes!(albums::list, albums::create))
        .routes(routes!(albums::show))
        .routes(routes!(albums::offer))
        .routes(routes!(tracks::show))
}

/// An amount of money in minor units: 1599 USD is 15 dollars and 99 cents.
#[derive(Serialize, Deserialize, ToSchema)]
struct Price {
    #[schema(minimum = 0, example = 1599)]
    amount_minor: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: String,
}

impl From<Price> for Money {
    fn from(price: Price) -> Self {
        Self { amount_minor: price.amount_minor, currency: price.currency }
    }
}

impl From<&Money> for Price {
    fn from(money: &Money) -> Self {
        Self { amount_minor: money.amount_minor, currency: money.currency.clone() }
    }
}

/// Where to start
#[utoipa::path(get, path = "/catalog",
    responses((status = 200, description = "Links", content_type = "application/hal+json")))]
async fn root() -> Answer {
    Ok(Resource::new("/catalog")
        .title("Catalogue")
        .link_titled("artists", "/catalog/artists", "All artists")
        .link_titled("albums", "/catalog/albums", "All albums")
        .templated("search", "/catalog/search{?q}")
        .into())
}

fn invalid(wrong: &[Wrong]) -> Fault {
    let errors: Vec<_> = wrong
        .iter()
        .map(|wrong| json!({ "field": wrong.field, "message": wrong.message }))
        .collect();
    let detail: Vec<_> =
        wrong.iter().map(|wrong| format!("{}: {}", wrong.field, wrong.message)).collect();
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-catalog-entry", "This cannot be taken")
        .detail(detail.join("; "))
        .with("errors", errors)
        .into()
}
