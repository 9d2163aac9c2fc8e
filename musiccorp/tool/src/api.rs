//! The shop's HTTP API: requests, links, problems.

use std::{fmt, time::Duration};

use serde_json::Value;
use ureq::{
    Agent, Body,
    http::{HeaderMap, Response},
};

/// How long one request may take, from the connection to the end of the answer.
const REQUEST_LIMIT: Duration = Duration::from_secs(15);
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 4 * 1024 * 1024;
const JSON: &str = "application/hal+json, application/json, application/problem+json";

/// A shop, seen through its gateway.
#[derive(Debug)]
pub struct Api {
    agent: Agent,
    gateway: String,
}

/// A resource that is in the shop now.
#[derive(Debug)]
pub struct Created {
    /// Its reference.
    pub href: String,
    /// It was there already: this answer is the one that an earlier run got.
    pub replayed: bool,
}

/// Why something was not done.
#[derive(Debug)]
pub enum Failure {
    /// Nobody could do it at present. The same request may be sent again.
    Away { reason: String, retry_after: Option<Duration> },
    /// The shop says no, and would say so again.
    Refused(Refusal),
}

/// What the shop says when it refuses.
#[derive(Debug)]
pub struct Refusal {
    pub status: u16,
    /// The last part of the problem's type, or nothing.
    code: String,
    title: String,
    detail: String,
}

impl Api {
    /// `gateway` is `http://host:port`.
    pub fn new(gateway: &str) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(REQUEST_LIMIT))
            .timeout_connect(Some(CONNECT_LIMIT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The shop is named on the command line; no variable sends its requests elsewhere.
            .proxy(None)
            .user_agent(concat!("musiccorp/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.new_agent(), gateway: gateway.to_owned() }
    }

    /// Reads a resource.
    pub fn get(&self, href: &str) -> Result<Value, Failure> {
        let answer = self.agent.get(self.resolve(href)?).header("accept", JSON).call();
        let (_, body) = accepted(answer)?;
        serde_json::from_slice(&body).map_err(|error| {
            unexpected(format!("{href} answers with something that is not JSON: {error}"))
        })
    }

    /// Creates a resource in a collection.
    pub fn create(&self, collection: &str, key: &str, body: &Value) -> Result<Created, Failure> {
        let answer = self
            .agent
            .post(self.resolve(collection)?)
            .header("accept", JSON)
            .header("idempotency-key", key)
            .send_json(body);
        let (headers, body) = accepted(answer)?;
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let resource: Value = serde_json::from_slice(&body).unwrap_or_default();
        let href = header("location").or_else(|| link(&resource, "self"));
        let href = href.ok_or_else(|| {
            unexpected(format!("{collection} created something and does not say where"))
        })?;
        Ok(Created {
            href: href.to_owned(),
            replayed: header("idempotency-replayed")
                .is_some_and(|v| v.eq_ignore_ascii_case("true")),
        })
    }

    /// The URL of a reference. One that leads away from the gateway is not followed.
    fn resolve(&self, href: &str) -> Result<String, Failure> {
        let path = href.strip_prefix(&self.gateway).unwrap_or(href);
        if path.starts_with('/') && !path.starts_with("//") {
            return Ok(format!("{}{path}", self.gateway));
        }
        Err(unexpected(format!("the link '{href}' leads away from {}", self.gateway)))
    }
}

/// The target of a resource's link, if it has that one and it is no template.
pub fn link<'a>(resource: &'a Value, rel: &str) -> Option<&'a str> {
    let links = &resource["_links"][rel];
    let first = links.as_array().map_or(Some(links), |links| links.first())?;
    (first["templated"] != true).then(|| first["href"].as_str()).flatten()
}

