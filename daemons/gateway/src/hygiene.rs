//! Header hygiene: what goes no further than the gateway, and what it says in its own name.
//!
//! Nothing that a caller says about itself or about the way of its request is believed: such
//! headers are removed, and the gateway writes its own. Framing belongs to each connection and is
//! never copied.

use std::net::IpAddr;

use backline_client::Cause;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, header,
    uri::{Authority, PathAndQuery},
};

/// What is sent to an instance, apart from its address and the body.
#[derive(Debug)]
pub(crate) struct Onward {
    pub method: http::Method,
    pub target: PathAndQuery,
    pub headers: HeaderMap,
}

/// What the gateway knows about a request by itself.
pub(crate) struct Known<'a> {
    /// The service it is for.
    pub service: &'a str,
    /// Whose connection it came on.
    pub peer: Option<IpAddr>,
    /// Its trace, begun here.
    pub cause: &'a Cause,
}

/// Makes the head that goes onward. `Host` is missing: it is the instance's address.
pub(crate) fn onward<B>(request: &Request<B>, known: &Known<'_>) -> Onward {
    let mut headers = request.headers().clone();
    let host = headers.remove(header::HOST);
    strip_hop_by_hop(&mut headers);
    strip_claims(&mut headers);
    let mut say = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    say("forwarded", &forwarded(known.peer, host.as_ref()));
    say("backline-to", known.service);
    say("backline-correlation", &known.cause.correlation);
    say("traceparent", &known.cause.traceparent.to_string());
    Onward {
        method: request.method().clone(),
        target: request
            .uri()
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/")),
        headers,
    }
}

/// Cleans the head of an answer. Its `Trace-Id` is written by the gateway.
pub(crate) fn clean_answer(headers: &mut HeaderMap) {
    // A body that came in chunks is as long as they are, whatever a length beside it says.
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    strip_hop_by_hop(headers);
    strip_where(headers, |name| {
        name.starts_with("backline-")
            || matches!(name, "trace-id" | "traceparent" | "tracestate" | "baggage")
    });
}

/// Removes the fields that are about one connection (RFC 9110, 7.6.1), `Proxy-*` among them, and
/// `Expect`, which the gateway answers itself.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // The length of the body is not the caller's to remove.
        .filter(|name| *name != header::CONTENT_LENGTH)
        .collect();
    for name in named {
        headers.remove(name);
    }
    strip_where(headers, |name| {
        name.starts_with("proxy-")
            || matches!(
                name,
                "connection"
                    | "keep-alive"
                    | "te"
                    | "trailer"
                    | "transfer-encoding"
                    | "upgrade"
                    | "http2-settings"
                    | "expect"
            )
    });
}

/// Removes what callers claim about themselves. `Origin` was checked by the listener's guard; for
/// a service behind it, it would name a foreign site.
fn strip_claims(headers: &mut HeaderMap) {
    strip_where(headers, |name| {
        ["backline-", "x-forwarded-", "x-b3-", "x-original-", "x-rewrite-"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            || matches!(
                name,
                "origin"
                    | "forwarded"
                    | "x-real-ip"
                    | "traceparent"
                    | "tracestate"
                    | "baggage"
                    | "trace-id"
                    | "b3"
            )
    });
}

fn strip_where(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let names: Vec<HeaderName> =
        headers.keys().filter(|name| unwanted(name.as_str())).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// The field of RFC 7239. Ports and IPv6 addresses need quotes there (section 6).
fn forwarded(peer: Option<IpAddr>, host: Option<&HeaderValue>) -> String {
    let peer = match peer {
        Some(IpAddr::V4(ip)) => ip.to_string(),
        Some(IpAddr::V6(ip)) => format!("\"[{ip}]\""),
        None => "unknown".to_owned(),
    };
    let host = host
        .and_then(|host| host.to_str().ok())
        .and_then(|host| host.parse::<Authority>().ok())
        .map(|host| format!(";host=\"{host}\""))
        .unwrap_or_default();
    format!("for={peer}{host};proto=http")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(headers: &[(&str, &str)]) -> Onward {
        let mut request =
            Request::builder().method("PUT").uri("http://localhost:1/loyalty/a?b=c%20d");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let cause = Cause::root();
        let known = Known { service: "loyalty", peer: Some([127, 0, 0, 1].into()), cause: &cause };
        onward(&request.body(()).expect("a request"), &known)
    }

    #[test]
    fn nothing_that_a_caller_claims_goes_further() {
        let claims = [
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Real-IP",
            "traceparent",
            "tracestate",
            "baggage",
            "Backline-To",
            "Backline-Instance",
            "Backline-Correlation",
            "Backline-Anything",
            "Origin",
            "b3",
            "X-B3-TraceId",
            "Trace-Id",
            "X-Original-URL",
        ];
        let lines: Vec<(&str, &str)> = claims.iter().map(|name| (*name, "claimed")).collect();
        let headers = sent(&lines).headers;
        assert!(headers.values().all(|value| value != "claimed"), "{headers:?}");
        assert_eq!(headers["backline-to"], "loyalty");
    }

    #[test]
    fn fields_of_the_connection_end_here() {
        let headers = sent(&[
            ("Connection", "keep-alive, X-Secret"),
            ("Connection", "close, TE, Content-Length"),
            ("Keep-Alive", "timeout=5"),
            ("X-Secret", "1"),
            ("TE", "trailers"),
            ("Trailer", "X"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "websocket"),
            ("Proxy-Connection", "close"),
            ("Proxy-Authorization", "x"),
            ("Expect", "100-continue"),
            ("Content-Length", "3"),
            ("Accept", "text/html"),
        ])
        .headers;
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "accept",
                "backline-correlation",
                "backline-to",
                "content-length",
                "forwarded",
                "traceparent"
            ]
        );
    }

    #[test]
    fn everything_else_goes_on_unchanged() {
        let onward = sent(&[("Cookie", "a=1"), ("Cookie", "b=2"), ("Idempotency-Key", "k")]);
        assert_eq!(onward.target, "/loyalty/a?b=c%20d");
        assert_eq!(onward.headers.get_all("cookie").iter().count(), 2);
        assert_eq!(onward.headers["idempotency-key"], "k");
    }

    #[test]
    fn forwarded_names_peer_host_and_scheme() {
        assert_eq!(
            sent(&[("Host", "localhost:8080")]).headers["forwarded"],
            "for=127.0.0.1;host=\"localhost:8080\";proto=http"
        );
        assert_eq!(forwarded(Some("::1".parse().expect("ip")), None), "for=\"[::1]\";proto=http");
        assert_eq!(
            forwarded(None, Some(&HeaderValue::from_static("a\";for=evil"))),
            "for=unknown;proto=http"
        );
    }

    #[test]
    fn answers_lose_fields_of_the_connection_and_of_the_inside() {
        let mut headers: HeaderMap = [
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("trace-id", "theirs"),
            ("backline-instance", "loyalty-1"),
            ("etag", "\"1\""),
        ]
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
        clean_answer(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["etag"]);
    }
}
