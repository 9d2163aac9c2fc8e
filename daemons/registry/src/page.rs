//! The page for people: who is registered and how they are. No script, nothing from elsewhere.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Router,
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use jiff::Timestamp;

use crate::{
    api::Shared,
    catalog::{Found, FoundInstance},
    check::Status,
};

const STYLE: &str = include_str!("../assets/registry.css");

/// Styles come from here; nothing else is loaded, sent or framed.
const CSP: (HeaderName, HeaderValue) = (
    header::CONTENT_SECURITY_POLICY,
    HeaderValue::from_static(
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
    ),
);
const NOT_KEPT: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(show))
        .route("/ui/", get(show))
        .route("/ui", get(async || Redirect::permanent("/ui/")))
        .route("/ui/registry.css", get(style))
}

async fn style() -> Response {
    let head = [(header::CONTENT_TYPE, "text/css"), (header::CACHE_CONTROL, "max-age=60")];
    (head, STYLE).into_response()
}

async fn show(State(shared): State<Shared>) -> Response {
    let page = Page::of(shared.catalog.overview(), &shared, Timestamp::now());
    match page.render() {
        Ok(html) => ([CSP, NOT_KEPT], Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page could not be rendered");
            axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[derive(Template)]
#[template(path = "registry.html")]
struct Page {
    node: String,
    datacenter: String,
    as_of: String,
    console: Option<String>,
    instances: usize,
    failing: usize,
    services: Vec<ServiceCard>,
}

struct ServiceCard {
    name: String,
    kind: &'static str,
    about: String,
    owner: String,
    versions: String,
    passing: usize,
    status: Status,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    address: String,
    version: String,
    zone: String,
    started: String,
    status: Status,
    output: String,
    docs: Option<String>,
}

impl Page {
    fn of(found: Vec<Found>, shared: &Shared, now: Timestamp) -> Self {
        let console = found.iter().find(|service| service.name == "console").and_then(|service| {
            let well = service.instances.iter().find(|i| i.status == Status::Passing)?;
            link(&well.address, "/")
        });
        let mut services: Vec<_> = found.into_iter().map(|f| ServiceCard::of(f, now)).collect();
        // What needs somebody comes first.
        services.sort_by(|a, b| b.status.cmp(&a.status).then_with(|| a.name.cmp(&b.name)));
        let node = shared.catalog.node();
        Self {
            node: node.name.clone(),
            datacenter: node.datacenter.clone(),
            as_of: now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            console,
            instances: services.iter().map(|service| service.rows.len()).sum(),
            failing: services.iter().map(|service| service.rows.len() - service.passing).sum(),
            services,
        }
    }
}

impl ServiceCard {
    fn of(found: Found, now: Timestamp) -> Self {
        let rows: Vec<_> =
            found.instances.into_iter().map(|i| (Row::of(&i, now), i.meta)).collect();
        let said = |key: &str| {
            rows.iter().find_map(|(_, meta)| meta.get(key)).cloned().unwrap_or_default()
        };
        let mut versions: Vec<_> =
            rows.iter().map(|(row, _)| row.version.clone()).filter(|v| !v.is_empty()).collect();
        versions.sort();
        versions.dedup();
        Self {
            name: found.name,
            kind: if said("kind") == "daemon" { "platform" } else { "service" },
            about: said("about"),
            owner: said("owner"),
            versions: versions.join(", "),
            passing: rows.iter().filter(|(row, _)| row.status == Status::Passing).count(),
            status: rows.iter().map(|(row, _)| row.status).max().unwrap_or(Status::Passing),
            rows: rows.into_iter().map(|(row, _)| row).collect(),
        }
    }
}

impl Row {
    fn of(instance: &FoundInstance, now: Timestamp) -> Self {
        let said = |key: &str| instance.meta.get(key).cloned().unwrap_or_default();
        Self {
            id: instance.id.clone(),
            address: instance.address.clone(),
            version: said("version"),
            zone: said("zone"),
            started: since(&instance.meta, now),
            status: instance.status,
            output: instance.output.clone(),
            docs: instance.meta.get("docs").and_then(|docs| link(&instance.address, docs)),
        }
    }
}

/// How long the instance has run, as far as it has said when it started.
fn since(meta: &BTreeMap<String, String>, now: Timestamp) -> String {
    let Some(started) = meta.get("started").and_then(|text| text.parse::<Timestamp>().ok()) else {
        return String::new();
    };
    match now.as_second() - started.as_second() {
        ..60 => "less than a minute".into(),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        seconds => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A link into an instance; none where address or path are not plainly such.
fn link(address: &str, path: &str) -> Option<String> {
    let host = address.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]".contains(&b));
    (host && path.starts_with('/')).then(|| format!("http://{address}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_plain_addresses_only() {
        assert_eq!(link("127.0.0.1:4001", "/docs").as_deref(), Some("http://127.0.0.1:4001/docs"));
        assert_eq!(link("[::1]:80", "/").as_deref(), Some("http://[::1]:80/"));
        assert_eq!(link("evil@host:80", "/docs"), None);
        assert_eq!(link("127.0.0.1:4001", ".evil.example/"), None);
    }

    #[test]
    fn the_time_since_the_start_is_told_in_two_units() {
        let now: Timestamp = "2026-01-02T12:00:00Z".parse().expect("valid");
        for (started, told) in [
            ("2026-01-02T11:59:30Z", "less than a minute"),
            ("2026-01-02T11:15:00Z", "45 min"),
            ("2026-01-02T09:30:00Z", "2 h 30 min"),
            ("2025-12-30T09:00:00Z", "3 d 3 h"),
            ("yesterday", ""),
        ] {
            assert_eq!(since(&[("started".to_owned(), started.to_owned())].into(), now), told);
        }
    }
}
