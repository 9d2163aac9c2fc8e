//! What operators do here: sign in, stop and let go calls, and what they did before.
//!
//! Wishes are keys of the registry (docs/wire/breakers.md). Whoever has the token of `var/` may
//! write them; the console takes it once, and gives the browser a session in its place.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backline_chassis::OperatorToken;
use backline_client::{Discovery, Error, Key, KeyOp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

const MAINTENANCE: &str = "backline/maintenance/";
const BREAKERS: &str = "backline/breakers/";
/// Under it, one key for each record, in the order of time.
pub(crate) const AUDIT: &str = "backline/audit/";

/// After this time one signs in again.
pub(crate) const SIGNED_IN_FOR: Duration = Duration::from_secs(12 * 60 * 60);
/// More sessions push the oldest out.
const MOST_SESSIONS: usize = 100;

type Keys = watch::Receiver<Arc<BTreeMap<String, Key>>>;

/// What the console knows of operators.
pub(crate) struct Operators {
    token: Option<OperatorToken>,
    discovery: Discovery,
    maintenance: Keys,
    sessions: Mutex<HashMap<String, Session>>,
}

#[derive(Clone)]
struct Session {
    name: String,
    until: Instant,
}

/// A service that nobody calls at present.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Maintained {
    pub service: String,
    pub by: String,
    pub reason: String,
    pub at: String,
}

/// What somebody did.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Record {
    pub at: String,
    pub by: String,
    pub action: String,
    pub subject: String,
    pub reason: String,
}

/// What an operator can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    BeginMaintenance,
    EndMaintenance,
    Open,
    Reset,
    Disable,
    Release,
}

impl Action {
    /// As the audit log has it.
    fn name(self) -> &'static str {
        match self {
            Self::BeginMaintenance => "maintenance.begin",
            Self::EndMaintenance => "maintenance.end",
            Self::Open => "breaker.open",
            Self::Reset => "breaker.reset",
            Self::Disable => "breaker.disable",
            Self::Release => "breaker.release",
        }
    }

    /// Whether it is about one caller, and not about all.
    pub fn has_caller(self) -> bool {
        !matches!(self, Self::BeginMaintenance | Self::EndMaintenance)
    }
}

impl Operators {
    pub fn new(token: Option<OperatorToken>, discovery: &Discovery) -> Self {
        Self {
            token,
            maintenance: discovery.watch_keys(MAINTENANCE),
            discovery: discovery.clone(),
            sessions: Mutex::default(),
        }
    }

    /// Whether there is a token to sign in with.
    pub fn can_sign_in(&self) -> bool {
        self.token.is_some()
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        sessions.retain(|_, session| session.until > now);
        sessions
    }

    /// Begins a session for whoever has the token.
    pub fn sign_in(&self, token: &str, name: &str) -> Option<String> {
        self.token.as_ref().filter(|own| own.is(token.trim().as_bytes()))?;
        let id = Uuid::new_v4().simple().to_string();
        let mut sessions = self.sessions();
        if sessions.len() >= MOST_SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.until);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                sessions.remove(&oldest);
            }
        }
        let until = Instant::now() + SIGNED_IN_FOR;
        sessions.insert(id.clone(), Session { name: name.to_owned(), until });
        Some(id)
    }

    pub fn sign_out(&self, id: &str) {
        self.sessions().remove(id);
    }

    /// Who a session is of.
    pub fn name(&self, id: &str) -> Option<String> {
        self.sessions().get(id).map(|session| session.name.clone())
    }

    /// Writes a wish and its record, both or neither.
    pub async fn carry_out(
        &self,
        action: Action,
        caller: &str,
        service: &str,
        by: &str,
        reason: &str,
    ) -> Result<(), Error> {
        let at = backline_chassis::now();
        let subject =
            if action.has_caller() { format!("{caller} {service}") } else { service.to_owned() };
        let breaker = format!("{BREAKERS}{caller}/{service}");
        let wished = |key: String, wish: Option<&str>| {
            let mut value = json!({ "by": by, "reason": reason, "at": at });
            if let Some(wish) = wish {
                value["wish"] = wish.into();
            }
            KeyOp::Set { key, value: value.to_string().into_bytes() }
        };
        let wish = match action {
            Action::BeginMaintenance => wished(format!("{MAINTENANCE}{service}"), None),
            Action::EndMaintenance => KeyOp::Delete { key: format!("{MAINTENANCE}{service}") },
            Action::Open => wished(breaker, Some("open")),
            Action::Reset => wished(breaker, Some("reset")),
            Action::Disable => wished(breaker, Some("disabled")),
            Action::Release => KeyOp::Delete { key: breaker },
        };
        let record = Record {
            at: at.clone(),
            by: by.to_owned(),
            action: action.name().to_owned(),
            subject,
            reason: reason.to_owned(),
        };
        let record = KeyOp::Set {
            key: format!("{AUDIT}{}", Uuid::now_v7()),
            value: serde_json::to_vec(&record).unwrap_or_default(),
        };
        let token = self.token.as_ref().map_or("", OperatorToken::reveal);
        self.discovery.write_keys(token, vec![wish, record]).await?;
        tracing::info!(action = action.name(), caller, service, by, reason, "an operator's wish");
        Ok(())
    }

    /// The services under maintenance, by name.
    pub fn maintained(&self) -> Vec<Maintained> {
        let keys = self.maintenance.borrow();
        let maintained = keys.iter().filter_map(|(key, written)| {
            let service = key.strip_prefix(MAINTENANCE)?.to_owned();
            let Record { at, by, reason, .. } =
                serde_json::from_slice(&written.value).unwrap_or_default();
            Some(Maintained { service, by, reason, at })
        });
        maintained.collect()
    }
}
