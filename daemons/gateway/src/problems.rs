//! The gateway's own errors: the one place where they become HTTP.

use axum::{body::Body, response::Response};
use backline_client::{Cause, Denied};
use backline_hypermedia::{Format, Problem, negotiate, render_problem};
use backline_resilience::State;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::{retry::Failed, target::Refused};

/// Where a caller can ask again when nobody was there.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// A request that the gateway answers itself.
#[derive(Debug)]
pub(crate) enum Failure {
    Path(Refused),
    TooManyLengths,
    Method(&'static str),
    NothingKnown,
    NoService { asked: String, public: Vec<String> },
    NobodyHealthy { service: String },
    Denied { service: String, denied: Denied },
    Upstream { service: String, failed: Failed },
}

impl Failure {
    fn problem(&self) -> Problem {
        match self {
            Self::Path(refused) => Problem::new(
                StatusCode::BAD_REQUEST,
                "ambiguous-path",
                "The path can be read in two ways",
            )
            .detail(format!("{}. Nothing was forwarded.", capital(&refused.to_string()))),
            Self::TooManyLengths => Problem::new(
                StatusCode::BAD_REQUEST,
                "ambiguous-length",
                "The body's length is ambiguous",
            )
            .detail("Give one Content-Length, or Transfer-Encoding: chunked, not both."),
            Self::Method(allowed) => Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This resource does not take that method",
            )
            .detail(format!("It takes {allowed}.")),
            Self::NoService { asked, public } => {
                let roots: Vec<String> = public.iter().map(|name| format!("/{name}")).collect();
                let mut problem = Problem::new(
                    StatusCode::NOT_FOUND,
                    "no-such-service",
                    "No public service has this name",
                )
                .detail(format!(
                    "Nothing is known here of '/{asked}'. Public are: {}.",
                    list(&roots)
                ));
                for (name, root) in public.iter().zip(&roots) {
                    problem = problem.link(name, root);
                }
                problem.with("services", roots)
            }
            Self::NothingKnown => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "routes-unknown",
                "The registry has not said yet which services there are",
            )
            .detail("Nothing was forwarded. Try again in a moment."),
            Self::NobodyHealthy { service } => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "no-healthy-instance",
                "The service has no healthy instance at present",
            )
            .detail("Nothing was sent to it. Try again in a moment.")
            .with("service", service),
            Self::Denied { service, denied } => denial(denied).with("service", service),
            Self::Upstream { service, failed } => upstream(*failed).with("service", service),
        }
    }

    /// The answer, in the format that the caller prefers.
    pub fn answer(&self, asked: &HeaderMap, cause: &Cause) -> Response {
        let problem = self.problem().with("trace_id", cause.traceparent.trace_id_hex());
        let rendered = render_problem(&problem, negotiate(asked).unwrap_or(Format::Json));
        let mut response = Response::new(Body::from(rendered.body));
        *response.status_mut() = problem.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(rendered.content_type));
        headers.extend(rendered.headers);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            // What follows on this connection cannot be trusted to be where it seems to begin.
            Self::Path(_) | Self::TooManyLengths => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Method(allowed) => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
            }
            Self::NothingKnown
            | Self::NobodyHealthy { .. }
            | Self::Denied { .. }
            | Self::Upstream { failed: Failed::NotSent | Failed::Misdirected, .. } => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            Self::NoService { .. } | Self::Upstream { .. } => {}
        }
        response
    }
}

/// Why an operator has stopped a service is not for everybody outside.
fn denial(denied: &Denied) -> Problem {
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    match denied {
        Denied::Open(open) if open.state == State::ForcedOpen => {
            Problem::new(unavailable, "maintenance", "The service is being maintained")
                .detail("Nothing was sent to it. Try again later.")
        }
        Denied::Open(_) => Problem::new(
            unavailable,
            "breaker-open",
            "The service has failed too often lately and gets a pause",
        )
        .detail("Nothing was sent to it. Try again in a moment."),
        Denied::Full(_) => Problem::new(
            unavailable,
            "bulkhead-full",
            "The service has as many requests at work as the gateway gives it",
        )
        .detail("Nothing was sent to it. Try again in a moment."),
    }
}

fn upstream(failed: Failed) -> Problem {
    match failed {
        Failed::NotSent => Problem::new(
            StatusCode::BAD_GATEWAY,
            "upstream-unreachable",
            "No instance of the service can be reached",
        )
        .detail("Nothing was sent to it: the request can be repeated."),
        Failed::Misdirected => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream-moved",
            "The service is not where it was",
        )
        .detail(
            "Another service answered there, so nothing was done: the request can be repeated.",
        ),
        Failed::Cut => Problem::new(
            StatusCode::BAD_GATEWAY,
            "upstream-cut",
            "The service broke off before it answered",
        )
        .detail("Whether the request was carried out is not known."),
        Failed::Late => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "upstream-late",
            "The service did not answer in time",
        )
        .detail("Whether the request was carried out, or still will be, is not known."),
        Failed::CallerSlow => Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-late",
            "The request's body did not come in time",
        ),
        Failed::CallerGone => Problem::new(
            StatusCode::BAD_REQUEST,
            "body-cut",
            "The request's body broke off or is not valid",
        ),
    }
}

fn list(roots: &[String]) -> String {
    if roots.is_empty() { "none at present".into() } else { roots.join(", ") }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
