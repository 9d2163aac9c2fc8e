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
use backline_client::{Discovery, Error, Key, KeyOp, MAINTENANCE, Order, Record};
use serde::Serialize;
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

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
    pub async fn carry_out(&self, order: &Order) -> Result<(), Error> {
        let at = backline_chassis::now();
        let key = order.key();
        let wish = match order.value(&at) {
            Some(value) => KeyOp::Set { key, value },
            None => KeyOp::Delete { key },
        };
        let (key, value) = order.record(&at);
        let token = self.token.as_ref().map_or("", OperatorToken::reveal);
        self.discovery.write_keys(token, vec![wish, KeyOp::Set { key, value }]).await?;
        let (action, subject) = (order.action.name(), order.subject());
        tracing::info!(action, subject, by = order.by, reason = order.reason, "an operator's wish");
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
