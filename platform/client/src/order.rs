//! What an operator orders, as the keys and values that the wire has for it (docs/wire/breakers.md).
//! `wish.rs` reads what is written here.

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::wish::{BREAKERS, MAINTENANCE};

/// Under it, one key for each record of what an operator did, in the order of time.
pub const AUDIT: &str = "backline/audit/";

/// What an operator can order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nobody calls the service.
    BeginMaintenance,
    /// Everybody may again.
    EndMaintenance,
    /// One caller does not call the service.
    Open,
    /// Its breakers forget what they saw, and close.
    Reset,
    /// Its breakers let everything through.
    Disable,
    /// Its breakers are left to themselves again.
    Release,
}

impl Action {
    /// Whether it writes a key; the others take one away.
    #[must_use]
    pub fn sets(self) -> bool {
        !matches!(self, Self::EndMaintenance | Self::Release)
    }

    /// Whether it is about one caller, and not about all.
    #[must_use]
    pub fn has_caller(self) -> bool {
        !matches!(self, Self::BeginMaintenance | Self::EndMaintenance)
    }

    /// As records have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BeginMaintenance => "maintenance.begin",
            Self::EndMaintenance => "maintenance.end",
            Self::Open => "breaker.open",
            Self::Reset => "breaker.reset",
            Self::Disable => "breaker.disable",
            Self::Release => "breaker.release",
        }
    }

    /// The wish for one caller's breakers, where it is one.
    fn wish(self) -> Option<&'static str> {
        match self {
            Self::Open => Some("open"),
            Self::Reset => Some("reset"),
            Self::Disable => Some("disabled"),
            Self::BeginMaintenance | Self::EndMaintenance | Self::Release => None,
        }
    }
}

/// An action, on whom, by whom, and why.
#[derive(Clone, Debug)]
pub struct Order {
    /// What is ordered.
    pub action: Action,
    /// The service that calls; none for maintenance, which concerns all callers.
    pub caller: Option<String>,
    /// The service that is called.
    pub service: String,
    /// Who orders it.
    pub by: String,
    /// Why; empty where nobody said so.
    pub reason: String,
}

/// What somebody did. What a record does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Record {
    /// When (RFC 3339, UTC).
    pub at: String,
    /// Who.
    pub by: String,
    /// See [`Action::name`].
    pub action: String,
    /// The service, or caller and service.
    pub subject: String,
    /// Why.
    pub reason: String,
}

impl Order {
    /// The services that it names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.caller.as_deref().into_iter().chain([self.service.as_str()])
    }

    /// The key that it writes or takes away.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.caller {
            Some(caller) => format!("{BREAKERS}{caller}/{}", self.service),
            None => format!("{MAINTENANCE}{}", self.service),
        }
    }

    /// Whom it is about, as records have it.
    #[must_use]
    pub fn subject(&self) -> String {
        self.names().collect::<Vec<_>>().join(" ")
    }

    /// The value of its key, written at this moment; none where the key is taken away.
    #[must_use]
    pub fn value(&self, at: &str) -> Option<Vec<u8>> {
        let mut value = json!({ "by": self.by, "reason": self.reason, "at": at });
        if let Some(wish) = self.action.wish() {
            value["wish"] = wish.into();
        }
        self.action.sets().then(|| value.to_string().into_bytes())
    }

    /// Its record, written at this moment: a key of its own, and the value.
    #[must_use]
    pub fn record(&self, at: &str) -> (String, Vec<u8>) {
        let record = json!({
            "at": at, "by": self.by, "action": self.action.name(),
            "subject": self.subject(), "reason": self.reason,
        });
        (format!("{AUDIT}{}", Uuid::now_v7()), record.to_string().into_bytes())
    }
}
