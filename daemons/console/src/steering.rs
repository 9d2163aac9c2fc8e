//! The pages on which operators sign in and act.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form, Router,
    extract::{Query, State, rejection::FormRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use backline_client::{Action, Order};
use backline_hypermedia::Problem;
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    console::Console,
    operator::SIGNED_IN_FOR,
    pages::{Layout, Plain},
    problems::{self, Trace},
    view,
};

const COOKIE: &str = "backline_operator";
const LONGEST: usize = 200;

pub(crate) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/operator", get(operator).post(sign_in))
        .route("/operator/sign-out", post(sign_out))
        .route("/operator/steer", get(steer).post(act))
        .route("/audit", get(audit))
}

#[derive(Template)]
#[template(path = "operator.html")]
struct Operator {
    name: Option<String>,
    can_sign_in: bool,
    refused: bool,
}

async fn operator(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
    trace: Trace,
) -> Result<Response, Problem> {
    operator_page(&console, &headers, StatusCode::OK, &trace)
}

fn operator_page(
    console: &Console,
    headers: &HeaderMap,
    status: StatusCode,
    trace: &Trace,
) -> Result<Response, Problem> {
    let page = Operator {
        name: who(console, headers),
        can_sign_in: console.operators.can_sign_in(),
        refused: status != StatusCode::OK,
    };
    plain(status, "Operator", &page, trace)
}

fn plain(
    status: StatusCode,
    title: &str,
    page: &impl Template,
    trace: &Trace,
) -> Result<Response, Problem> {
    let main = page.render().map_err(|error| problems::internal(&error, trace))?;
    Layout::plain(Plain { status, title, at: "breakers", main: &main }, trace)
}

#[derive(Deserialize)]
struct SignIn {
    token: String,
    name: String,
}

async fn sign_in(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
    trace: Trace,
    form: Result<Form<SignIn>, FormRejection>,
) -> Result<Response, Problem> {
    let Form(form) = form.map_err(|error| problems::invalid_query(&error.body_text(), &trace))?;
    let name = form.name.trim();
    if name.is_empty() || !is_plain(name) {
        let what = "Give the name that the audit log shall show, of at most 200 bytes.";
        return Err(problems::invalid_query(what, &trace));
    }
    let Some(session) = console.operators.sign_in(&form.token, name) else {
        tracing::warn!(name, "a wrong operator's token");
        return operator_page(&console, &headers, StatusCode::FORBIDDEN, &trace);
    };
    // The registry's token stays here; what the browser keeps is of use for this console alone.
    let cookie = format!(
        "{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}",
        SIGNED_IN_FOR.as_secs()
    );
    Ok(with_cookie(Redirect::to("/board"), &cookie))
}

async fn sign_out(State(console): State<Arc<Console>>, headers: HeaderMap) -> Response {
    if let Some(session) = session(&headers) {
        console.operators.sign_out(session);
    }
    let cookie = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    with_cookie(Redirect::to("/operator"), &cookie)
}

fn with_cookie(redirect: Redirect, cookie: &str) -> Response {
    let mut response = redirect.into_response();
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    });
    pairs.next()
}

fn who(console: &Console, headers: &HeaderMap) -> Option<String> {
    console.operators.name(session(headers)?)
}

#[derive(Deserialize)]
struct Steered {
    service: String,
    caller: Option<String>,
}

#[derive(Template)]
#[template(path = "steer.html")]
struct Steer {
    service: String,
    calling: Option<String>,
    maintained: bool,
    name: Option<String>,
    states: Vec<String>,
}

async fn steer(
    State(console): State<Arc<Console>>,
    Query(asked): Query<Steered>,
    headers: HeaderMap,
    trace: Trace,
) -> Result<Response, Problem> {
    known(&console, &asked.service, &trace)?;
    if let Some(caller) = &asked.caller {
        known(&console, caller, &trace)?;
    }
    let boards = console.boards().await;
    let of_caller = boards.iter().filter(|process| Some(&process.service) == asked.caller.as_ref());
    let states = of_caller.flat_map(|process| {
        let dependencies = process.board.iter().flat_map(|board| &board.dependencies);
        dependencies
            .filter(|seen| seen.to == asked.service && seen.purpose != "operations")
            .map(|seen| format!("{} ({}): {}", process.instance, seen.purpose, seen.breaker.state))
    });
    let page = Steer {
        states: states.collect(),
        maintained: console.operators.maintained().iter().any(|m| m.service == asked.service),
        name: who(&console, &headers),
        service: asked.service,
        calling: asked.caller,
    };
    plain(StatusCode::OK, "Steer", &page, &trace)
}

#[derive(Deserialize)]
struct Act {
    action: Action,
    service: String,
    #[serde(default)]
    caller: String,
    #[serde(default)]
    reason: String,
}

async fn act(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
    trace: Trace,
    form: Result<Form<Act>, FormRejection>,
) -> Result<Response, Problem> {
    let by = who(&console, &headers).ok_or_else(|| problems::operator_needed(&trace))?;
    let Form(act) = form.map_err(|error| problems::invalid_query(&error.body_text(), &trace))?;
    known(&console, &act.service, &trace)?;
    if act.action.has_caller() {
        known(&console, &act.caller, &trace)?;
    }
    let reason = act.reason.trim();
    if let Some(mistake) = mistake_in(&act, reason) {
        return Err(problems::invalid_query(mistake, &trace));
    }
    let order = Order {
        action: act.action,
        reason: reason.to_owned(),
        caller: act.action.has_caller().then_some(act.caller),
        service: act.service,
        by,
    };
    console.operators.carry_out(&order).await.map_err(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "a wish could not be written");
        match error.status() {
            Some(_) => problems::wish_refused(&error.to_string(), &trace),
            None => problems::away("registry", &trace),
        }
    })?;
    Ok(Redirect::to("/board").into_response())
}

/// What keeps a wish from being one.
fn mistake_in(act: &Act, reason: &str) -> Option<&'static str> {
    if !is_plain(reason) {
        return Some("A reason has at most 200 bytes, on one line.");
    }
    let begins = act.action == Action::BeginMaintenance;
    if begins && reason.is_empty() {
        return Some("Say why: others will ask.");
    }
    (begins && act.service == "registry")
        .then_some("Wishes are read from the registry: its calls are not stopped.")
}

/// One line that is not too long.
fn is_plain(text: &str) -> bool {
    text.len() <= LONGEST && !text.chars().any(char::is_control)
}

/// Services and daemons of the registry; a wish for anybody else would be a slip of the pen.
fn known(console: &Console, name: &str, trace: &Trace) -> Result<(), Problem> {
    let known = console.registry.borrow().clone();
    let maintained = console.operators.maintained();
    let is_known = known.services().iter().any(|service| service.name == name)
        || maintained.iter().any(|maintained| maintained.service == name);
    if is_known {
        return Ok(());
    }
    let names: Vec<_> = known.services().iter().map(|service| service.name.as_str()).collect();
    let what = format!("There is no service '{name}'. There are: {}.", names.join(", "));
    Err(problems::invalid_query(&what, trace))
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    rows: Vec<view::Recorded>,
}

async fn audit(State(console): State<Arc<Console>>, trace: Trace) -> Result<Response, Problem> {
    let now = Timestamp::now();
    let rows = console.audit.newest().await;
    let rows = rows.into_iter().map(|record| view::Recorded::of(record, now)).collect();
    plain(StatusCode::OK, "Audit log", &Audit { rows }, &trace)
}
