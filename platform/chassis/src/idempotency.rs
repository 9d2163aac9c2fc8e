//! `Idempotency-Key`: the answer of a write is stored with its effect, in one transaction.
//!
//! The IETF draft (draft-ietf-httpapi-idempotency-key-header, section 2.7) decides the answers: 400
//! where a resource asks for a key and there is none, 409 while the first request still runs, 422
//! for another request under a used key.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, StatusCode, request::Parts},
};
use backline_hypermedia::Problem;
use backline_store::{Error, Migration, Store, Tx, params};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::{Fault, Reply, Work};

const MAX_KEY: usize = 255;
/// How long an answer is kept under its key. Who asks again later asks anew.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);
/// How often answers that are kept no longer are removed, and how many in one transaction.
const SWEPT_EVERY: Duration = Duration::from_secs(10 * 60);
const SWEPT_AT_ONCE: i64 = 500;

pub(crate) const MIGRATION: Migration = Migration {
    name: "backline-chassis-1",
    sql: "CREATE TABLE backline_idempotency (
              scope       TEXT NOT NULL,
              key         TEXT NOT NULL,
              fingerprint TEXT NOT NULL,
              reply       TEXT NOT NULL,
              created     TEXT NOT NULL,
              PRIMARY KEY (scope, key)
          );",
};

/// The key of a request, its scope (method and path), and a fingerprint of its body.
#[derive(Clone)]
pub(crate) struct Key {
    scope: String,
    key: String,
    fingerprint: String,
}

impl Key {
    /// The key of a request that may have one: POST and PATCH; the other methods are idempotent by
    /// themselves (RFC 9110, section 9.2.2).
    pub fn of(request: &Parts, body: &[u8]) -> Result<Option<Self>, Problem> {
        if !matches!(request.method, Method::POST | Method::PATCH) {
            return Ok(None);
        }
        let Some(key) = header(&request.headers)? else { return Ok(None) };
        let scope = format!("{} {}", request.method, request.uri.path());
        let mut whole = Sha256::new();
        whole.update(request.uri.query().unwrap_or_default());
        whole.update([0]);
        whole.update(body);
        Ok(Some(Self { scope, key, fingerprint: hex(&whole.finalize()) }))
    }

    /// The answer that was given under this key before.
    pub async fn replay(&self, work: &Work) -> Result<Option<Reply>, Fault> {
        let row = work
            .query_opt(
                "SELECT fingerprint, reply, created FROM backline_idempotency
                 WHERE scope = $1 AND key = $2",
                params![&self.scope, &self.key],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        if row.get::<String>("created")? < oldest_kept() {
            work.execute(
                "DELETE FROM backline_idempotency WHERE scope = $1 AND key = $2",
                params![&self.scope, &self.key],
            )
            .await?;
            return Ok(None);
        }
        if row.get::<String>("fingerprint")? != self.fingerprint {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "This Idempotency-Key was used with another request",
            )
            .detail("Send the first request's body again, or take a new key for a new request.")
            .into());
        }
        let reply: Reply = serde_json::from_str(&row.get::<String>("reply")?)
            .map_err(|error| Fault::internal(format!("a stored answer cannot be read: {error}")))?;
        Ok(Some(reply.replayed()))
    }

    /// Stores the answer, in the transaction of its effect.
    pub async fn keep(&self, work: &Work, reply: &Reply) -> Result<(), Fault> {
        let text = serde_json::to_string(reply)
            .map_err(|error| Fault::internal(format!("an answer cannot be stored: {error}")))?;
        let now = crate::now();
        work.execute(
            "INSERT INTO backline_idempotency (scope, key, fingerprint, reply, created)
             VALUES ($1, $2, $3, $4, $5)",
            params![&self.scope, &self.key, &self.fingerprint, &text, &now],
        )
        .await?;
        Ok(())
    }
}

/// As [`crate::now`] writes it: such texts sort as the moments do.
fn oldest_kept() -> String {
    format!("{:.6}", Timestamp::now() - KEPT_FOR)
}

