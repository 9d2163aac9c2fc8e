//! The pages.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use backline_hypermedia::Problem;
use http::StatusCode;

use crate::{
    assets,
    console::{Console, Topic},
    problems::{self, Trace},
    view,
};

/// Longer ones are none that an event could carry.
const LONGEST_CORRELATION: usize = 200;

pub(crate) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/", get(services))
        .route("/board", get(breakers))
        .route("/processes", get(processes))
        .route("/processes/{correlation}", get(correlated))
}

async fn services(State(console): State<Arc<Console>>, trace: Trace) -> Result<Response, Problem> {
    page(&console, Topic::Services, &trace).await
}

async fn processes(State(console): State<Arc<Console>>, trace: Trace) -> Result<Response, Problem> {
    page(&console, Topic::Processes, &trace).await
}

async fn breakers(State(console): State<Arc<Console>>, trace: Trace) -> Result<Response, Problem> {
    page(&console, Topic::Breakers, &trace).await
}

async fn correlated(
    State(console): State<Arc<Console>>,
    Path(correlation): Path<String>,
    trace: Trace,
) -> Result<Response, Problem> {
    page(&console, about(correlation, &trace)?, &trace).await
}

/// The topic of a correlation id.
pub(crate) fn about(correlation: String, trace: &Trace) -> Result<Topic, Problem> {
    if correlation.len() > LONGEST_CORRELATION {
        let what = format!("A correlation id has at most {LONGEST_CORRELATION} characters.");
        return Err(problems::invalid_query(&what, trace));
    }
    Ok(Topic::Correlated(correlation))
}

#[derive(Template)]
#[template(path = "layout.html")]
pub(crate) struct Layout<'a> {
    title: &'a str,
    at: &'static str,
    /// Where its updates come from; nothing where it stays as it is.
    live: Option<&'a str>,
    main: &'a str,
    as_of: String,
    as_of_full: String,
}

async fn page(console: &Console, topic: Topic, trace: &Trace) -> Result<Response, Problem> {
    let shown = console.show(&topic).await.map_err(|error| problems::internal(&error, trace))?;
    let (at, live) = match &topic {
        Topic::Services => ("services", "/live/services".to_owned()),
        Topic::Processes => ("processes", "/live/processes".to_owned()),
        Topic::Breakers => ("breakers", "/live/breakers".to_owned()),
        Topic::Correlated(id) => ("processes", format!("/live/processes/{}", view::segment(id))),
    };
    let layout = Layout {
        title: &shown.title,
        at,
        live: Some(&format!("{live}?have={}", assets::mark(&shown.html))),
        main: &shown.html,
        as_of: view::clock(shown.as_of),
        as_of_full: shown.as_of.to_string(),
    };
    let html = layout.render().map_err(|error| problems::internal(&error, trace))?;
    let status = if shown.found { StatusCode::OK } else { StatusCode::NOT_FOUND };
    Ok((status, assets::PAGE, html).into_response())
}

/// A page that stays as it is.
pub(crate) struct Plain<'a> {
    pub status: StatusCode,
    pub title: &'a str,
    pub at: &'static str,
    pub main: &'a str,
}

impl Layout<'_> {
    pub(crate) fn plain(page: Plain<'_>, trace: &Trace) -> Result<Response, Problem> {
        let now = jiff::Timestamp::now();
        let layout = Layout {
            title: page.title,
            at: page.at,
            live: None,
            main: page.main,
            as_of: view::clock(now),
            as_of_full: now.to_string(),
        };
        let html = layout.render().map_err(|error| problems::internal(&error, trace))?;
        Ok((page.status, assets::PAGE, html).into_response())
    }
}
