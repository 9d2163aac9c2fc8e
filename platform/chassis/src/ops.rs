//! Operational paths: health, metrics, documentation. They lie outside the service's resources, and
//! the gateway does not reach them.

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use backline_store::{Error, Store, Tx, params};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// What `/health` tells (draft-inadarei-api-health-check-06).
#[derive(Clone)]
pub(crate) struct Health {
    pub service: &'static str,
    pub instance: String,
    pub version: &'static str,
    pub about: &'static str,
    pub store: Option<Store>,
    pub drain: CancellationToken,
}

pub(crate) fn health(health: Health) -> Router {
    Router::new().route("/health", get(tell_health)).with_state(health)
}

async fn tell_health(State(health): State<Health>) -> Response {
    let mut checks = serde_json::Map::new();
    let mut pass = true;
    if let Some(store) = &health.store {
        let read =
            store.read(async |tx: Tx| tx.query_one("SELECT 1 AS one", params![]).await).await;
        checks.insert("store:responseTime".into(), check(read.as_ref().err()));
        pass = read.is_ok();
    }
    if health.drain.is_cancelled() {
        pass = false;
        checks.insert("process".into(), json!([{ "status": "fail", "output": "draining" }]));
    }
    let body = json!({
        "status": if pass { "pass" } else { "fail" },
        "version": health.version,
        "serviceId": health.instance,
        "service": health.service,
        "description": health.about,
        "checks": checks,
    });
    let status = if pass { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "application/health+json")], Json(body).0.to_string())
        .into_response()
}

fn check(error: Option<&Error>) -> Value {
    match error {
        None => json!([{ "status": "pass" }]),
        Some(error) => json!([{ "status": "fail", "output": error.to_string() }]),
    }
}

pub(crate) fn metrics(handle: PrometheusHandle) -> Router {
    let render = async move |State(handle): State<PrometheusHandle>| {
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render())
    };
    Router::new().route("/metrics", get(render)).with_state(handle)
}

/// `/openapi.json`, `/schemas/events.json` and the interactive page `/docs`.
pub(crate) fn documentation(service: &'static str, openapi: String, events: String) -> Router {
    let page = docs_page(service);
    Router::new()
        .route("/openapi.json", get(async move || json_text(openapi)))
        .route("/schemas/events.json", get(async move || json_text(events)))
        .route("/docs", get(async move || ([CSP], Html(page))))
        .route("/docs/start.js", get(async || asset("text/javascript", START_JS.as_bytes())))
        .route("/docs/swagger-ui.js", get(async || zipped("text/javascript", SWAGGER_JS)))
        .route("/docs/swagger-ui.css", get(async || zipped("text/css", SWAGGER_CSS)))
}

fn json_text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

fn asset(media_type: &'static str, body: &'static [u8]) -> Response {
    ([(header::CONTENT_TYPE, media_type)], body).into_response()
}

fn zipped(media_type: &'static str, body: &'static [u8]) -> Response {
    let head = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_ENCODING, "gzip"),
        (header::CACHE_CONTROL, "max-age=86400"),
    ];
    (head, body).into_response()
}

const SWAGGER_JS: &[u8] = include_bytes!("../assets/swagger-ui/swagger-ui-bundle.js.gz");
const SWAGGER_CSS: &[u8] = include_bytes!("../assets/swagger-ui/swagger-ui.css.gz");
const START_JS: &str = r##"SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", deepLinking: true });
"##;

/// Swagger UI sets style attributes and shows icons as data URIs; scripts come from here alone.
const CSP: (HeaderName, HeaderValue) = (
    header::CONTENT_SECURITY_POLICY,
    HeaderValue::from_static(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
    ),
);

fn docs_page(service: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{service}: API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<main id="docs"></main>
<script src="/docs/swagger-ui.js"></script>
<script src="/docs/start.js"></script>
</html>
"#
    )
}
