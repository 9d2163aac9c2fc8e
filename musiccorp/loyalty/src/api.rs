//! The points bank's resources.

use backline_chassis::{Answer, App, Cx, Fault, Paging, Path, Query, Resource};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::store::{self, Account};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(root)).routes(routes!(list)).routes(routes!(show))
}

/// A loyalty account.
#[derive(Serialize, ToSchema)]
struct AccountView<'a> {
    points: i64,
    /// RFC 3339, UTC.
    opened: &'a str,
}

/// Whose accounts.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Reference of a customer, such as `/customers/0198…`.
    customer: Option<String>,
}

/// Where to start
#[utoipa::path(get, path = "/loyalty",
    responses((status = 200, description = "Links", content_type = "application/hal+json")))]
async fn root() -> Answer {
    Ok(Resource::new("/loyalty")
        .title("Loyalty")
        .link_titled("accounts", "/loyalty/accounts", "All accounts")
        .templated("account-of", "/loyalty/accounts{?customer}")
        .into())
}

/// Accounts, oldest first
#[utoipa::path(get, path = "/loyalty/accounts", params(Filter, Paging),
    responses((status = 200, description = "A page of accounts", content_type = "application/hal+json")))]
async fn list(cx: Cx, Query(filter): Query<Filter>, paging: Paging) -> Answer {
    let href = Paging::filtered("/loyalty/accounts", &[("customer", filter.customer.as_deref())]);
    let (total, accounts) = cx
        .read(async move |tx| {
            store::page(&tx, filter.customer.as_deref(), paging.offset(), Paging::SIZE).await
        })
        .await?;
    Ok(paging
        .collection(&href, "accounts", total, accounts.iter().map(view))
        .title("Loyalty accounts")
        .into())
}

/// One account
#[utoipa::path(get, path = "/loyalty/accounts/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "The account", body = AccountView, content_type = "application/hal+json"),
    (status = 404, description = "`not-found`")))]
async fn show(cx: Cx, Path(id): Path<String>) -> Answer {
    let account = cx.read(async move |tx| store::find(&tx, &id).await).await?;
    let account = account.ok_or_else(|| Fault::not_found("No account has this reference."))?;
    Ok(view(&account).into())
}

fn view(account: &Account) -> Resource {
    Resource::new(account.href())
        .title("Loyalty account")
        .fields(&AccountView { points: account.points, opened: &account.opened })
        .link("customer", &account.customer)
        .link_titled("collection", "/loyalty/accounts", "All accounts")
}
