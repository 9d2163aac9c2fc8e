//! The part of Consul's HTTP API that is used here.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde::Deserialize;
use serde_json::json;

use super::{Instance, KeyOp, Registration, keys};
use crate::{Client, Error, Kind, Limits};

/// For everything but blocking queries.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A blocking query may take this much longer than its wait (Consul itself adds a sixteenth).
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A registry, reached over clients of its own: blocking queries wait apart from the rest.
pub(crate) struct Registry {
    host: String,
    calls: Client,
    polls: Client,
    away: AtomicBool,
    faulty: AtomicBool,
}

impl Registry {
    pub fn new(host: &str, caller: &str) -> Self {
        // Each try is told: a retry that finds a restarted registry would hide that it was away.
        let calls = Limits { tries: 1, ..Limits::default() };
        // Each watched service holds one connection.
        let polls = Limits { connections: Some(4096), ..calls.clone() };
        Self {
            host: host.to_owned(),
            calls: Client::to_host("registry", host, caller, calls),
            polls: Client::to_host("registry", host, caller, polls),
            away: AtomicBool::new(false),
            faulty: AtomicBool::new(false),
        }
    }

    pub fn client(&self) -> &Client {
        &self.calls
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// A blocking query: what lies at `path` (which ends in `?` or `&`) once its index is beyond
    /// `index`, or after `wait`. Nothing where the registry gave no usable answer.
    pub async fn poll<T: Default>(
        &self,
        path: &str,
        index: u64,
        wait: Duration,
        decode: fn(&[u8]) -> serde_json::Result<T>,
    ) -> Option<(u64, T)> {
        let path = format!("{path}index={index}&wait={}", duration(wait));
        let answer = self.polls.get(&path).timeout(wait + ANSWER_WITHIN).long_poll().send().await;
        if let Err(error) = &answer
            && error.status() == Some(404)
            && let Some(index) = error.index()
        {
            // Nothing is there, and may come: keys are listed so.
            return self.noted(Ok((index, T::default()))).ok();
        }
        let read = answer.and_then(|answer| {
            let listed = decode(answer.body()).map_err(|error| {
                let what = "the answer is not what Consul's API says";
                answer.call.error(Kind::Malformed, what).with_source(error)
            })?;
            Ok((answer.index().unwrap_or(0), listed))
        });
        self.noted(read).ok()
    }

    /// Where the registry believes this instance to be.
    pub async fn registered(&self, id: &str) -> Result<Option<SocketAddr>, Error> {
        let path = format!("/v1/agent/service/{}", segment(id));
        let answer = match self.calls.get(&path).timeout(TIMEOUT).send().await {
            Err(error) if error.status() == Some(404) => return self.noted(Ok(None)),
            answer => answer.and_then(|answer| answer.json::<AgentService>()),
        };
        let service = self.noted(answer)?;
        Ok(service.address.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, service.port)))
    }

    /// `fresh`: a process that has just begun to listen and is well. Later ones may not be, and wait
    /// for their check.
    pub async fn register(&self, registration: &Registration, fresh: bool) -> Result<(), Error> {
        let mut body = register_body(registration);
        if fresh {
            body["Check"]["Status"] = "passing".into();
        }
        let path = "/v1/agent/service/register";
        self.noted(self.calls.put(path).json(&body).timeout(TIMEOUT).send().await.map(drop))
    }

    pub async fn deregister(&self, id: &str) -> Result<(), Error> {
        let path = format!("/v1/agent/service/deregister/{}", segment(id));
        self.calls.put(&path).timeout(TIMEOUT).send().await.map(drop)
    }

    pub async fn write_keys(&self, token: &str, ops: &[KeyOp]) -> Result<(), Error> {
        let request = self.calls.put(keys::TRANSACTION).header("x-consul-token", token);
        request.json(&keys::body(ops)).timeout(keys::WRITE_WITHIN).send().await.map(drop)
    }

    /// Logs once when the registry goes away and once when it is back. An answer that is at fault
    /// will be so at each try, and is logged the first time only.
    fn noted<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        let away = result.as_ref().is_err_and(Error::is_away);
        let was_away = self.away.swap(away, Ordering::Relaxed);
        match &result {
            Err(error) if away && !was_away => tracing::warn!(
                registry = self.host,
                error = error as &dyn std::error::Error,
                "the registry is away: going on with the last known addresses"
            ),
            Err(error) if !away && !self.faulty.swap(true, Ordering::Relaxed) => tracing::warn!(
                registry = self.host,
                error = error as &dyn std::error::Error,
                "the registry does not answer as Consul would"
            ),
            _ if was_away && !away => {
                tracing::info!(registry = self.host, "the registry is back");
            }
            _ => {}
        }
        result
    }
}

