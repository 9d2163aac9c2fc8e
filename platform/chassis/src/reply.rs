use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use backline_hypermedia::Resource;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Fault;

/// What a handler returns.
pub type Answer = Result<Reply, Fault>;

/// A resource on its way out. It becomes JSON or HTML as the caller prefers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    pub(crate) resource: Resource,
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) as_of: Option<Timestamp>,
    #[serde(skip)]
    pub(crate) replayed: bool,
}

impl From<Resource> for Reply {
    fn from(resource: Resource) -> Self {
        Self { resource, status: 200, location: None, as_of: None, replayed: false }
    }
}

impl Reply {
    /// 201, with the resource's `self` link as its Location.
    #[must_use]
    pub fn created(resource: Resource) -> Self {
        let location = resource.self_href().map(ToOwned::to_owned);
        Self { status: StatusCode::CREATED.as_u16(), location, ..Self::from(resource) }
    }

    /// When the state was true. By default the moment the request came in, which is never later
    /// than the reading of the store.
    #[must_use]
    pub fn as_of(mut self, moment: Timestamp) -> Self {
        self.as_of = Some(moment);
        self
    }

    pub(crate) fn replayed(mut self) -> Self {
        self.replayed = true;
        self
    }
}

impl IntoResponse for Reply {
    /// The request's middleware renders the resource; see `request.rs`.
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
