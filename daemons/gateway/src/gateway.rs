//! What the gateway does with a request.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, State},
    response::{IntoResponse, Response},
};
use backline_chassis::{Cause, Reply, Resource};
use backline_client::Discovery;
use http::{Method, Request, StatusCode, header};

use crate::{
    Routing,
    forward::{Unanswered, forward},
    guards::{Guards, verdict},
    hygiene::{Known, onward},
    payload::Payload,
    problems::Failure,
    retry::Failed,
    target,
};

/// The gateway: a routing table and what it forwards by it. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    routing: Arc<Routing>,
    guards: Arc<Guards>,
    answer_within: Duration,
}

impl Gateway {
    /// A gateway over a routing table, with a breaker and a bulkhead for each service, which
    /// `discovery` knows and operators steer. A service has `answer_within` for the head of its answer,
    /// counted from the moment its request (or the last piece of it) was passed on; the body of an
    /// answer may take as long as it likes.
    #[must_use]
    pub fn new(routing: Arc<Routing>, discovery: Discovery, answer_within: Duration) -> Self {
        Self { routing, guards: Arc::new(Guards::new(discovery)), answer_within }
    }

    /// Its routes: everything.
    pub fn router(self) -> Router {
        Router::new().fallback(handle).with_state(self)
    }

    async fn answer(&self, request: Request<Body>, cause: &Cause) -> Answered {
        let refuse = |failure| Answered { service: None, outcome: Err(failure) };
        if *request.method() == Method::CONNECT || *request.method() == Method::TRACE {
            return refuse(Failure::Method("GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE"));
        }
        let service = match target::service_of(request.uri().path()) {
            Ok(service) => service.to_owned(),
            Err(refused) => return refuse(Failure::Path(refused)),
        };
        if has_two_lengths(&request) {
            return refuse(Failure::TooManyLengths);
        }
        if service.is_empty() {
            return Answered { service: None, outcome: self.home(request.method()) };
        }
        let Some(route) = self.routing.of(&service) else {
            if !self.routing.known() {
                return refuse(Failure::NothingKnown);
            }
            let public = self.routing.services().into_iter().map(|(name, _)| name).collect();
            return refuse(Failure::NoService { asked: service, public });
        };
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        let guard = self.guards.of(&service);
        let within = guard.dependency().timeout_set().unwrap_or(self.answer_within);
        let onward = onward(&request, &Known { service: &service, peer, cause });
        let outcome = async {
            let body = request.into_body();
            let payload =
                Payload::take(&onward.headers, body, within).await.map_err(Unanswered::Failed)?;
            // After the body, so that a slow caller holds no place.
            let admission = guard.dependency().admit().await.map_err(Unanswered::Denied)?;
            let forwarded = forward(&route, &service, &onward, payload, within).await;
            let place = admission.done(verdict(&forwarded));
            forwarded.map(|answer| answer.map(|body| body.holding(place)))
        };
        let outcome = match outcome.await {
            Ok(answer) => Ok(answer.map(Body::new)),
            Err(Unanswered::NobodyHealthy) => {
                Err(Failure::NobodyHealthy { service: service.clone() })
            }
            Err(Unanswered::Denied(denied)) => {
                Err(Failure::Denied { service: service.clone(), denied })
            }
            Err(Unanswered::Failed(failed)) => {
                Err(Failure::Upstream { service: service.clone(), failed })
            }
        };
        Answered { service: Some(service), outcome }
    }

    /// The entry to everything: links to the roots of the public services.
    fn home(&self, method: &Method) -> Result<Response, Failure> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(Failure::Method("GET, HEAD"));
        }
        let mut home = Resource::new("/").title("Services");
        for (name, about) in self.routing.services() {
            let root = format!("/{name}");
            home = home.link_titled(&name, root, about.unwrap_or_else(|| name.clone()));
        }
        Ok(Reply::from(home).into_response())
    }
}

/// What became of a request, and of which service.
struct Answered {
    service: Option<String>,
    outcome: Result<Response, Failure>,
}

async fn handle(State(gateway): State<Gateway>, request: Request<Body>) -> Response {
    let started = Instant::now();
    // The listener begins the trace. Without it (in another server) there is one all the same.
    let cause = request.extensions().get::<Cause>().cloned().unwrap_or_else(Cause::root);
    let method = request.method().clone();
    let mut asked = http::HeaderMap::new();
    for value in request.headers().get_all(header::ACCEPT) {
        asked.append(header::ACCEPT, value.clone());
    }
    let Answered { service, outcome } = gateway.answer(request, &cause).await;
    let response = outcome.unwrap_or_else(|failure| {
        if let Failure::Upstream { failed: Failed::CallerGone | Failed::CallerSlow, .. } = failure {
            tracing::info!(?failure, "the caller did not finish its request");
        }
        failure.answer(&asked, &cause)
    });
    record(service, &method, response.status(), started);
    response
}

/// What callers choose freely (paths, extension methods) does not become a label.
fn record(service: Option<String>, method: &Method, status: StatusCode, started: Instant) {
    let service = service.unwrap_or_else(|| "none".into());
    let standard = [
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    let method = if standard.contains(method) { method.as_str() } else { "other" };
    let labels = [
        ("service", service.clone()),
        ("status_class", format!("{}xx", status.as_u16() / 100)),
        ("method", method.to_owned()),
    ];
    metrics::counter!("gateway_requests_total", &labels).increment(1);
    metrics::histogram!("gateway_request_seconds", "service" => service).record(started.elapsed());
}

/// The listener's parser has resolved what it saw of this; whatever it lets through is refused.
fn has_two_lengths<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    let encoded = headers.contains_key(header::TRANSFER_ENCODING);
    lengths > 1 || (encoded && lengths > 0)
}
