use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{
    Format, render_problem,
    resource::Link,
    value::{Object, Value},
};

/// Why a request failed, as its caller sees it: problem details (RFC 9457).
///
/// `type` is `urn:backline:error:` and the code. Links are given as in HAL, under `_links`.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub(crate) status: StatusCode,
    // Boxed, since it is the error of many a `Result`, which should stay small.
    pub(crate) code: Box<str>,
    pub(crate) title: Box<str>,
    pub(crate) detail: Option<String>,
    pub(crate) extensions: Object,
    pub(crate) links: Vec<Link>,
}

/// Members that RFC 9457 or HAL gives a meaning to.
const RESERVED: [&str; 6] = ["type", "title", "status", "detail", "instance", "_links"];

impl Problem {
    /// A problem. The code is stable and has a help page (`email-taken`); the title is the same for
    /// every occurrence of it.
    #[must_use]
    pub fn new(status: StatusCode, code: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into().into(),
            title: title.into().into(),
            detail: None,
            extensions: Object::default(),
            links: Vec::new(),
        }
    }

    /// What is wrong in this occurrence, and what would be right.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds something for programs to read. A name that RFC 9457 gives a meaning to is left out.
    ///
    /// # Panics
    /// When the value has no JSON form, such as a map with keys that are not strings.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        let key = key.into();
        let value = Value::of(&value)
            .unwrap_or_else(|error| panic!("the member '{key}' has no JSON form: {error}"));
        if !RESERVED.contains(&key.as_str()) {
            self.extensions.set(key, value);
        }
        self
    }

    /// Adds a link to where the caller may go on.
    #[must_use]
    pub fn link(mut self, rel: impl Into<String>, href: impl Into<String>) -> Self {
        let (rel, href) = (rel.into(), href.into());
        self.links.push(Link { rel, href, templated: false, title: None });
        self
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code: the last part of `type`.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn type_uri(&self) -> String {
        format!("urn:backline:error:{}", self.code)
    }
}

impl IntoResponse for Problem {
    /// As JSON, for places that know nothing of the request. The problem itself is left among the
    /// response's extensions, so that a layer that does know it can render it again.
    fn into_response(self) -> Response {
        let rendered = render_problem(&self, Format::Json);
        let content_type = HeaderValue::from_static(rendered.content_type);
        let mut response = (self.status, rendered.body).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response.headers_mut().extend(rendered.headers);
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_answers_as_problem_json() {
        let problem =
            Problem::new(StatusCode::CONFLICT, "email-taken", "Taken").detail("Ada has it");
        assert_eq!((problem.status(), problem.code()), (StatusCode::CONFLICT, "email-taken"));
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::CONFLICT);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }

    #[test]
    fn what_the_standard_names_cannot_be_set_as_an_extension() {
        let plain = Problem::new(StatusCode::CONFLICT, "email-taken", "Taken");
        for name in RESERVED {
            assert_eq!(plain.clone().with(name, "forged"), plain, "{name} was taken");
        }
        assert_ne!(plain.clone().with("state", "closed"), plain);
    }
}
