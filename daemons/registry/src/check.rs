//! What a health check is and which states it has.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use axum::http::{HeaderMap, Method};
use bytes::Bytes;

use crate::target::Target;

/// How much of a check's output is kept, in bytes.
pub const OUTPUT_KEPT: usize = 1024;

/// The state of a check, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// All is well.
    Passing,
    /// It still works; somebody should look.
    Warning,
    /// Send no requests.
    Critical,
}

impl Status {
    /// As it stands in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "passing" => Ok(Self::Passing),
            "warning" => Ok(Self::Warning),
            "critical" => Ok(Self::Critical),
            other => Err(format!("'{other}' is no status: give passing, warning or critical")),
        }
    }
}

/// A check as it was registered.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Unique in the registry.
    pub id: String,
    /// For people.
    pub name: String,
    /// For people.
    pub notes: String,
    /// What is done to know the state.
    pub kind: Kind,
    /// The state until the first result.
    pub initial: Status,
    /// How long it may be critical before its service is deregistered.
    pub deregister_after: Option<Duration>,
}

/// What is done to know the state.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The registry sends requests.
    Http(Arc<Probe>),
    /// The service must report within this time.
    Ttl(Duration),
    /// An operator has said so.
    Maintenance,
}

impl Kind {
    /// The name of the kind in Consul's answers.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Ttl(_) => "ttl",
            Self::Maintenance => "maintenance",
        }
    }
}

/// A request that tells the state of a service.
#[derive(Debug, PartialEq)]
pub struct Probe {
    /// The URL as it was registered.
    pub url: String,
    /// The URL, vetted.
    pub target: Target,
    /// GET unless said otherwise.
    pub method: Method,
    /// Sent as they are: a service can tell by them whether the request is meant for it.
    pub headers: HeaderMap,
    /// Sent with the request.
    pub body: Bytes,
    /// From the end of one request to the start of the next.
    pub interval: Duration,
    /// For the whole exchange, connecting included.
    pub timeout: Duration,
}

/// What a check found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The state.
    pub status: Status,
    /// For people; bounded.
    pub output: String,
    /// Whether the time was used up: such checks must not hold up the others.
    pub timed_out: bool,
}

/// Cuts a text to what is kept, at a character's border.
#[must_use]
pub fn bounded(mut output: String) -> String {
    if output.len() > OUTPUT_KEPT {
        let end = (0..=OUTPUT_KEPT).rev().find(|at| output.is_char_boundary(*at)).unwrap_or(0);
        output.truncate(end);
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_between_characters() {
        let cut = bounded("é".repeat(OUTPUT_KEPT));
        assert!(cut.len() <= OUTPUT_KEPT && cut.ends_with('é'));
        assert_eq!(bounded("short".into()), "short");
    }
}
