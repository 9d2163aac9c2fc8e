//! Extractors whose refusals are problem details that say what would be right.

use axum::{
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{StatusCode, request::Parts},
};
use backline_hypermedia::Problem;
use serde::de::DeserializeOwned;

use crate::{Fault, admission::too_large};

/// A JSON body.
pub struct Json<T>(pub T);

/// The variables of the path.
pub struct Path<T>(pub T);

/// The query's parameters.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let taken = axum::Json::<T>::from_request(request, state).await;
        taken.map(|axum::Json(value)| Self(value)).map_err(|rejection| body_problem(&rejection))
    }
}

fn body_problem(rejection: &JsonRejection) -> Fault {
    let status = rejection.status();
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large().into();
    }
    let (code, title) = match rejection {
        JsonRejection::JsonDataError(_) => {
            ("invalid-body", "The body lacks something or has something of the wrong kind")
        }
        JsonRejection::MissingJsonContentType(_) => return unsupported_media_type().into(),
        _ => ("malformed-json", "The body is not JSON"),
    };
    Problem::new(status, code, title).detail(rejection.body_text()).into()
}

pub(crate) fn unsupported_media_type() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The body must be application/json",
    )
    .detail("Send it with the header Content-Type: application/json.")
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let taken = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        taken.map(|axum::extract::Path(value)| Self(value)).map_err(|rejection: PathRejection| {
            Problem::new(rejection.status(), "invalid-path", "The path is not valid")
                .detail(rejection.body_text())
                .into()
        })
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Query<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let taken = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        taken.map(|axum::extract::Query(value)| Self(value)).map_err(|rejection: QueryRejection| {
            Problem::new(rejection.status(), "invalid-query", "The query is not valid")
                .detail(rejection.body_text())
                .into()
        })
    }
}
