use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use backline_hypermedia::Problem;

/// Why a request failed: what its caller sees, and, apart from it, what an operator sees.
#[derive(Clone, Debug)]
pub struct Fault {
    pub(crate) problem: Box<Problem>,
    /// For the log alone.
    pub(crate) cause: Option<String>,
}

impl Fault {
    /// A mistake of ours: the caller is told no more than that, the log gets `cause`.
    #[must_use]
    pub fn internal(cause: impl Into<String>) -> Self {
        let problem = Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal-error",
            "Something went wrong on our side",
        )
        .detail("It was recorded under the trace id of this answer.");
        Self { problem: Box::new(problem), cause: Some(cause.into()) }
    }

    /// No such resource.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Problem::new(StatusCode::NOT_FOUND, "not-found", "There is no such resource")
            .detail(what)
            .into()
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), cause: None }
    }
}

impl From<backline_store::Error> for Fault {
    fn from(error: backline_store::Error) -> Self {
        let cause = Some(described(&error));
        if !error.is_transient() {
            return Self { cause, ..Self::internal("") };
        }
        let problem = Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store-unavailable",
            "The service's store does not answer at present",
        )
        .detail("Nothing was changed. Try again in a moment.");
        Self { problem: Box::new(problem), cause }
    }
}

impl From<backline_client::Error> for Fault {
    fn from(error: backline_client::Error) -> Self {
        let (status, code, title) = if error.is_away() {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "dependency-away",
                "Another service that this needs is away",
            )
        } else {
            (
                StatusCode::BAD_GATEWAY,
                "dependency-failed",
                "Another service that this needs answered with an error",
            )
        };
        let problem = Problem::new(status, code, title);
        Self { problem: Box::new(problem), cause: Some(described(&error)) }
    }
}

impl IntoResponse for Fault {
    /// The request's middleware renders the fault; see `request.rs`.
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// An error with all its sources, for the log.
fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
