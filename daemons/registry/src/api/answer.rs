//! Answers and errors in Consul's form. Errors are a line of text; clients look for parts of it.

use axum::{
    extract::rejection::BytesRejection,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use super::params::Params;
use crate::{
    catalog::{Answer, HeartbeatError, Refused},
    kv,
    registration::Invalid,
};

const INDEX: HeaderName = HeaderName::from_static("x-consul-index");
const KNOWN_LEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
const LAST_CONTACT: HeaderName = HeaderName::from_static("x-consul-lastcontact");

/// An error: a status and what is wrong.
#[derive(Debug)]
pub(crate) struct Fault {
    status: StatusCode,
    text: String,
}

impl Fault {
    pub fn of(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    pub fn bad_request(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text: text.into() }
    }

    pub fn not_found(text: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, text: text.into() }
    }

    pub fn not_allowed(text: impl Into<String>) -> Self {
        Self { status: StatusCode::METHOD_NOT_ALLOWED, text: text.into() }
    }

    pub fn internal(text: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, text: text.into() }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        (self.status, plain, self.text).into_response()
    }
}

impl From<Invalid> for Fault {
    fn from(invalid: Invalid) -> Self {
        Self::bad_request(invalid.to_string())
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::Full => StatusCode::INSUFFICIENT_STORAGE,
            Refused::CheckTaken { .. } => StatusCode::BAD_REQUEST,
        };
        Self { status, text: refused.to_string() }
    }
}

impl From<kv::Refused> for Fault {
    fn from(refused: kv::Refused) -> Self {
        match refused {
            kv::Refused::Store(error) => error.into(),
            kv::Refused::Full => Self::of(StatusCode::INSUFFICIENT_STORAGE, refused.to_string()),
            kv::Refused::Mistakes(_) => Self::of(StatusCode::CONFLICT, refused.to_string()),
        }
    }
}

impl From<backline_store::Error> for Fault {
    fn from(error: backline_store::Error) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the keys' store failed");
        let status = match error.is_transient() {
            true => StatusCode::SERVICE_UNAVAILABLE,
            false => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::of(status, format!("The keys' store does not answer: {error}"))
    }
}

impl From<HeartbeatError> for Fault {
    fn from(error: HeartbeatError) -> Self {
        match error {
            HeartbeatError::Unknown(_) => Self::not_found(error.to_string()),
            // Consul's status for it; clients take it as the sign to register again.
            HeartbeatError::NoTtl(_) => Self::internal(error.to_string()),
        }
    }
}

impl From<BytesRejection> for Fault {
    fn from(rejection: BytesRejection) -> Self {
        Self { status: rejection.status(), text: rejection.body_text() }
    }
}

/// JSON without an index.
pub(crate) fn json(body: Bytes, params: &Params) -> Response {
    let body = if params.has("pretty") { indented(&body) } else { body };
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// JSON with the index of what it shows.
pub(crate) fn indexed(answer: Answer, params: &Params) -> Response {
    let mut response = json(answer.body, params);
    add_index(&mut response, answer.index);
    response
}

/// Says of which state an answer is.
pub(crate) fn add_index(response: &mut Response, index: u64) {
    let headers = response.headers_mut();
    headers.insert(INDEX, HeaderValue::from(index));
    headers.insert(KNOWN_LEADER, HeaderValue::from_static("true"));
    headers.insert(LAST_CONTACT, HeaderValue::from_static("0"));
}

fn indented(body: &Bytes) -> Bytes {
    let value: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let text = value.and_then(|value| serde_json::to_vec_pretty(&value).ok());
    text.map_or_else(|| body.clone(), Bytes::from)
}
