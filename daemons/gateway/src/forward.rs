//! One request on its way: to an instance, and to another where the first fails and it is safe.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use backline_client::Denied;
use http::{Method, Request, Response, StatusCode, Version, header, uri::Uri};

use crate::{
    hygiene::{self, Onward},
    payload::Payload,
    retry::{Failed, Tries},
    routing::Route,
    upstream::{Answer, Upstream},
};

/// The service has refused the request before any work: it is well, and at its limit.
#[derive(Clone, Copy)]
pub(crate) struct Shed;

/// Why no instance answered.
pub(crate) enum Unanswered {
    NobodyHealthy,
    /// Its breaker or bulkhead refuses.
    Denied(Denied),
    Failed(Failed),
}

/// Sends a request to one instance after the other, until one answers or no further try is safe.
pub(crate) async fn forward(
    route: &Route,
    service: &str,
    onward: &Onward,
    mut payload: Payload,
    within: Duration,
) -> Result<Response<Answer>, Unanswered> {
    let mut tried: Vec<Arc<Upstream>> = Vec::new();
    let mut tries = Tries::default();
    let mut upstream = route.pick(&tried).ok_or(Unanswered::NobodyHealthy)?;
    let mut fresh = false;
    loop {
        let Attempt { outcome, reused } =
            attempt(&upstream, onward, &mut payload, fresh, within).await;
        let failed = match outcome {
            Ok(answer) => return Ok(answer),
            Err(failed) => failed,
        };
        if !matches!(failed, Failed::CallerSlow | Failed::CallerGone) {
            let instance = &upstream.id;
            tracing::warn!(service, instance, ?failed, "an instance did not answer");
        }
        if !tries.another(failed, &onward.method, payload.is_here()) {
            return Err(Unanswered::Failed(failed));
        }
        tried.push(upstream.clone());
        upstream = match route.pick(&tried) {
            Some(other) => other,
            // An old connection that broke says little about its instance: there, a new one is a
            // second instance.
            None if reused => upstream,
            None => return Err(Unanswered::Failed(failed)),
        };
        fresh = true;
        metrics::counter!("gateway_retries_total", "service" => service.to_owned()).increment(1);
    }
}

struct Attempt {
    outcome: Result<Response<Answer>, Failed>,
    reused: bool,
}

async fn attempt(
    upstream: &Arc<Upstream>,
    onward: &Onward,
    payload: &mut Payload,
    fresh: bool,
    within: Duration,
) -> Attempt {
    let mut lease = match upstream.lease(fresh).await {
        Ok(lease) => lease,
        Err(error) => {
            tracing::debug!(instance = upstream.id, %error, "no connection");
            return Attempt { outcome: Err(Failed::NotSent), reused: false };
        }
    };
    let reused = lease.reused;
    let (body, progress) = payload.send();
    let sent = lease.sender.try_send_request(request(upstream, onward, body));
    let outcome = tokio::select! {
        answered = sent => match answered {
            Ok(answer) => Ok(answer),
            Err(mut error) => match error.take_message() {
                Some(unsent) => {
                    payload.put_back(unsent.into_body());
                    Err(Failed::NotSent)
                }
                None if error.error().is_user() => Err(Failed::CallerGone),
                None => {
                    tracing::debug!(instance = upstream.id, error = %error.error(), "cut");
                    Err(Failed::Cut)
                }
            },
        },
        failed = progress.stands_still(within) => Err(failed),
    };
    let outcome = outcome.and_then(|answer| match answer.status() {
        StatusCode::MISDIRECTED_REQUEST => Err(Failed::Misdirected),
        // Nobody asked for another protocol; what follows is no answer.
        StatusCode::SWITCHING_PROTOCOLS => Err(Failed::Cut),
        _ => Ok(answer),
    });
    let outcome = outcome.map(|answer| {
        let (mut head, body) = answer.into_parts();
        let length = head.headers.contains_key(header::CONTENT_LENGTH);
        let bodiless = onward.method == Method::HEAD || head.status == StatusCode::NOT_MODIFIED;
        let shed = head.headers.contains_key("backline-shed");
        hygiene::clean_answer(&mut head.headers);
        head.version = Version::HTTP_11;
        head.extensions.clear();
        if shed {
            head.extensions.insert(Shed);
        }
        Response::from_parts(head, lease.read(body, length || !bodiless))
    });
    Attempt { outcome, reused }
}

fn request(upstream: &Upstream, onward: &Onward, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = onward.method.clone();
    *request.uri_mut() = Uri::from(onward.target.clone());
    *request.headers_mut() = onward.headers.clone();
    request.headers_mut().insert(header::HOST, upstream.host.clone());
    request
}
