//! A call being prepared.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, uri::PathAndQuery};
use serde::Serialize;
use tokio::time::Instant;

use crate::{Cause, Client, Error, Kind, Response, cause, error::Call};

/// The longest answer that is taken unless the caller says otherwise: 16 MiB.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// Headers that only the client itself sets: they frame the message or say whose it is.
const OWN: [&str; 8] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "backline-to",
    cause::TIMEOUT,
    cause::TRACEPARENT,
    cause::CORRELATION,
];

/// A call being prepared; [`RequestBuilder::send`] makes it.
#[derive(Debug)]
#[must_use = "nothing is sent before `send().await`"]
pub struct RequestBuilder {
    client: Client,
    method: Method,
    reference: String,
    cause: Option<Cause>,
    headers: HeaderMap,
    body: Bytes,
    timeout: Duration,
    /// When nobody waits any more, where the caller says so.
    until: Option<Instant>,
    long_poll: bool,
    body_limit: usize,
    /// The first mistake; told by `send`.
    mistake: Option<String>,
}

/// A call ready to be sent.
pub(crate) struct Prepared {
    pub path: PathAndQuery,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub timeout: Duration,
    pub until: Option<Instant>,
    pub long_poll: bool,
    pub body_limit: usize,
    pub call: Call,
}

impl RequestBuilder {
    pub(crate) fn new(client: Client, method: Method, reference: &str) -> Self {
        let timeout = client.dependency().timeout();
        Self {
            client,
            method,
            reference: reference.to_owned(),
            cause: None,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout,
            until: None,
            long_poll: false,
            body_limit: BODY_LIMIT,
            mistake: None,
        }
    }

    /// Whose consequence the call is. Without it, the call begins a trace of its own.
    pub fn cause(mut self, cause: &Cause) -> Self {
        self.cause = Some(cause.clone());
        self
    }

    /// The media types that the caller reads.
    pub fn accept(self, media_types: &str) -> Self {
        self.header("accept", media_types)
    }

    /// The time for everything: finding an instance, waiting for a connection, sending, and reading
    /// the answer to its end, over all tries. Default: the dependency's, see [`Limits`]. A deadline
    /// of the cause ends it earlier.
    ///
    /// [`Limits`]: crate::Limits
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The moment after which nobody waits for the answer; ends the call where that is earlier than
    /// its timeout and the deadline of its cause.
    pub fn until(mut self, end: Instant) -> Self {
        self.until = Some(self.until.map_or(end, |until| until.min(end)));
        self
    }

    /// Says that the other side is asked to hold its answer back until there is news. Such a call
    /// is never slow, and is no load to balance.
    pub fn long_poll(mut self) -> Self {
        self.long_poll = true;
        self
    }

    /// The longest answer that is taken, in bytes. Default: 16 MiB.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Sends this as JSON.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(body) {
            Ok(json) => self.body = json.into(),
            Err(error) => return self.mistaken(format!("the body is not JSON: {error}")),
        }
        self.header("content-type", "application/json")
    }

    /// Sets a header. Those that frame the message or say whose it is are the client's own.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let Ok(parsed) = HeaderName::try_from(name) else {
            return self.mistaken(format!("'{name}' is no header's name"));
        };
        if OWN.contains(&parsed.as_str()) {
            return self.mistaken(format!("the client sets the header '{name}' itself"));
        }
        let Ok(value) = HeaderValue::from_str(value) else {
            return self.mistaken(format!("the value of '{name}' cannot stand in a header"));
        };
        self.headers.insert(parsed, value);
        self
    }

    /// Lets the other side know the call again, so that it is carried out once however often it is
    /// sent.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// Makes the call. Dropping the future gives it up and closes its connection.
    ///
    /// # Errors
    /// See [`Kind`]; an answer of 400 and above is an error too.
    pub async fn send(self) -> Result<Response, Error> {
        let (client, prepared) = self.prepare();
        client.call(prepared?).await
    }

    fn mistaken(mut self, mistake: String) -> Self {
        self.mistake.get_or_insert(mistake);
        self
    }

    fn prepare(mut self) -> (Client, Result<Prepared, Error>) {
        let call = Call {
            service: self.client.name(),
            repeatable: self.method.is_idempotent() || self.headers.contains_key("idempotency-key"),
            method: self.method,
            reference: self.reference,
            instance: None,
        };
        let path = match self.mistake {
            Some(mistake) => Err(mistake),
            None => path_of(&call.reference),
        };
        let cause = self.cause.unwrap_or_else(Cause::root);
        let until = [self.until, cause.deadline].into_iter().flatten().min();
        let ours = path.and_then(|path| {
            add_own(&mut self.headers, &self.client, &cause)?;
            Ok(path)
        });
        let prepared = match ours {
            Ok(path) => Ok(Prepared {
                path,
                headers: self.headers,
                body: self.body,
                timeout: self.timeout,
                until,
                long_poll: self.long_poll,
                body_limit: self.body_limit,
                call,
            }),
            Err(mistake) => Err(call.error(Kind::Invalid, mistake)),
        };
        (self.client, prepared)
    }
}

fn add_own(headers: &mut HeaderMap, client: &Client, cause: &Cause) -> Result<(), String> {
    let own = [
        (HeaderName::from_static("backline-to"), client.service().to_owned()),
        (HeaderName::from_static(cause::TRACEPARENT), cause.traceparent.child().to_string()),
        (HeaderName::from_static(cause::CORRELATION), cause.correlation.clone()),
        (header::USER_AGENT, client.user_agent()),
    ];
    for (name, value) in own {
        let value = HeaderValue::try_from(value)
            .map_err(|_| format!("its value of '{name}' cannot stand in a header"))?;
        headers.insert(name, value);
    }
    Ok(())
}

/// A reference is an absolute path, with a query or not. Anything that could name a host is
/// refused: references come from others' answers and events, and must not lead out of the estate.
fn path_of(reference: &str) -> Result<PathAndQuery, String> {
    if !reference.starts_with('/') || reference.starts_with("//") {
        return Err("a reference is an absolute path such as '/customers/1': it starts with one \
                    '/' and names no scheme or host"
            .into());
    }
    if let Some(bad) = reference.chars().find(|char| !char.is_ascii_graphic() || *char == '#') {
        return Err(format!("{bad:?} cannot stand in a reference: percent-encode it"));
    }
    reference.parse().map_err(|error| format!("no reference: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_absolute_paths() {
        for good in ["/", "/customers", "/catalog/search?q=a%20b&page=2", "/a//b"] {
            assert_eq!(path_of(good).unwrap().as_str(), good);
        }
        let bad = ["", "customers", "//evil/x", "http://evil/x", "/a b", "/a#b", "/ü", "/a\r\nb"];
        for bad in bad {
            assert!(path_of(bad).is_err(), "{bad}");
        }
    }
}
