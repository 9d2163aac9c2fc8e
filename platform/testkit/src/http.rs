//! A small HTTP client for tests. An error status is an answer; only no answer is a failure.
//!
//! Each request uses a connection of its own: a test that kills servers must not meet a kept
//! connection to one that is gone. Redirects are not followed, and no proxy is asked.

use std::{fmt, time::Duration};

use serde_json::Value;
use ureq::{
    Agent,
    http::{HeaderMap, Request},
};

/// How long a request may take, from its name's resolution to the body's end.
pub const LIMIT: Duration = Duration::from_secs(10);
/// Larger bodies are refused, in bytes.
const MAX_BODY: u64 = 64 * 1024 * 1024;

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// With the whole answer, when the body is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("the body is not JSON ({error}): {self}"),
        }
    }

    /// The same, if its status is `status`.
    ///
    /// # Panics
    /// With the whole answer, when it is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "unexpected answer: {self}");
        self
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}\n{}", self.status, self.headers, self.text())
    }
}

/// `GET`, asking for JSON.
///
/// # Panics
/// When there is no answer.
#[must_use]
#[track_caller]
pub fn get(url: &str) -> Answer {
    answered("GET", url, request("GET", url, &[("Accept", "application/json")], None))
}

/// `GET` of a server that may be away: none when there is no answer.
#[must_use]
pub fn try_get(url: &str) -> Option<Answer> {
    request("GET", url, &[("Accept", "application/json")], None).ok()
}

/// `POST` of a JSON body. `headers` come on top of the media type.
///
/// # Panics
/// When there is no answer.
#[track_caller]
pub fn post_json(url: &str, value: &Value, headers: &[(&str, &str)]) -> Answer {
    let headers = [&[("Content-Type", "application/json")], headers].concat();
    let body = value.to_string();
    answered("POST", url, request("POST", url, &headers, Some(body.as_bytes())))
}

/// Any request.
///
/// # Errors
/// Why there is no answer: refused, cut, or not whole within [`LIMIT`].
pub fn request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Result<Answer, ureq::Error> {
    let mut head = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        head = head.header(*name, *value);
    }
    let mut answer = match body {
        Some(body) => agent().run(head.body(body)?)?,
        None => agent().run(head.body(())?)?,
    };
    let body = answer.body_mut().with_config().limit(MAX_BODY).read_to_vec()?;
    Ok(Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), body })
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_global(Some(LIMIT))
        .build();
    config.new_agent()
}

#[track_caller]
fn answered(method: &str, url: &str, result: Result<Answer, ureq::Error>) -> Answer {
    match result {
        Ok(answer) => answer,
        Err(error) => panic!("{method} {url} got no answer: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{SocketAddr, TcpListener},
        thread::{self, JoinHandle},
    };

    use serde_json::json;

    use super::*;

    /// Answers one request with `answer` and hands over what it was sent.
    fn server(answer: &'static str, last: &'static str) -> (SocketAddr, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let served = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let (mut seen, mut chunk) = (String::new(), [0; 1024]);
            while !seen.ends_with(last) {
                let read = stream.read(&mut chunk).expect("a request");
                assert!(read > 0, "the request ended early: {seen}");
                seen.push_str(&String::from_utf8_lossy(&chunk[..read]));
            }
            stream.write_all(answer.as_bytes()).expect("it can be answered");
            seen
        });
        (address, served)
    }

    #[test]
    fn an_error_status_is_an_answer_with_headers_and_body() {
        let text =
            "HTTP/1.1 409 Conflict\r\nTrace-Id: 7\r\nContent-Length: 13\r\n\r\n{\"state\":\"x\"}";
        let (address, served) = server(text, "\r\n\r\n");
        let answer = get(&format!("http://{address}/a")).expect(409);
        assert_eq!(answer.header("trace-id"), Some("7"));
        assert_eq!(answer.json(), json!({ "state": "x" }));
        assert!(served.join().expect("it was served").starts_with("GET /a HTTP/1.1\r\n"));
    }

    #[test]
    fn json_is_posted_with_its_media_type_and_more_headers() {
        let (address, served) = server(
            "HTTP/1.1 303 See Other\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n",
            "{\"a\":1}",
        );
        let key = [("Idempotency-Key", "k")];
        let answer = post_json(&format!("http://{address}/a"), &json!({ "a": 1 }), &key);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/b")));
        let seen = served.join().expect("it was served").to_lowercase();
        assert!(
            seen.contains("content-type: application/json") && seen.contains("idempotency-key: k")
        );
    }

    #[test]
    fn a_server_that_is_away_gives_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        assert!(try_get(&format!("http://{address}/")).is_none());
    }
}