/// Removes answers that are kept no longer, until the drain.
pub(crate) async fn sweep(store: Store, drain: CancellationToken) {
    let mut ticks = interval(SWEPT_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = drain.cancelled() => return,
        }
        // In small transactions, between which requests get their turn.
        loop {
            match sweep_some(&store).await {
                Ok(removed) if removed < SWEPT_AT_ONCE => break,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "old idempotency keys were not removed; tried again later");
                    break;
                }
            }
        }
    }
}

async fn sweep_some(store: &Store) -> Result<i64, Error> {
    let removed = store
        .write(async |tx: Tx| {
            tx.execute(
                "DELETE FROM backline_idempotency WHERE (scope, key) IN (
                     SELECT scope, key FROM backline_idempotency WHERE created < $1 LIMIT $2)",
                params![oldest_kept(), SWEPT_AT_ONCE],
            )
            .await
        })
        .await?;
    Ok(i64::try_from(removed).unwrap_or(i64::MAX))
}

/// The keys whose first request runs in this process. Between processes on one store the
/// transaction decides: the second gets the first one's answer.
#[derive(Default)]
pub(crate) struct Running(Arc<Mutex<HashSet<(String, String)>>>);

/// A request that runs under a key; over when dropped.
pub(crate) struct Run {
    all: Arc<Mutex<HashSet<(String, String)>>>,
    key: (String, String),
}

impl Running {
    /// # Errors
    /// 409 while another request under the key runs.
    pub fn begin(&self, key: &Key) -> Result<Run, Problem> {
        let key = (key.scope.clone(), key.key.clone());
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !running.insert(key.clone()) {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "idempotency-key-in-use",
                "A request with this Idempotency-Key is being worked on",
            )
            .detail("Wait for its answer, or send it again in a moment to get the same one."));
        }
        Ok(Run { all: self.0.clone(), key })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// A request that came with an `Idempotency-Key`; without one it is refused with 400
/// (`idempotency-key-missing`). An argument of handlers whose effect must not be repeated.
#[derive(Clone, Debug)]
pub struct Keyed(String);

impl Keyed {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Keyed {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        parts.extensions.get::<Key>().map(|key| Self(key.key.clone())).ok_or_else(|| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "idempotency-key-missing",
                "This request needs an Idempotency-Key",
            )
            .detail(
                "Make up a key, such as a UUID, for what you want done once, and send it along \
                 each time you send this request.",
            )
            .into()
        })
    }
}

