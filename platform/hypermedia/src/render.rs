//! From a resource and a format to the bytes of an answer.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use jiff::Timestamp;

use crate::{Format, Problem, Resource, conditional, hal, html};

/// What surrounds a resource on its page. A JSON representation has nothing of it.
#[derive(Clone, Debug)]
pub struct Page {
    /// The service that answers: `customers`.
    pub service: String,
    /// When the state was true.
    pub as_of: Timestamp,
}

/// A representation, ready to be sent.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The representation.
    pub body: Bytes,
    /// A strong entity tag, with its quotes. A page's changes with its `as of`: somebody who reads
    /// it is told how old it is, and a 304 could not renew that.
    pub etag: String,
    /// Headers that belong to the representation: `Vary`, and what keeps a browser from running or
    /// loading what is not ours.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Makes a representation of a resource.
#[must_use]
pub fn render(resource: &Resource, format: Format, page: &Page) -> Rendered {
    match format {
        Format::Json => json("application/hal+json", hal::resource(resource).to_text()),
        Format::PlainJson => json("application/json", hal::resource(resource).to_text()),
        Format::Html => html(html::resource(resource, page)),
    }
}

/// Makes a representation of a problem.
#[must_use]
pub fn render_problem(problem: &Problem, format: Format) -> Rendered {
    match format {
        Format::Json | Format::PlainJson => {
            json("application/problem+json", hal::problem(problem).to_text())
        }
        Format::Html => html(html::problem(problem)),
    }
}

fn json(content_type: &'static str, body: String) -> Rendered {
    rendered(content_type, body, Vec::new())
}

fn html(body: String) -> Rendered {
    let more = [
        (header::CONTENT_SECURITY_POLICY, html::CONTENT_SECURITY_POLICY.clone()),
        // Not `no-referrer`: with it, a form's request has the origin `null`, which is refused.
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ];
    rendered("text/html; charset=utf-8", body, more.into())
}

fn rendered(
    content_type: &'static str,
    body: String,
    mut headers: Vec<(HeaderName, HeaderValue)>,
) -> Rendered {
    headers.push((header::VARY, HeaderValue::from_static("Accept")));
    headers.push((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    let etag = conditional::etag(content_type, body.as_bytes());
    Rendered { content_type, body: body.into(), etag, headers }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn page(second: i64) -> Page {
        let as_of = Timestamp::from_second(second).expect("a moment");
        Page { service: "customers".to_owned(), as_of }
    }

    fn header<'a>(rendered: &'a Rendered, name: &HeaderName) -> Option<&'a str> {
        let found = rendered.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.to_str().expect("is text"))
    }

    #[test]
    fn each_format_has_its_type_and_tag() {
        let resource = Resource::new("/customers/7").field("name", "Ada");
        let formats = [
            (Format::Json, "application/hal+json"),
            (Format::PlainJson, "application/json"),
            (Format::Html, "text/html; charset=utf-8"),
        ];
        let rendered = formats.map(|(format, content_type)| {
            let rendered = render(&resource, format, &page(0));
            assert_eq!(rendered.content_type, content_type);
            assert_eq!(header(&rendered, &header::VARY), Some("Accept"));
            assert_eq!(header(&rendered, &header::X_CONTENT_TYPE_OPTIONS), Some("nosniff"));
            rendered
        });
        assert_eq!(rendered[0].body, rendered[1].body);
        assert_ne!(rendered[0].etag, rendered[1].etag);
        assert_ne!(rendered[0].etag, rendered[2].etag);
        assert_eq!(header(&rendered[0], &header::CONTENT_SECURITY_POLICY), None);
        assert_eq!(header(&rendered[2], &header::REFERRER_POLICY), Some("same-origin"));
        let policy = header(&rendered[2], &header::CONTENT_SECURITY_POLICY).expect("a policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    }

    #[test]
    fn a_tag_follows_the_state_and_in_json_nothing_else() {
        let resource = |name: &str| Resource::new("/customers/7").field("name", name);
        let tag = |name, format, second| render(&resource(name), format, &page(second)).etag;
        assert_eq!(tag("Ada", Format::Json, 0), tag("Ada", Format::Json, 1));
        assert_ne!(tag("Ada", Format::Json, 0), tag("Bob", Format::Json, 0));
        assert_eq!(tag("Ada", Format::Html, 0), tag("Ada", Format::Html, 0));
        assert_ne!(tag("Ada", Format::Html, 0), tag("Ada", Format::Html, 1));
    }

    #[test]
    fn a_problem_has_its_own_type_in_json_and_a_page_of_its_own() {
        let problem = Problem::new(StatusCode::NOT_FOUND, "not-found", "No such customer");
        for format in [Format::Json, Format::PlainJson] {
            let rendered = render_problem(&problem, format);
            assert_eq!(rendered.content_type, "application/problem+json");
            assert!(rendered.body.starts_with(b"{\"type\":"));
        }
        let rendered = render_problem(&problem, Format::Html);
        assert_eq!(rendered.content_type, "text/html; charset=utf-8");
        assert!(header(&rendered, &header::CONTENT_SECURITY_POLICY).is_some());
        assert!(rendered.body.starts_with(b"<!doctype html>"));
    }
}
