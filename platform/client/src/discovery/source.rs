//! Where discovery gets what it knows from.

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use tokio::sync::watch;

use super::{Catalog, Instance, Keys, Registry, Watched};

/// An address that discovery cannot work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{url}' is no address for discovery: {reason}; use consul://127.0.0.1:8500 or \
     static:customers=127.0.0.1:9001,loyalty=127.0.0.1:9002"
)]
pub struct InvalidUrl {
    url: String,
    reason: String,
}

pub(super) enum Source {
    Static(Fixed),
    Consul(Arc<Registry>),
}

impl Source {
    pub fn from_url(url: &str, caller: &str) -> Result<Self, InvalidUrl> {
        let invalid = |reason: String| InvalidUrl { url: url.to_owned(), reason };
        if let Some(list) = url.strip_prefix("static:") {
            return Fixed::from_list(list).map(Self::Static).map_err(invalid);
        }
        let Some(host) = url.strip_prefix("consul://") else {
            return Err(invalid("it is neither consul:// nor static:".into()));
        };
        let host = host.trim_end_matches('/');
        let well_formed = host.parse::<SocketAddr>().is_ok()
            || host.rsplit_once(':').is_some_and(|(name, port)| {
                is_host_name(name) && port.parse().is_ok_and(|port: u16| port != 0)
            });
        if !well_formed {
            return Err(invalid(format!("'{host}' is not host:port")));
        }
        Ok(Self::Consul(Arc::new(Registry::new(host, caller))))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(fixed) => f.debug_tuple("Static").field(&fixed.services).finish(),
            Self::Consul(registry) => f.debug_tuple("Consul").field(&registry.host()).finish(),
        }
    }
}

fn is_host_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
}

/// Instances that never change.
pub(super) struct Fixed {
    services: BTreeMap<String, watch::Sender<Arc<Vec<Instance>>>>,
    none: watch::Sender<Arc<Vec<Instance>>>,
    catalog: watch::Sender<Arc<Catalog>>,
    keys: watch::Sender<Arc<Keys>>,
}

impl Fixed {
    fn from_list(list: &str) -> Result<Self, String> {
        let mut services: BTreeMap<String, Vec<Instance>> = BTreeMap::new();
        for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let Some((name, address)) = entry.split_once('=').filter(|(name, _)| !name.is_empty())
            else {
                return Err(format!("'{entry}' is not name=host:port"));
            };
            let address = address.replacen("localhost:", "127.0.0.1:", 1);
            let address =
                address.parse().map_err(|_| format!("'{address}' (of '{name}') is not ip:port"))?;
            let instances = services.entry(name.to_owned()).or_default();
            instances.push(Instance {
                id: format!("{name}-{}", instances.len() + 1),
                service: name.to_owned(),
                address,
                version: String::new(),
                zone: String::new(),
                meta: BTreeMap::new(),
            });
        }
        let catalog = services.keys().map(|name| (name.clone(), Vec::new())).collect();
        Ok(Self {
            services: services
                .into_iter()
                .map(|(name, instances)| (name, watch::Sender::new(Arc::new(instances))))
                .collect(),
            none: watch::Sender::default(),
            catalog: watch::Sender::new(Arc::new(catalog)),
            keys: watch::Sender::default(),
        })
    }

    pub fn instances(&self, service: &str) -> Watched<Vec<Instance>> {
        Watched::fixed(self.services.get(service).unwrap_or(&self.none))
    }

    pub fn catalog(&self) -> Watched<Catalog> {
        Watched::fixed(&self.catalog)
    }

    pub fn keys(&self) -> Watched<Keys> {
        Watched::fixed(&self.keys)
    }
}

#[cfg(test)]
mod tests {
    use crate::Discovery;

    #[test]
    fn wrong_addresses_say_what_would_be_right() {
        let wrong = [
            ("", "neither"),
            ("http://127.0.0.1:8500", "neither"),
            ("consul://", "host:port"),
            ("consul://127.0.0.1", "host:port"),
            ("consul://127.0.0.1:0x", "host:port"),
            ("consul://host:1/path", "host:port"),
            ("consul://user@host:1", "host:port"),
            ("static:customers", "name=host:port"),
            ("static:=127.0.0.1:1", "name=host:port"),
            ("static:customers=127.0.0.1", "ip:port"),
        ];
        for (url, reason) in wrong {
            let error = Discovery::from_url(url, "test").unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("consul://127.0.0.1:8500"), "{error}");
        }
        for right in ["consul://127.0.0.1:8500/", "consul://[::1]:8500", "consul://registry:8500"] {
            assert!(Discovery::from_url(right, "test").is_ok(), "{right}");
        }
    }

    #[test]
    fn a_static_service_may_have_several_instances_or_none() {
        let url = "static:a=127.0.0.1:1, b=localhost:2,a=[::1]:3";
        let discovery = Discovery::from_url(url, "test").unwrap();
        let ids: Vec<_> = discovery.watch("a").borrow().iter().map(|i| i.id.clone()).collect();
        assert_eq!(ids, ["a-1", "a-2"]);
        assert_eq!(discovery.watch("b").borrow()[0].address.to_string(), "127.0.0.1:2");
        assert!(discovery.watch("c").borrow().is_empty());
        assert_eq!(discovery.watch_services().borrow().len(), 2);
        assert!(discovery.watch_keys("").borrow().is_empty());
        assert!(Discovery::from_url("static:", "test").is_ok());
    }
}