/// As Consul writes it: `30s`.
fn duration(wait: Duration) -> String {
    match wait.subsec_millis() {
        0 => format!("{}s", wait.as_secs()),
        _ => format!("{}ms", wait.as_millis()),
    }
}

fn register_body(registration: &Registration) -> serde_json::Value {
    let Registration { id, service, address, tags, meta } = registration;
    json!({
        "ID": id,
        "Name": service,
        "Address": address.ip().to_string(),
        "Port": address.port(),
        "Tags": tags,
        "Meta": meta,
        "Check": {
            "HTTP": format!("http://{address}/health"),
            "Interval": "1s",
            "Timeout": "1s",
            "Header": { "Backline-Instance": [id] },
            "DeregisterCriticalServiceAfter": "60s",
        },
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HealthEntry {
    node: Option<Node>,
    service: AgentService,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AgentService {
    #[serde(rename = "ID")]
    id: String,
    service: String,
    #[serde(default)]
    address: String,
    port: u16,
    /// Consul writes null for none.
    tags: Option<Vec<String>>,
    meta: Option<BTreeMap<String, String>>,
}

/// The instances in an answer of `/v1/health/service/<name>`, by id. One without an IP address
/// cannot be called and is left out.
pub(super) fn instances(body: &[u8]) -> serde_json::Result<BTreeMap<String, Instance>> {
    let entries: Vec<HealthEntry> = serde_json::from_slice(body)?;
    Ok(entries.into_iter().filter_map(instance).map(|found| (found.id.clone(), found)).collect())
}

fn instance(HealthEntry { node, service }: HealthEntry) -> Option<Instance> {
    let AgentService { id, service, address, port, tags, meta } = service;
    // Without an address of its own, a service is where its node is.
    let host = if address.is_empty() { node?.address } else { address };
    let ip: IpAddr = host.parse().ok()?;
    let (tags, meta) = (tags.unwrap_or_default(), meta.unwrap_or_default());
    let said = |key: &str| {
        let tagged = || tags.iter().find_map(|tag| tag.strip_prefix(key)?.strip_prefix('='));
        meta.get(key).map(String::as_str).or_else(tagged).unwrap_or_default().to_owned()
    };
    let (version, zone) = (said("version"), said("zone"));
    Some(Instance { id, service, address: SocketAddr::new(ip, port), version, zone, meta })
}

/// The services in an answer of `/v1/catalog/services`, with their tags.
pub(super) fn services(body: &[u8]) -> serde_json::Result<BTreeMap<String, Vec<String>>> {
    let services: BTreeMap<String, Option<Vec<String>>> = serde_json::from_slice(body)?;
    Ok(services.into_iter().map(|(name, tags)| (name, tags.unwrap_or_default())).collect())
}

/// A name as one segment of a path (RFC 3986, section 2.3).
pub(super) fn segment(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_consul_is_read_with_its_quirks() {
        let answer = br#"[
            {"Node": {"Node": "n", "Address": "10.0.0.9"}, "Checks": [],
             "Service": {"ID": "a-2", "Service": "a", "Tags": null, "Address": "", "Port": 2, "Meta": null}},
            {"Node": {"Address": "10.0.0.9"},
             "Service": {"ID": "a-1", "Service": "a", "Tags": ["zone=north", "version=1"],
                         "Address": "127.0.0.1", "Port": 1, "Meta": {"version": "2", "owner": "x"}}},
            {"Node": {"Address": "10.0.0.9"},
             "Service": {"ID": "a-3", "Service": "a", "Address": "a.example", "Port": 1}}
        ]"#;
        let found: Vec<_> = instances(answer).unwrap().into_values().collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].address.to_string(), "127.0.0.1:1");
        assert_eq!((found[0].version.as_str(), found[0].zone.as_str()), ("2", "north"));
        assert_eq!(found[1].address.to_string(), "10.0.0.9:2");
        assert!(instances(b"{}").is_err());
        let tags = services(br#"{"a": ["public"], "b": null}"#).unwrap();
        assert_eq!(tags["a"], ["public"]);
    }

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(segment("a/../b?c"), "a%2F..%2Fb%3Fc");
        assert_eq!(segment("loyalty-1"), "loyalty-1");
    }
}
