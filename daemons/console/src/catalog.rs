//! What the registry knows, in the console's own shape.

use std::fmt;

use serde::Serialize;

/// A service or daemon and its instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Service {
    pub name: String,
    pub kind: Kind,
    pub owner: String,
    pub about: String,
    /// Of its instances; several, with commas between, while one replaces another.
    pub version: String,
    pub public: bool,
    pub instances: Vec<Instance>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Service,
    Daemon,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Instance {
    pub id: String,
    /// `host:port`, as it was registered.
    pub address: String,
    pub version: String,
    pub zone: String,
    pub health: Health,
    /// As it has said; RFC 3339.
    pub started: Option<String>,
    /// Its interactive API page.
    pub docs: Option<String>,
    /// What the checks that do not pass say.
    #[serde(skip)]
    pub output: String,
    /// Known from before the registry was away, and not back yet.
    #[serde(skip)]
    pub awaited: bool,
}

/// The worst of an instance's checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Health {
    Passing,
    Warning,
    Critical,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

impl Service {
    /// Of the instance that answers best: its address, where it can stand in a link.
    pub fn base(&self) -> Option<String> {
        self.instances.iter().min_by_key(|instance| instance.health)?.base()
    }
}

impl Instance {
    /// `http://address`, or nothing where that would lead elsewhere.
    pub fn base(&self) -> Option<String> {
        base(&self.address)
    }
}

/// The beginning of links to an address. What others registered is not trusted to be one.
pub(crate) fn base(address: &str) -> Option<String> {
    let (host, port) = address.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let plain = match bare {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
        }
    };
    (plain && port.parse::<u16>().is_ok()).then(|| format!("http://{address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_plain_addresses_only() {
        for good in ["127.0.0.1:4001", "[::1]:80", "customers.internal:80"] {
            assert_eq!(base(good), Some(format!("http://{good}")));
        }
        for bad in
            ["", ":80", "a", "a:b", "evil@host:80", "a/b:80", "a b:80", "[x]:1", "h:80/x", "::1:80"]
        {
            assert_eq!(base(bad), None, "{bad}");
        }
    }
}
