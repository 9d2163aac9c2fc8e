//! The query of a request: filters, and how long to wait.

use std::time::Duration;

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};

use super::{Shared, answer::Fault};
use crate::{catalog::Filter, duration};

const DEFAULT_WAIT: Duration = Duration::from_secs(5 * 60);
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);

/// Parameters that would change the answer and that this registry does not know. To pass over
/// them would be a wrong answer.
const NOT_KNOWN: [&str; 6] = ["filter", "node-meta", "ns", "partition", "peer", "sg"];

/// The parameters in the order they came.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

/// What a blocking query waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// The index that the client knows.
    pub index: u64,
    /// How long it waits for another.
    pub most: Duration,
}

impl FromRequestParts<Shared> for Params {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Fault> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, shared)
            .await
            .map_err(|rejection| Fault::bad_request(rejection.body_text()))?;
        let params = Self(pairs);
        if let Some(name) = NOT_KNOWN.iter().find(|name| params.has(name)) {
            return Err(Fault::bad_request(format!(
                "Invalid query parameter: \"{name}\" is not supported by this registry"
            )));
        }
        match params.get("dc") {
            Some(dc) if !dc.is_empty() && dc != shared.catalog.node().datacenter => {
                Err(Fault::internal("No path to datacenter"))
            }
            _ => Ok(params),
        }
    }
}

impl Params {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A flag: its name alone is a yes.
    pub fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.get(name) {
            None => Ok(false),
            Some("" | "1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some(_) => Err(Fault::bad_request(format!("Invalid value for ?{name}"))),
        }
    }

    pub fn filter(&self) -> Result<Filter, Fault> {
        let tags = self.0.iter().filter(|(key, value)| key == "tag" && !value.is_empty());
        Ok(Filter {
            passing: self.flag("passing")?,
            tags: tags.map(|(_, tag)| tag.clone()).collect(),
        })
    }

    /// Whether, and how, the client wants to wait.
    pub fn wait(&self) -> Result<Option<Wait>, Fault> {
        let index = match self.get("index") {
            None | Some("") => 0,
            Some(index) => index.parse().map_err(|_| Fault::bad_request("Invalid index"))?,
        };
        let most = match self.get("wait") {
            None | Some("") => Duration::ZERO,
            Some(wait) => duration::parse(wait)
                .map_err(|error| Fault::bad_request(format!("Invalid wait time: {error}")))?,
        };
        let most = if most.is_zero() { DEFAULT_WAIT } else { most.min(LONGEST_WAIT) };
        Ok((index > 0).then_some(Wait { index, most }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        Params(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn waits_are_bounded() {
        let most = |wait| {
            let params = params(&[("index", "7"), ("wait", wait)]);
            params.wait().expect("valid").expect("waits").most.as_millis()
        };
        assert_eq!(
            [most(""), most("0"), most("100ms"), most("5m"), most("2h")],
            [300_000, 300_000, 100, 300_000, 600_000]
        );
        assert!(params(&[("wait", "5m")]).wait().expect("valid").is_none());
        for wrong in [[("index", "-1")], [("index", "x")], [("wait", "soon")]] {
            assert!(params(&wrong).wait().is_err());
        }
    }

    #[test]
    fn flags_are_read_as_consul_reads_them() {
        for (value, flag) in [("", true), ("1", true), ("true", true), ("False", false)] {
            assert_eq!(params(&[("passing", value)]).flag("passing").expect("valid"), flag);
        }
        assert!(params(&[("passing", "maybe")]).flag("passing").is_err());
    }
}
