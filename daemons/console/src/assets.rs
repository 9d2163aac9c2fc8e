//! Style and script, and the headers that let a page use nothing else.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use backline_hypermedia::not_modified;

/// Everything comes from here, and no page of another site may show ours.
const CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

/// The headers of every page.
pub(crate) const PAGE: [(HeaderName, HeaderValue); 5] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // With no-referrer a form's Origin would be null, and the guard would refuse it.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// A number that is the same for the same text, and hardly ever for another.
pub(crate) fn mark(text: &str) -> String {
    format!("{:016x}", BuildHasherDefault::<DefaultHasher>::default().hash_one(text))
}

pub(crate) fn routes() -> Router {
    let style = include_str!("../assets/console.css");
    let script = include_str!("../assets/console.js");
    let icon = include_str!("../assets/icon.svg");
    Router::new()
        .route("/assets/console.css", file("text/css; charset=utf-8", style))
        .route("/assets/console.js", file("text/javascript; charset=utf-8", script))
        .route("/assets/icon.svg", file("image/svg+xml", icon))
}

fn file(media_type: &'static str, text: &'static str) -> axum::routing::MethodRouter {
    let etag = format!("\"{}\"", mark(text));
    get(async move |request: HeaderMap| -> Response {
        let head = [
            (header::CONTENT_TYPE, media_type),
            (header::ETAG, etag.as_str()),
            (header::CACHE_CONTROL, "no-cache"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        match not_modified(&request, &etag) {
            true => (StatusCode::NOT_MODIFIED, head).into_response(),
            false => (head, text).into_response(),
        }
    })
}