/// The header's value. The IETF draft has it as a quoted string; most clients leave the quotes out.
fn header(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let key = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    if values.next().is_some() || key.is_empty() || key.len() > MAX_KEY {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid-idempotency-key",
            "The Idempotency-Key is not valid",
        )
        .detail(format!("Give one key of 1 to {MAX_KEY} visible ASCII characters.")));
    }
    Ok(Some(key.to_owned()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|v| (http::HeaderName::from_static("idempotency-key"), v.parse().expect("value")))
            .collect()
    }

    #[test]
    fn a_key_is_taken_with_and_without_quotes() {
        assert_eq!(header(&headers(&["\"a-1\""])).expect("valid").as_deref(), Some("a-1"));
        assert_eq!(header(&headers(&["a-1"])).expect("valid").as_deref(), Some("a-1"));
        assert_eq!(header(&headers(&[])).expect("none"), None);
    }

    #[test]
    fn keys_that_could_be_misread_are_refused() {
        let long = "k".repeat(MAX_KEY + 1);
        for wrong in [vec![""], vec!["\"\""], vec!["a", "b"], vec![&*long]] {
            assert!(header(&headers(&wrong)).is_err(), "{wrong:?} was taken");
        }
    }

    fn key(body: &str) -> Key {
        let request = http::Request::post("/orders").header("idempotency-key", "k").body(());
        let (parts, ()) = request.expect("a request").into_parts();
        Key::of(&parts, body.as_bytes()).expect("valid").expect("a key")
    }

    #[test]
    fn a_key_in_use_is_refused_until_its_request_has_ended() {
        let running = Running::default();
        let first = running.begin(&key("1")).unwrap_or_else(|_| panic!("nothing runs yet"));
        let refused = running.begin(&key("1")).err().expect("the first still runs");
        assert_eq!((refused.status().as_u16(), refused.code()), (409, "idempotency-key-in-use"));
        drop(first);
        assert!(running.begin(&key("1")).is_ok());
    }

    #[test]
    fn another_query_is_another_request() {
        let of = |target: &str| {
            let request = http::Request::post(target).header("idempotency-key", "k").body(());
            let (parts, ()) = request.expect("a request").into_parts();
            Key::of(&parts, b"").expect("valid").expect("a key").fingerprint
        };
        assert_eq!(of("/x?to=a"), of("/x?to=a"));
        assert_ne!(of("/x?to=a"), of("/x?to=b"));
        assert_ne!(key("a").fingerprint, key("b").fingerprint);
    }

    #[test]
    fn only_post_and_patch_have_keys() {
        for (method, has) in [("POST", true), ("PATCH", true), ("PUT", false), ("GET", false)] {
            let request = http::Request::builder().method(method).header("idempotency-key", "k");
            let (parts, ()) = request.body(()).expect("a request").into_parts();
            assert_eq!(Key::of(&parts, b"").expect("valid").is_some(), has, "{method}");
        }
    }

    #[tokio::test]
    async fn a_resource_that_needs_a_key_says_so() {
        let request = http::Request::post("/orders").body(()).expect("a request");
        let (mut parts, ()) = request.into_parts();
        let missing = Keyed::from_request_parts(&mut parts, &()).await.expect_err("no key");
        assert_eq!(missing.problem.status().as_u16(), 400);
        assert_eq!(missing.problem.code(), "idempotency-key-missing");
        parts.extensions.insert(key("1"));
        let keyed = Keyed::from_request_parts(&mut parts, &()).await.expect("a key");
        assert_eq!(keyed.key(), "k");
    }

    async fn count(store: &Store) -> i64 {
        let counted = store.read(async |tx: Tx| {
            let row = tx.query_one("SELECT count(*) AS n FROM backline_idempotency", params![]);
            row.await?.get::<i64>("n")
        });
        counted.await.expect("a number")
    }

    #[tokio::test]
    async fn an_answer_is_forgotten_after_a_day() {
        let dir = std::env::temp_dir().join(format!("backline-keys-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&dir).expect("a folder");
        let url = format!("sqlite:{}", dir.join("store.db").display());
        let store = Store::open(&url, &[MIGRATION]).await.expect("a store");
        let ask = async || {
            let asked = store.write(async |tx: Tx| {
                let work = Work::new(tx, crate::Cause::root());
                let told = key("1").replay(&work).await?.is_some();
                if !told {
                    let reply = Reply::created(crate::Resource::new("/orders/1"));
                    key("1").keep(&work, &reply).await?;
                }
                Ok::<_, Fault>(told)
            });
            asked.await.expect("asked")
        };
        assert_eq!((ask().await, ask().await), (false, true));
        let age = async |hours: i64| {
            let then = format!("{:.6}", Timestamp::now() - SignedDuration::from_hours(hours));
            let aged = store.write(async move |tx: Tx| {
                tx.execute("UPDATE backline_idempotency SET created = $1", params![&then]).await
            });
            aged.await.expect("aged")
        };
        age(23).await;
        assert_eq!(sweep_some(&store).await.expect("swept"), 0);
        age(25).await;
        assert!(!ask().await, "it was still told");
        assert!(ask().await);
        age(25).await;
        assert_eq!(sweep_some(&store).await.expect("swept"), 1);
        assert_eq!(count(&store).await, 0);
        std::fs::remove_dir_all(dir).expect("removed");
    }
}
