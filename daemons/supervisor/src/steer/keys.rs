//! The registry's keys (docs/wire/registry.md), as far as operators' commands need them.

use std::{net::SocketAddr, path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

use crate::{failure::Failure, probe, terminal::plain};

/// A write is on a disk when it is answered, which takes longer than a look.
const WITHIN: Duration = Duration::from_secs(5);

/// The registry's keys.
pub struct Keys {
    agent: ureq::Agent,
    registry: SocketAddr,
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Key {
    #[serde(rename = "Key")]
    pub name: String,
    /// In base64.
    #[serde(rename = "Value")]
    value: Option<String>,
}

/// Who wanted something, since when and why; empty where a value does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Written {
    pub by: String,
    pub reason: String,
    pub at: String,
}

impl Key {
    /// What its value says. It counts whatever that is.
    pub fn written(&self) -> Written {
        let value = STANDARD.decode(self.value.as_deref().unwrap_or_default()).unwrap_or_default();
        serde_json::from_slice(&value).unwrap_or_default()
    }
}

impl Written {
    pub fn told(&self) -> String {
        let [by, at, reason] = [&self.by, &self.at, &self.reason].map(|it| plain(it));
        format!("since {at} by {by}, {reason}")
    }
}

impl Keys {
    pub fn at(registry: SocketAddr) -> Self {
        Self { agent: probe::agent_within(WITHIN), registry }
    }

    /// The keys that begin with `prefix`.
    pub fn under(&self, prefix: &str) -> Result<Vec<Key>, Failure> {
        let url = format!("http://{}/v1/kv/{prefix}?recurse", self.registry);
        let failed = |error: ureq::Error| self.failed("read", &error.to_string());
        let mut answer = self.agent.get(url).call().map_err(failed)?;
        match answer.status().as_u16() {
            200 => answer.body_mut().read_json().map_err(failed),
            404 => Ok(Vec::new()),
            _ => Err(self.failed("read", &answer.body_mut().read_to_string().map_err(failed)?)),
        }
    }

    /// Takes all steps or none; false when one of them does not hold. `path`: where the token is
    /// from.
    pub fn change(&self, token: &str, path: &Path, steps: Value) -> Result<bool, Failure> {
        let failed = |error: ureq::Error| self.failed("write", &error.to_string());
        let mut answer = self
            .agent
            .put(format!("http://{}/v1/txn", self.registry))
            .header("X-Consul-Token", token)
            .send_json(steps)
            .map_err(failed)?;
        match answer.status().as_u16() {
            200 => Ok(true),
            409 => Ok(false),
            status => {
                let said = plain(answer.body_mut().read_to_string().map_err(failed)?.trim());
                Err(if status == 403 {
                    Failure::Denied { path: path.to_owned(), said }
                } else {
                    self.failed("write", &said)
                })
            }
        }
    }

    fn failed(&self, doing: &'static str, why: &str) -> Failure {
        Failure::Registry { doing, registry: self.registry, why: plain(why) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_who_and_why_and_counts_whatever_it_says() {
        let key = |value: &str| Key { name: String::new(), value: Some(STANDARD.encode(value)) };
        let written = key(r#"{"by": "ada", "reason": "new disk", "at": "2026-11-25"}"#).written();
        assert_eq!(written.told(), "since 2026-11-25 by ada, new disk");
        assert_eq!(key("on").written(), Written::default());
    }
}
