//! What happens around every request: its cause, the guard, the rendering of the answer.
//!
//! Handlers return a [`Reply`], a [`Fault`] or a [`Problem`] as it is; this is the one place where
//! they become bytes. So formats are added here and in `backline-hypermedia`, never in a service.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use backline_client::Cause;
use backline_hypermedia::render_problem;
use backline_hypermedia::{Format, Page, Problem, Rendered, negotiate, not_modified, render};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use tracing::Instrument;

use crate::{Fault, Reply, guard::Guard};

/// What the layer needs to know of its process.
pub(crate) struct Around {
    pub guard: Guard,
    /// Whether the trace, correlation and time that a request brings are taken over.
    pub trusts_callers: bool,
}

/// The layer around all routes of a process.
pub(crate) async fn around(
    State(around): State<Arc<Around>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let as_of = Timestamp::now();
    let headers = request.headers();
    let cause = if around.trusts_callers { Cause::of_request(headers) } else { Cause::root() };
    let trace_id = cause.traceparent.trace_id_hex();
    let asked = Asked::of(&request, &around.guard.service, as_of, &trace_id);
    let span = tracing::info_span!(
        "request",
        method = %asked.method,
        path = request.uri().path(),
        trace_id,
        correlation = cause.correlation
    );
    request.extensions_mut().insert(cause);
    async move {
        let response = guarded(&around, request, next).await;
        let mut response = asked.finish(response);
        if let Ok(value) = HeaderValue::try_from(&trace_id) {
            response.headers_mut().insert("trace-id", value);
        }
        asked.record(&response, started);
        response
    }
    .instrument(span)
    .await
}

async fn guarded(around: &Around, request: Request, next: Next) -> Response {
    if let Err(problem) = around.guard.check(request.uri(), request.headers()) {
        return Fault::from(problem).into_response();
    }
    if !request.method().is_safe() {
        // What cannot be answered must not take effect.
        if let Err(problem) = negotiate(request.headers()) {
            return Fault::from(problem).into_response();
        }
    }
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Fault::internal(format!("the handler panicked: {what}")).into_response()
    })
}

/// What of a request is needed for its answer.
struct Asked {
    method: Method,
    route: Option<MatchedPath>,
    headers: HeaderMap,
    service: String,
    as_of: Timestamp,
    trace_id: String,
}

impl Asked {
    fn of(request: &Request, service: &str, as_of: Timestamp, trace_id: &str) -> Self {
        let wanted = [header::ACCEPT, header::IF_NONE_MATCH];
        let headers = wanted
            .iter()
            .flat_map(|name| {
                request.headers().get_all(name).iter().map(|v| (name.clone(), v.clone()))
            })
            .collect();
        Self {
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            headers,
            service: service.to_owned(),
            as_of,
            trace_id: trace_id.to_owned(),
        }
    }

    fn finish(&self, mut response: Response) -> Response {
        if let Some(reply) = response.extensions_mut().remove::<Reply>() {
            return match negotiate(&self.headers) {
                Ok(format) => self.reply(&reply, format),
                Err(problem) => self.fault(&Fault::from(problem)),
            };
        }
        if let Some(fault) = response.extensions_mut().remove::<Fault>() {
            return self.fault(&fault);
        }
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            let mut rendered = self.fault(&Fault::from(problem));
            // What its sender added, such as Allow or a longer Retry-After, stays.
            for (name, value) in response.headers() {
                if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
                    rendered.headers_mut().insert(name, value.clone());
                }
            }
            return rendered;
        }
        response
    }

    fn reply(&self, reply: &Reply, format: Format) -> Response {
        let as_of = reply.as_of.unwrap_or(self.as_of);
        let page = Page { service: self.service.clone(), as_of };
        let rendered = render(&reply.resource, format, &page);
        let safe = matches!(self.method, Method::GET | Method::HEAD);
        let etag = rendered.etag.clone();
        let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
        let mut response = if safe && not_modified(&self.headers, &etag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            respond(status, rendered)
        };
        let headers = response.headers_mut();
        let mut set = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        set("etag", &etag);
        set("vary", "Accept");
        set("as-of", &as_of.to_string());
        // Kept by anybody, used by nobody without asking: what it costs is a 304.
        set("cache-control", if safe { "no-cache" } else { "no-store" });
        if let Some(location) = &reply.location {
            set("location", location);
        }
        if reply.replayed {
            set("idempotency-replayed", "true");
        }
        response
    }

    fn fault(&self, fault: &Fault) -> Response {
        let status = fault.problem.status();
        if let Some(cause) = &fault.cause {
            tracing::error!(code = fault.problem.code(), cause, "the request failed");
        }
        let problem = Problem::clone(&fault.problem).with("trace_id", &self.trace_id);
        let format = negotiate(&self.headers).unwrap_or(Format::Json);
        let mut response = respond(status, render_problem(&problem, format));
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if fault.problem.code() == "invalid-host" {
            // Whoever sends that may not mean what we would read next.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if fault.problem.code() == "overloaded" {
            // For those who do not read bodies: refused before any work, and well.
            headers.insert("backline-shed", HeaderValue::from_static("true"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    fn record(&self, response: &Response, started: Instant) {
        let route = self.route.as_ref().map_or("unmatched", MatchedPath::as_str).to_owned();
        let status = response.status().as_u16();
        let took = started.elapsed();
        let labels =
            [("method", known(&self.method)), ("route", route), ("status", status.to_string())];
        metrics::counter!("http_requests_total", &labels).increment(1);
        metrics::histogram!("http_request_seconds", &labels[..2]).record(took);
        let duration_ms = took.as_secs_f64() * 1_000.0;
        if status >= 500 {
            tracing::warn!(status, duration_ms, "answered");
        } else if self.method.is_safe() {
            tracing::debug!(status, duration_ms, "answered");
        } else {
            tracing::info!(status, duration_ms, "answered");
        }
    }
}

/// A method as a label. Anybody can make up methods, and each would stay for ever.
fn known(method: &Method) -> String {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    if known.contains(&method.as_str()) { method.to_string() } else { "other".to_owned() }
}

fn respond(status: StatusCode, rendered: Rendered) -> Response {
    let mut response = Response::new(Body::from(rendered.body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(rendered.content_type));
    headers.extend(rendered.headers);
    response
}
