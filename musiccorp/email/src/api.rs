//! Our own mailbox.

use backline_chassis::{Answer, App, Cx, Fault, Paging, Path, Query, Resource};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::store::{self, Mail};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(root)).routes(routes!(list)).routes(routes!(show))
}

/// A mail.
#[derive(Serialize, ToSchema)]
struct MailView<'a> {
    to: &'a str,
    subject: &'a str,
    /// `queued` until our mailbox has it or a mail server has taken it, then `sent`.
    state: &'static str,
    /// RFC 3339, UTC.
    queued: &'a str,
    /// RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<&'a str>,
}

/// Whose mails.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Reference of a customer, such as `/customers/0198…`.
    customer: Option<String>,
}

/// Where to start
#[utoipa::path(get, path = "/email",
    responses((status = 200, description = "Links", content_type = "application/hal+json")))]
async fn root() -> Answer {
    Ok(Resource::new("/email")
        .title("E-mail")
        .link_titled("mails", "/email/mails", "The mailbox")
        .templated("mails-of", "/email/mails{?customer}")
        .into())
}

/// Mails, newest first
#[utoipa::path(get, path = "/email/mails", params(Filter, Paging),
    responses((status = 200, description = "A page of mails", content_type = "application/hal+json")))]
async fn list(cx: Cx, Query(filter): Query<Filter>, paging: Paging) -> Answer {
    let href = Paging::filtered("/email/mails", &[("customer", filter.customer.as_deref())]);
    let (total, mails) = cx
        .read(async move |tx| {
            store::page(&tx, filter.customer.as_deref(), paging.offset(), Paging::SIZE).await
        })
        .await?;
    Ok(paging.collection(&href, "mails", total, mails.iter().map(view)).title("Mailbox").into())
}

/// One mail
#[utoipa::path(get, path = "/email/mails/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "The mail, with its text as `body`", body = MailView, content_type = "application/hal+json"),
    (status = 404, description = "`not-found`")))]
async fn show(cx: Cx, Path(id): Path<String>) -> Answer {
    let mail = cx.read(async move |tx| store::find(&tx, &id).await).await?;
    let mail = mail.ok_or_else(|| Fault::not_found("No mail has this reference."))?;
    Ok(view(&mail).field("body", &mail.body).into())
}

fn view(mail: &Mail) -> Resource {
    Resource::new(mail.href())
        .title(&mail.subject)
        .fields(&MailView {
            to: &mail.recipient,
            subject: &mail.subject,
            state: if mail.sent.is_some() { "sent" } else { "queued" },
            queued: &mail.queued,
            sent: mail.sent.as_deref(),
        })
        .link("customer", &mail.customer)
        .link_titled("collection", "/email/mails", "The mailbox")
}
