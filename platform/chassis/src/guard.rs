//! Who may speak to a listener.
//!
//! A server on loopback is attacked by web pages: a page of any site can make the browser of the
//! person at this machine send requests here, and DNS rebinding lets it read the answers. Every
//! listener therefore asks under which name it was called (`Host`), and refuses a page of another
//! origin (`Origin`; Fetch standard, 3.1). Requests inside name the service they are meant for
//! (`Backline-To`), so that a process that got another's port says so (421, RFC 9110 15.5.20).

use std::net::{IpAddr, SocketAddr};

use backline_hypermedia::Problem;
use http::{
    HeaderMap, StatusCode, Uri, header,
    uri::{Authority, Scheme},
};

/// The service that a request is meant for.
pub const TO: &str = "backline-to";
/// The instance that a health check is meant for.
pub const INSTANCE: &str = "backline-instance";

/// What a listener answers to.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The name of the service.
    pub service: String,
    /// The name of the process.
    pub instance: String,
    /// The address listened on.
    pub address: SocketAddr,
    /// Names besides loopback and the address by which it may be called (`BACKLINE_HOSTS`).
    pub hosts: Vec<String>,
}

impl Guard {
    /// Lets a request pass that was meant for this listener and comes from no other site's page.
    ///
    /// # Errors
    /// 400 without a usable Host, 403 for a foreign Host or Origin, 421 for another's request.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let host = host(uri, headers)?;
        if !self.answers_to(host.host()) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "foreign-host",
                "This server does not answer under that name",
            )
            .detail(format!(
                "Host is '{host}': use localhost, a loopback address or the address listened on, \
                 or name the host in BACKLINE_HOSTS."
            )));
        }
        origin(headers, &host)?;
        meant_for(headers, TO, &self.service, "service")?;
        meant_for(headers, INSTANCE, &self.instance, "instance")
    }

    fn answers_to(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let ours = match bare.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback() || ip == self.address.ip(),
            Err(_) => host.eq_ignore_ascii_case("localhost"),
        };
        ours || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(bare))
    }
}

/// The authority that the request names. The absolute form and the header must not disagree.
fn host(uri: &Uri, headers: &HeaderMap) -> Result<Authority, Problem> {
    let invalid = |detail: &str| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid-host", "The Host header is not valid")
            .detail(detail)
    };
    let mut values = headers.get_all(header::HOST).iter();
    let named = values.next().and_then(|value| value.to_str().ok());
    let named: Authority = named
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| invalid("Give one Host header with a name or address."))?;
    if values.next().is_some() || named.as_str().contains('@') {
        return Err(invalid("Give one Host header with a name or address."));
    }
    match uri.authority() {
        Some(authority) if !authority.as_str().eq_ignore_ascii_case(named.as_str()) => {
            Err(invalid("The request's target and its Host header disagree."))
        }
        _ => Ok(named),
    }
}

fn origin(headers: &HeaderMap, host: &Authority) -> Result<(), Problem> {
    let foreign = || {
        Problem::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            "Pages of other sites may not call this server",
        )
        .detail(format!("The request's Origin is not that of its Host, '{host}'."))
    };
    for value in headers.get_all(header::ORIGIN) {
        let uri: Option<Uri> = value.to_str().ok().and_then(|text| text.parse().ok());
        let same = uri.is_some_and(|uri| {
            uri.scheme().is_some_and(|s| *s == Scheme::HTTP || *s == Scheme::HTTPS)
                && uri.authority().is_some_and(|a| a.as_str().eq_ignore_ascii_case(host.as_str()))
        });
        if !same {
            return Err(foreign());
        }
    }
    Ok(())
}

fn meant_for(headers: &HeaderMap, name: &str, own: &str, what: &str) -> Result<(), Problem> {
    match headers.get(name) {
        Some(value) if value != own => Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected",
            "This request is meant for another process",
        )
        .detail(format!("This is the {what} '{own}'. Look its address up again."))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard {
            service: "loyalty".into(),
            instance: "loyalty-1".into(),
            address: "10.1.2.3:80".parse().expect("an address"),
            hosts: vec!["shop.example".into(), "192.168.1.5".into()],
        }
    }

    fn status(headers: &[(&'static str, &str)]) -> u16 {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (http::HeaderName::from_static(name), value.parse().expect("a value"))
            })
            .collect();
        let checked = guard().check(&Uri::from_static("/x"), &headers);
        checked.map_or_else(|problem| problem.status().as_u16(), |()| 200)
    }

    #[test]
    fn it_answers_to_loopback_its_address_and_names_it_was_given() {
        for host in [
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:1",
            "localhost:8080",
            "10.1.2.3",
            "192.168.1.5:80",
            "SHOP.example",
        ] {
            assert_eq!(status(&[("host", host)]), 200, "{host}");
        }
    }

    #[test]
    fn a_name_that_was_bound_to_us_by_another_site_is_refused() {
        for host in
            ["evil.example", "10.1.2.4:8080", "localhost.evil.example", "127.0.0.1.evil.example"]
        {
            assert_eq!(status(&[("host", host)]), 403, "{host}");
        }
        assert_eq!(status(&[]), 400);
        assert_eq!(status(&[("host", "a"), ("host", "b")]), 400);
        assert_eq!(status(&[("host", "x@localhost")]), 400);
    }

    #[test]
    fn a_page_of_another_origin_is_refused() {
        let from = |origin| status(&[("host", "localhost:8080"), ("origin", origin)]);
        assert_eq!(from("http://localhost:8080"), 200);
        for origin in ["http://evil.example", "http://localhost:9999", "null", "file://", ""] {
            assert_eq!(from(origin), 403, "{origin}");
        }
    }

    #[test]
    fn a_request_for_another_process_is_misdirected() {
        let host = ("host", "localhost");
        assert_eq!(status(&[host, (TO, "loyalty"), (INSTANCE, "loyalty-1")]), 200);
        assert_eq!(status(&[host, (TO, "email")]), 421);
        assert_eq!(status(&[host, (INSTANCE, "loyalty-2")]), 421);
    }

    #[test]
    fn target_and_host_must_agree() {
        let headers = HeaderMap::from_iter([(header::HOST, "localhost".parse().expect("a value"))]);
        let there = guard().check(&Uri::from_static("http://shop.example/x"), &headers);
        assert_eq!(there.expect_err("they disagree").status(), StatusCode::BAD_REQUEST);
        assert!(guard().check(&Uri::from_static("http://localhost/x"), &headers).is_ok());
    }
}
