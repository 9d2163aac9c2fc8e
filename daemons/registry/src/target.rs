//! Where a health check may go.
//!
//! Whoever may register can make this process send requests: to a cloud's metadata service, for
//! one, which hands out credentials to every process of its machine (Consul: CVE-2022-29153). So
//! link-local and metadata addresses are refused when a check is registered, and again at every
//! check for what a name resolves to by then.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::http::Uri;

/// The metadata services of clouds that are not on link-local addresses.
const METADATA: [IpAddr; 6] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
];

/// A URL that may be checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    host: Host,
    port: u16,
    /// The value of the Host header.
    pub authority: String,
    /// Path and query.
    pub path: Uri,
}

#[derive(Clone, Debug, PartialEq)]
enum Host {
    Ip(IpAddr),
    Name(String),
}

impl Target {
    /// Reads the URL of a check.
    ///
    /// # Errors
    /// With the reason, when the URL is none, not `http://`, or leads where no check may go.
    pub fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("'{url}' is not a URL: {error}"))?;
        if uri.scheme_str() != Some("http") {
            return Err(format!("'{url}': this version checks http:// URLs only"));
        }
        let authority = uri.authority().ok_or_else(|| format!("'{url}' names no host"))?;
        if authority.as_str().contains('@') {
            return Err(format!("'{url}': send credentials as a header of the check"));
        }
        let name = authority.host();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let host = match bare.parse() {
            Ok(ip) => {
                vet(ip)?;
                Host::Ip(ip)
            }
            Err(_) if name.is_empty() || name.starts_with('[') => {
                return Err(format!("'{url}' names no host"));
            }
            Err(_) => Host::Name(name.to_owned()),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            host,
            port: authority.port_u16().unwrap_or(80),
            authority: authority.as_str().to_owned(),
            path: path.parse().map_err(|error| format!("'{url}' is not a URL: {error}"))?,
        })
    }

    /// The addresses it has now, each of them one that may be checked.
    ///
    /// # Errors
    /// With the reason, when the name is unknown or leads where no check may go.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        let name = match &self.host {
            Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, self.port)]),
            Host::Name(name) => name,
        };
        let found = tokio::net::lookup_host((name.as_str(), self.port))
            .await
            .map_err(|error| format!("the name '{name}' was not found: {error}"))?;
        let addresses: Vec<_> = found.collect();
        addresses.iter().try_for_each(|address| vet(address.ip()))?;
        Ok(addresses)
    }
}

/// Refuses addresses that no check may go to, in whichever form they come.
fn vet(ip: IpAddr) -> Result<(), String> {
    let plain = match ip {
        IpAddr::V6(v6) => embedded(v6).map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    };
    let reason = if METADATA.contains(&plain) {
        "of a metadata service"
    } else if match plain {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    } {
        "link-local (metadata services live there)"
    } else if plain.is_multicast() || plain == IpAddr::V4(Ipv4Addr::BROADCAST) {
        "not of one machine"
    } else {
        return Ok(());
    };
    Err(format!("checks may not go to {ip}: that address is {reason}"))
}

/// The IPv4 address that an IPv6 one stands for: mapped or compatible (RFC 4291 2.5.5), NAT64
/// (RFC 6052), 6to4 (RFC 3056).
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let part = v6.segments();
    let v4 =
        |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match part {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] if high != 0 => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_urls_are_taken() {
        for (url, authority, path) in [
            ("http://127.0.0.1:4001/health?full", "127.0.0.1:4001", "/health?full"),
            ("http://localhost", "localhost", "/"),
            ("http://[::1]:80/x", "[::1]:80", "/x"),
            ("http://10.0.0.7/x", "10.0.0.7", "/x"),
        ] {
            let target = Target::parse(url).expect(url);
            assert_eq!(
                (target.authority.as_str(), target.path.to_string().as_str()),
                (authority, path)
            );
        }
    }

    #[test]
    fn link_local_and_metadata_addresses_are_refused_in_every_form() {
        for host in [
            "169.254.169.254",
            "169.254.0.1:80",
            "[fe80::1]",
            "[febf::1]:8080",
            "[fd00:ec2::254]",
            "[::ffff:169.254.169.254]",
            "[::169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:a9fe:a9fe::1]",
            "100.100.100.200",
            "224.0.0.1",
            "255.255.255.255",
            "[ff02::1]",
        ] {
            let refused = Target::parse(&format!("http://{host}/latest")).expect_err(host);
            assert!(refused.starts_with("checks may not go to"), "{host}: {refused}");
        }
    }

    #[test]
    fn other_schemes_and_broken_urls_are_refused() {
        for url in [
            "https://localhost/",
            "ftp://localhost/",
            "localhost:80",
            "/health",
            "http://",
            "http://u:p@localhost/",
            "http://[x]/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn names_are_vetted_by_what_they_resolve_to() {
        // The resolver reads a bare number as an address; so would the connection.
        let disguised = Target::parse("http://2852039166/latest").expect("a name by its form");
        assert!(disguised.resolve().await.is_err());
        assert!(
            !Target::parse("http://localhost:1/")
                .expect("valid")
                .resolve()
                .await
                .expect("known")
                .is_empty()
        );
    }
}
