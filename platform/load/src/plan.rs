//! What to send, how often, for how long.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};

const HOUR: Duration = Duration::from_secs(3600);
/// Requests that may wait at once, since each takes memory.
const MOST_WAITING: f64 = 1e6;

/// What to send, how often, for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The kinds of requests; each arrival is one of them, by weight.
    pub shapes: Vec<Shape>,
    /// Arrivals per second, over all shapes; from 0.001 to 1,000,000.
    pub rate: f64,
    /// When they come.
    pub arrivals: Arrivals,
    /// Load that is not counted, before the rest. May be nothing.
    pub warmup: Duration,
    /// Load that is counted; above 0, at most an hour.
    pub duration: Duration,
    /// The time of one request from its moment on; above 0, at most an hour. As many requests as
    /// come in this time may be waiting at once: `rate` x `timeout` is at most 1,000,000.
    pub timeout: Duration,
    /// Connections at once, to all servers together; at least 1.
    pub connections: usize,
    /// Whether servers elsewhere may be asked.
    pub beyond_loopback: bool,
}

/// When arrivals come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// As from very many people who know nothing of each other: exponential pauses.
    Poisson,
    /// All at the same distance.
    Steady,
}

/// A kind of request.
#[derive(Clone, Debug)]
pub struct Shape {
    /// In reports.
    pub name: String,
    /// Its share of all arrivals, against the weights of the others; above 0.
    pub weight: f64,
    pub(crate) method: Method,
    pub(crate) address: SocketAddr,
    pub(crate) target: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) accepted: fn(u16) -> bool,
}

/// A plan that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPlan(pub(crate) String);

impl Shape {
    /// GET of `url`, such as `http://127.0.0.1:8080/catalog/albums`.
    ///
    /// # Errors
    /// When it is no http URL with an IP address or `localhost`.
    pub fn get(name: &str, url: &str) -> Result<Self, InvalidPlan> {
        Self::new(name, Method::GET, url, &[], Bytes::new())
    }

    /// Any request.
    ///
    /// # Errors
    /// When URL or a header (`name: value`) cannot be meant.
    pub fn new(
        name: &str,
        method: Method,
        url: &str,
        headers: &[String],
        body: Bytes,
    ) -> Result<Self, InvalidPlan> {
        let wrong = |why: &str| InvalidPlan(format!("'{url}' {why}"));
        let uri: Uri = url.parse().map_err(|error| wrong(&format!("is no URL: {error}")))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("is not http://: only plain HTTP is sent"));
        }
        let host = uri.host().unwrap_or_default().replace("localhost", "127.0.0.1");
        let address = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        let address = address
            .parse()
            .map_err(|_| wrong("names no IP address or localhost: names are not looked up"))?;
        let mut shape = Self {
            name: name.to_owned(),
            weight: 1.0,
            method,
            address,
            target: uri
                .path_and_query()
                .map_or_else(|| Uri::from_static("/"), |p| p.clone().into()),
            headers: HeaderMap::new(),
            body,
            accepted: |status| status < 400,
        };
        // Without the user's name that the URL may have.
        let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
        let host = format!("{}{port}", uri.host().unwrap_or_default());
        if let Ok(host) = HeaderValue::try_from(host) {
            shape.headers.insert(header::HOST, host);
        }
        for line in headers {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| InvalidPlan(format!("'{line}' is no header: give name: value")))?;
            let name = http::HeaderName::try_from(name.trim())
                .map_err(|_| InvalidPlan(format!("'{name}' is no header's name")))?;
            let value = HeaderValue::from_str(value.trim())
                .map_err(|_| InvalidPlan(format!("the value of '{name}' cannot be sent")))?;
            shape.headers.insert(name, value);
        }
        Ok(shape)
    }

    /// With another share.
    #[must_use]
    pub fn weighing(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// With other statuses that count as good answers; those below 400 do unless this is said. A
    /// 404 may be what is asked for, a redirection a mistake.
    #[must_use]
    pub fn accepting(mut self, accepted: fn(u16) -> bool) -> Self {
        self.accepted = accepted;
        self
    }
}

impl Plan {
    /// A steady plan of 10 s for these requests, with a timeout of 5 s and 256 connections.
    #[must_use]
    pub fn new(shapes: Vec<Shape>, rate: f64) -> Self {
        Self {
            shapes,
            rate,
            arrivals: Arrivals::Poisson,
            warmup: Duration::ZERO,
            duration: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            connections: 256,
            beyond_loopback: false,
        }
    }

    /// Whether it can be meant.
    ///
    /// # Errors
    /// Says what is wrong and what would be right.
    pub fn check(&self) -> Result<(), InvalidPlan> {
        let wrong = |what: String| Err(InvalidPlan(what));
        if self.shapes.is_empty() {
            return wrong("there is nothing to send".into());
        }
        if !(self.rate >= 0.001 && self.rate <= 1e6) {
            return wrong(format!("the rate is {}: give 0.001 to 1,000,000 per second", self.rate));
        }
        if self.duration.is_zero() || self.duration.saturating_add(self.warmup) > HOUR {
            return wrong("give a duration above 0, and an hour at most with the warm-up".into());
        }
        if self.timeout.is_zero() || self.timeout > HOUR {
            return wrong("give a timeout above 0, and an hour at most".into());
        }
        if self.rate * self.timeout.as_secs_f64() > MOST_WAITING {
            return wrong(format!(
                "{} requests per second for {:?} each can be more than 1,000,000 that wait at once: \
                 give a shorter timeout or a lower rate",
                self.rate, self.timeout
            ));
        }
        if self.connections == 0 {
            return wrong("give at least one connection".into());
        }
        if self.shapes.iter().any(|shape| !(shape.weight > 0.0 && shape.weight.is_finite())) {
            return wrong("each kind of request needs a weight above 0".into());
        }
        let elsewhere = self.shapes.iter().find(|shape| !shape.address.ip().is_loopback());
        match elsewhere.filter(|_| !self.beyond_loopback) {
            Some(shape) => wrong(format!(
                "{} is not on this machine: load goes to loopback unless --beyond-loopback is given",
                shape.address
            )),
            None => Ok(()),
        }
    }
}
