//! Errors as their callers see them.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};
use backline_client::Cause;
use backline_hypermedia::Problem;
use http::StatusCode;

/// The trace id of the request, as the chassis has put it there.
pub(crate) struct Trace(Option<String>);

impl<S: Sync> FromRequestParts<S> for Trace {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let cause = parts.extensions.get::<Cause>();
        Ok(Self(cause.map(|cause| cause.traceparent.trace_id_hex())))
    }
}

impl Trace {
    fn mark(&self, problem: Problem) -> Problem {
        match &self.0 {
            Some(id) => problem.with("trace_id", id),
            None => problem,
        }
    }
}

pub(crate) fn not_found(path: &str, trace: Trace) -> Problem {
    let problem = Problem::new(StatusCode::NOT_FOUND, "not-found", "There is no such resource")
        .detail(format!("Nothing is at '{path}'."))
        .link("index", "/api");
    trace.mark(problem)
}

pub(crate) fn invalid_query(what: &str, trace: &Trace) -> Problem {
    let problem = Problem::new(StatusCode::BAD_REQUEST, "invalid-query", "The query is not valid");
    trace.mark(problem.detail(what))
}

/// The registry or the monitor gives no answer.
pub(crate) fn away(who: &str, trace: &Trace) -> Problem {
    let problem = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "dependency-away",
        "Another service that this needs is away",
    );
    trace.mark(problem.detail(format!("The {who} gives no answer. Try again in a moment.")))
}

/// The monitor's answer is none that the console understands.
pub(crate) fn failed(who: &str, trace: &Trace) -> Problem {
    let problem = Problem::new(
        StatusCode::BAD_GATEWAY,
        "dependency-failed",
        "Another service that this needs answered with an error",
    );
    trace.mark(problem.detail(format!("The {who} answered, but not with what was asked for.")))
}

pub(crate) fn operator_needed(trace: &Trace) -> Problem {
    let problem = Problem::new(
        StatusCode::FORBIDDEN,
        "operator-needed",
        "Only an operator who is signed in may do that",
    )
    .detail("Nothing was changed. Sign in with the token in var/operator.token.")
    .link("sign-in", "/operator");
    trace.mark(problem)
}

pub(crate) fn wish_refused(what: &str, trace: &Trace) -> Problem {
    let problem =
        Problem::new(StatusCode::BAD_GATEWAY, "wish-refused", "The registry did not take the wish");
    trace.mark(problem.detail(format!("Nothing was changed. {what}")))
}

pub(crate) fn too_many_watchers(most: usize, trace: &Trace) -> Problem {
    let problem = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "too-many-watchers",
        "Too many pages are being watched",
    )
    .detail(format!(
        "{most} streams are open, which is all there may be. Close a page, or reload this one."
    ));
    trace.mark(problem)
}

pub(crate) fn internal(error: &askama::Error, trace: &Trace) -> Problem {
    tracing::error!(error = error as &dyn std::error::Error, "a page could not be rendered");
    let problem = Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal-error",
        "Something went wrong on our side",
    );
    trace.mark(problem)
}
