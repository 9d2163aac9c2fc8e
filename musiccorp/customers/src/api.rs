//! The customers' resources, and the one place where domain errors become HTTP.

use axum::http::StatusCode;
use backline_chassis::{
    Action, Answer, Cx, Fault, Field, Json, Paging, Path, Problem, Reply, Resource, StoreError,
    Work, now,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    domain::{Command, Details, Illegal, State, Wrong},
    events,
    store::{self, Customer},
};

pub fn routes() -> OpenApiRouter<backline_chassis::App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show))
        .routes(routes!(change))
        .routes(routes!(suspend))
        .routes(routes!(reinstate))
        .routes(routes!(close))
}

/// A new customer.
#[derive(Deserialize, ToSchema)]
struct NewCustomer {
    #[schema(example = "Ada", min_length = 1, max_length = 100)]
    firstname: String,
    #[schema(example = "Lovelace", min_length = 1, max_length = 100)]
    lastname: String,
    #[schema(example = "ada@example.com", max_length = 254)]
    email: String,
}

/// What is to be changed; what is absent stays.
#[derive(Clone, Deserialize, ToSchema)]
struct Change {
    #[schema(example = "Ada", min_length = 1, max_length = 100)]
    firstname: Option<String>,
    #[schema(example = "King", min_length = 1, max_length = 100)]
    lastname: Option<String>,
    #[schema(example = "ada@example.com", max_length = 254)]
    email: Option<String>,
}

/// A customer.
#[derive(Serialize, ToSchema)]
struct CustomerView<'a> {
    firstname: &'a str,
    lastname: &'a str,
    email: &'a str,
    /// `active`, `suspended` or `closed`.
    state: &'static str,
    /// RFC 3339, UTC.
    created: &'a str,
}

/// All customers, oldest first
#[utoipa::path(get, path = "/customers", params(Paging),
    responses((status = 200, description = "A page of customers", content_type = "application/hal+json")))]
async fn list(cx: Cx, paging: Paging) -> Answer {
    let (total, customers) =
        cx.read(async move |tx| store::page(&tx, paging.offset(), Paging::SIZE).await).await?;
    let page = paging
        .collection("/customers", "customers", total, customers.iter().map(view))
        .title("Customers")
        .action(
            Action::post("create", "/customers")
                .title("Create a customer")
                .field(Field::text("firstname").title("First name").required())
                .field(Field::text("lastname").title("Last name").required())
                .field(Field::email("email").title("E-mail").required()),
        );
    Ok(page.into())
}

/// Create a customer
#[utoipa::path(post, path = "/customers", request_body = NewCustomer, responses(
    (status = 201, description = "Created", body = CustomerView, content_type = "application/hal+json"),
    (status = 409, description = "`email-taken`: another customer has this address"),
    (status = 422, description = "`invalid-customer`: says which fields are wrong")))]
async fn create(cx: Cx, Json(new): Json<NewCustomer>) -> Answer {
    let details = Details::try_new(&new.firstname, &new.lastname, &new.email).map_err(invalid)?;
    cx.write(async move |work: Work| {
        let customer = Customer {
            id: Uuid::now_v7().to_string(),
            details: details.clone(),
            state: State::Active,
            created: now(),
        };
        store::insert(&work, &customer).await.map_err(taken)?;
        work.emit(&customer.href(), &events::Created((&customer).into())).await?;
        Ok(Reply::created(view(&customer)))
    })
    .await
}

/// One customer
#[utoipa::path(get, path = "/customers/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "The customer", body = CustomerView, content_type = "application/hal+json"),
    (status = 404, description = "`not-found`")))]
async fn show(cx: Cx, Path(id): Path<String>) -> Answer {
    let customer = cx.read(async move |tx| store::find(&tx, &id).await).await?;
    Ok(view(&customer.ok_or_else(missing)?).into())
}

/// Change a customer's details
#[utoipa::path(post, path = "/customers/{id}/change", params(("id" = String, Path)), request_body = Change, responses(
    (status = 200, description = "Changed", body = CustomerView, content_type = "application/hal+json"),
    (status = 409, description = "`illegal-transition` with the legal links, or `email-taken`"),
    (status = 422, description = "`invalid-customer`: says which fields are wrong")))]
async fn change(cx: Cx, Path(id): Path<String>, Json(change): Json<Change>) -> Answer {
    cx.write(async move |work: Work| {
        let mut customer = commanded(&work, &id, Command::Change).await?;
        let old = &customer.details;
        customer.details = Details::try_new(
            change.firstname.as_deref().unwrap_or(&old.firstname),
            change.lastname.as_deref().unwrap_or(&old.lastname),
            change.email.as_deref().unwrap_or(&old.email),
        )
        .map_err(invalid)?;
        store::update(&work, &customer).await.map_err(taken)?;
        work.emit(&customer.href(), &events::Changed((&customer).into())).await?;
        Ok(view(&customer).into())
    })
    .await
}