fn accepted(answer: Result<Response<Body>, ureq::Error>) -> Result<(HeaderMap, Vec<u8>), Failure> {
    let (parts, mut body) = answer.map_err(away)?.into_parts();
    let bytes = body.with_config().limit(MAX_ANSWER).read_to_vec().map_err(away)?;
    if parts.status.is_success() {
        return Ok((parts.headers, bytes));
    }
    let refusal = Refusal::read(parts.status.as_u16(), &bytes);
    if !refusal.is_passing() {
        return Err(Failure::Refused(refusal));
    }
    // The header's other form, a date, is used by nobody here.
    let seconds =
        parts.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let reason = refusal.to_string();
    Err(Failure::Away { reason, retry_after: seconds.map(Duration::from_secs) })
}

/// No answer, or half of one. With an `Idempotency-Key` it does not matter whether the request was
/// carried out: sent again, it gets the same answer.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn away(error: ureq::Error) -> Failure {
    let reason = match &error {
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    Failure::Away { reason, retry_after: None }
}

/// An answer that the API does not have. It is nobody's passing weakness.
fn unexpected(detail: String) -> Failure {
    let title = "This is not the shop's API".to_owned();
    Failure::Refused(Refusal { status: 0, code: String::new(), title, detail })
}

impl Refusal {
    fn read(status: u16, body: &[u8]) -> Self {
        let problem: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        let code = text("type").rsplit(':').next().unwrap_or_default().to_owned();
        Self { status, code, title: text("title"), detail: text("detail") }
    }

    /// Whether it passes by itself. RFC 9110 says so of the statuses; a service that the gateway
    /// does not know (any more) is one that is just starting: at the company's roots there are no
    /// others.
    fn is_passing(&self) -> bool {
        matches!(self.status, 408 | 421 | 425 | 429 | 502 | 503 | 504)
            || self.code == "no-such-service"
    }

    /// Whether the shop failed, which may or may not be the request's fault.
    pub fn is_server_error(&self) -> bool {
        self.status >= 500
    }

    /// Whether the shop knows the row in another form.
    pub fn is_changed_row(&self) -> bool {
        self.code == "idempotency-key-reused"
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = if self.title.is_empty() { "The shop refused" } else { &self.title };
        f.write_str(title)?;
        if self.status != 0 {
            write!(f, " ({})", self.status)?;
        }
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away { reason, .. } => f.write_str(reason),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn links_are_followed_within_the_shop_only() {
        let api = Api::new("http://127.0.0.1:8080");
        let url = |href| api.resolve(href).ok();
        let expected = Some("http://127.0.0.1:8080/catalog?page=2".to_owned());
        assert_eq!(url("/catalog?page=2"), expected);
        assert_eq!(url("http://127.0.0.1:8080/catalog?page=2"), expected);
        let away = ["", "catalog", "//evil.example/", "http://127.0.0.1:80801/x", "https://a/b"];
        assert_eq!(away.map(url), [const { None }; 5]);
    }

    #[test]
    fn a_link_is_one_or_the_first_of_several_but_no_template() {
        let resource = json!({ "_links": {
            "one": { "href": "/1" },
            "many": [{ "href": "/2" }, { "href": "/3" }],
            "search": { "href": "/search{?q}", "templated": true } } });
        let found = ["one", "many", "search", "none"].map(|rel| link(&resource, rel));
        assert_eq!(found, [Some("/1"), Some("/2"), None, None]);
    }

    #[test]
    fn a_refusal_says_all_that_the_problem_says() {
        let problem =
            json!({ "type": "urn:backline:error:email-taken", "title": "Taken", "detail": "By x" });
        let refusal = Refusal::read(409, problem.to_string().as_bytes());
        assert_eq!(refusal.to_string(), "Taken (409): By x");
        assert!(!refusal.is_passing());
        assert_eq!(Refusal::read(500, b"<html>").to_string(), "The shop refused (500)");
    }

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        let passing = |status, problem: Value| {
            Refusal::read(status, problem.to_string().as_bytes()).is_passing()
        };
        assert!([429, 502, 503, 504].into_iter().all(|status| passing(status, json!({}))));
        assert!(![400, 404, 409, 422, 500].into_iter().any(|status| passing(status, json!({}))));
        assert!(passing(404, json!({ "type": "urn:backline:error:no-such-service" })));
    }
}
