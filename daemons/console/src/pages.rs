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
        .route("/processes", get(processes))
        .route("/processes/{correlation}", get(correlated))
}

async fn services(State(console): State<Arc<Console>>, trace: Trace) -> Result<Response, Problem> {
    page(&console, Topic::Services, &trace).await
}

async fn processes(State(console): State<Arc<Console>>, trace: Trace) -> Result<Response, Problem> {
    page(&console, Topic::Processes, &trace).await
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
struct Layout<'a> {
    title: &'a str,
    at: &'static str,
    live: &'a str,
    main: &'a str,
    as_of: String,
    as_of_full: String,
}

async fn page(console: &Console, topic: Topic, trace: &Trace) -> Result<Response, Problem> {
    let shown = console.show(&topic).await.map_err(|error| problems::internal(&error, trace))?;
    let (at, live) = match &topic {
        Topic::Services => ("services", "/live/services".to_owned()),
        Topic::Processes => ("processes", "/live/processes".to_owned()),
        Topic::Correlated(id) => ("processes", format!("/live/processes/{}", view::segment(id))),
    };
    let layout = Layout {
        title: &shown.title,
        at,
        live: &format!("{live}?have={}", assets::mark(&shown.html)),
        main: &shown.html,
        as_of: view::clock(shown.as_of),
        as_of_full: shown.as_of.to_string(),
    };
    let html = layout.render().map_err(|error| problems::internal(&error, trace))?;
    let status = if shown.found { StatusCode::OK } else { StatusCode::NOT_FOUND };
    Ok((status, assets::PAGE, html).into_response())
}
