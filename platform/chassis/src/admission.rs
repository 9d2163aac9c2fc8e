//! What a request to a service's own resources passes before its handler runs.
//!
//! In this order: the body is read whole, within its time and size, so that a slow client holds no
//! place; a service at its limit refuses at once, before any work; a key whose first request still
//! runs is refused; the handler gets as long as its caller waits. Operational paths (health,
//! metrics, feeds with their long polls) do not pass here: they must answer when all else is full.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use backline_client::Cause;
use backline_hypermedia::Problem;
use backline_resilience::{Outcome, Shed};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    Fault,
    body::unsupported_media_type,
    idempotency::{Key, Running},
};

/// The largest body of a request, in bytes.
pub(crate) const MAX_BODY: usize = 1024 * 1024;
/// Within this time a body has to be here whole.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// Within this time the next piece of a body has to come.
const PIECE_WITHIN: Duration = Duration::from_secs(5);
/// A handler gets no longer than this, however long its caller would wait.
const HANDLED_WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct Admission {
    pub shed: Shed,
    pub running: Running,
}

/// The layer around a service's resources.
pub(crate) async fn admit(
    State(admission): State<Arc<Admission>>,
    request: Request,
    next: Next,
) -> Response {
    let admitted = admission.pass(request, next).await;
    admitted.unwrap_or_else(|problem| Fault::from(problem).into_response())
}

impl Admission {
    async fn pass(&self, request: Request, next: Next) -> Result<Response, Problem> {
        json_body(&request)?;
        let deadline = request.extensions().get::<Cause>().and_then(|cause| cause.deadline);
        // Full already: not even the body is taken in. It is asked again when the body is here.
        let now = self.shed.snapshot();
        if now.in_flight >= now.limit {
            self.shed.try_acquire().map_err(|full| refused(full.limit))?.done(Outcome::Ignored);
        }
        let (mut parts, body) = request.into_parts();
        let body = match read(body).await {
            Ok(body) => body,
            // What is left of it is not waited for.
            Err(problem) => return Ok(closing(problem)),
        };
        let place = self.shed.try_acquire().map_err(|full| refused(full.limit))?;
        let key = Key::of(&parts, &body)?;
        let _running = key.as_ref().map(|key| self.running.begin(key)).transpose()?;
        if let Some(key) = key {
            parts.extensions.insert(key);
        }
        let own = Instant::now() + HANDLED_WITHIN;
        let end = deadline.map_or(own, |deadline| deadline.min(own));
        if end <= Instant::now() {
            place.done(Outcome::Ignored);
            return Err(late("It was over before the work began: nothing was changed."));
        }
        let request = Request::from_parts(parts, Body::from(body));
        let Ok(response) = timeout_at(end, next.run(request)).await else {
            place.done(Outcome::Failure);
            return Err(late("It is not known whether the request took effect."));
        };
        place.done(if response.status().is_server_error() {
            Outcome::Failure
        } else {
            Outcome::Success
        });
        Ok(response)
    }
}

/// What a write brings along must be JSON: the forms of other sites are not.
fn json_body(request: &Request) -> Result<(), Problem> {
    let Some(named) = request.headers().get(header::CONTENT_TYPE) else { return Ok(()) };
    let named = named.to_str().unwrap_or_default();
    let media_type = named.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"));
    if json || request.method().is_safe() { Ok(()) } else { Err(unsupported_media_type()) }
}

/// The whole body, from a client that keeps sending.
async fn read(body: Body) -> Result<Bytes, Problem> {
    let end = Instant::now() + BODY_WITHIN;
    let mut body = Limited::new(body, MAX_BODY);
    let mut first = Bytes::new();
    let mut rest = Vec::new();
    loop {
        let piece = timeout_at(end, timeout(PIECE_WITHIN, body.frame())).await;
        let Ok(Ok(piece)) = piece else { return Err(body_late()) };
        let Some(frame) = piece else { break };
        let Ok(data) = frame.map_err(unread)?.into_data() else { continue };
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&std::mem::take(&mut first));
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.into() })
}

fn unread(error: Box<dyn std::error::Error + Send + Sync>) -> Problem {
    if error.is::<LengthLimitError>() {
        return too_large();
    }
    Problem::new(StatusCode::BAD_REQUEST, "body-cut", "The body broke off or is not valid")
        .detail("Nothing was changed. Send it again.")
}

pub(crate) fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The request's body is too large")
        .detail(format!("At most {MAX_BODY} bytes are taken."))
}

fn body_late() -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "body-late",
        "The request's body did not come in time",
    )
    .detail(format!(
        "Nothing was changed. Each piece has {} s, the whole {} s. Send it again.",
        PIECE_WITHIN.as_secs(),
        BODY_WITHIN.as_secs()
    ))
}

fn refused(limit: u32) -> Problem {
    metrics::counter!("http_shed_total").increment(1);
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "The service is at its limit")
        .detail(format!(
            "This instance works on {limit} requests at once and refuses more before any work is \
             done. Nothing was changed. Try again after Retry-After."
        ))
}

fn late(detail: &str) -> Problem {
    Problem::new(
        StatusCode::GATEWAY_TIMEOUT,
        "deadline-exceeded",
        "The time for this request is over",
    )
    .detail(detail)
}

/// A refusal after which the connection is closed.
fn closing(problem: Problem) -> Response {
    let mut response = problem.into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