/// Suspend a customer
#[utoipa::path(post, path = "/customers/{id}/suspend", params(("id" = String, Path)), responses(
    (status = 200, description = "Suspended", body = CustomerView, content_type = "application/hal+json"),
    (status = 409, description = "`illegal-transition` with the legal links")))]
async fn suspend(cx: Cx, Path(id): Path<String>) -> Answer {
    carry_out(cx, id, Command::Suspend).await
}

/// Make a suspended customer active again
#[utoipa::path(post, path = "/customers/{id}/reinstate", params(("id" = String, Path)), responses(
    (status = 200, description = "Reinstated", body = CustomerView, content_type = "application/hal+json"),
    (status = 409, description = "`illegal-transition` with the legal links")))]
async fn reinstate(cx: Cx, Path(id): Path<String>) -> Answer {
    carry_out(cx, id, Command::Reinstate).await
}

/// Close a customer for good
#[utoipa::path(post, path = "/customers/{id}/close", params(("id" = String, Path)), responses(
    (status = 200, description = "Closed", body = CustomerView, content_type = "application/hal+json"),
    (status = 409, description = "`illegal-transition` with the legal links")))]
async fn close(cx: Cx, Path(id): Path<String>) -> Answer {
    carry_out(cx, id, Command::Close).await
}

async fn carry_out(cx: Cx, id: String, command: Command) -> Answer {
    cx.write(async move |work: Work| {
        let customer = commanded(&work, &id, command).await?;
        store::update(&work, &customer).await?;
        let (href, snapshot) = (customer.href(), (&customer).into());
        match customer.state {
            State::Active => work.emit(&href, &events::Reinstated(snapshot)).await?,
            State::Suspended => work.emit(&href, &events::Suspended(snapshot)).await?,
            State::Closed => work.emit(&href, &events::Closed(snapshot)).await?,
        }
        Ok(view(&customer).into())
    })
    .await
}

/// The customer in the state that the command leads to, if it is legal.
async fn commanded(work: &Work, id: &str, command: Command) -> Result<Customer, Fault> {
    let mut customer = store::find(work, id).await?.ok_or_else(missing)?;
    customer.state = customer.state.after(command).map_err(|error| illegal(&customer, error))?;
    Ok(customer)
}

fn view(customer: &Customer) -> Resource {
    let details = &customer.details;
    let href = customer.href();
    let resource = Resource::new(&href)
        .title(format!("{} {}", details.firstname, details.lastname))
        .fields(&CustomerView {
            firstname: &details.firstname,
            lastname: &details.lastname,
            email: &details.email,
            state: customer.state.as_str(),
            created: &customer.created,
        })
        .link_titled("collection", "/customers", "All customers");
    customer.state.legal().iter().fold(resource, |resource, command| {
        let name = command.as_str();
        let action = Action::post(name, format!("{href}/{name}"));
        resource.action(match command {
            Command::Change => action
                .title("Change the details")
                .field(Field::text("firstname").title("First name"))
                .field(Field::text("lastname").title("Last name"))
                .field(Field::email("email").title("E-mail")),
            Command::Suspend => action.title("Suspend"),
            Command::Reinstate => action.title("Make active again"),
            Command::Close => action.title("Close for good"),
        })
    })
}

fn missing() -> Fault {
    Fault::not_found("No customer has this reference.")
}

fn invalid(wrong: Vec<Wrong>) -> Fault {
    let errors: Vec<_> = wrong
        .iter()
        .map(|wrong| serde_json::json!({ "field": wrong.field, "message": wrong.message }))
        .collect();
    let detail: Vec<_> =
        wrong.iter().map(|wrong| format!("{}: {}", wrong.field, wrong.message)).collect();
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid-customer",
        "These details cannot be taken",
    )
    .detail(detail.join("; "))
    .with("errors", errors)
    .into()
}

fn illegal(customer: &Customer, error: Illegal) -> Fault {
    let href = customer.href();
    let problem = Problem::new(
        StatusCode::CONFLICT,
        "illegal-transition",
        "The customer's state does not allow this",
    )
    .detail(error.to_string())
    .with("state", customer.state.as_str())
    .link("self", &href);
    let legal = customer.state.legal().iter();
    legal
        .fold(problem, |problem, command| {
            problem.link(command.as_str(), format!("{href}/{}", command.as_str()))
        })
        .into()
}

fn taken(error: StoreError) -> Fault {
    if error.is_unique() {
        return Problem::new(
            StatusCode::CONFLICT,
            "email-taken",
            "Another customer has this e-mail address",
        )
        .into();
    }
    error.into()
}
