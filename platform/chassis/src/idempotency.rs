//! `Idempotency-Key`: the answer of a write is stored with its effect, in one transaction.

use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode},
};
use backline_hypermedia::Problem;
use backline_store::{Migration, params};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use sha2::{Digest, Sha256};

use crate::{Fault, Reply, Work};

/// The largest body of a request, in bytes.
pub(crate) const MAX_BODY: usize = 1024 * 1024;
const MAX_KEY: usize = 255;

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
    /// Takes the key from a request and puts itself among the request's extensions.
    pub async fn attach(request: Request<Body>) -> Result<Request<Body>, Problem> {
        let guarded = matches!(*request.method(), Method::POST | Method::PATCH);
        let Some(key) = guarded.then(|| header(request.headers())).transpose()?.flatten() else {
            return Ok(request);
        };
        let scope = format!("{} {}", request.method(), request.uri().path());
        let (mut parts, body) = request.into_parts();
        let bytes = Limited::new(body, MAX_BODY).collect().await.map_err(unread)?.to_bytes();
        let fingerprint = hex(&Sha256::digest(&bytes));
        parts.extensions.insert(Self { scope, key, fingerprint });
        Ok(Request::from_parts(parts, Body::from(bytes)))
    }

    /// The answer that was given under this key before.
    pub async fn replay(&self, work: &Work) -> Result<Option<Reply>, Fault> {
        let row = work
            .query_opt(
                "SELECT fingerprint, reply FROM backline_idempotency WHERE scope = $1 AND key = $2",
                params![&self.scope, &self.key],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
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
        let now = jiff::Timestamp::now().to_string();
        work.execute(
            "INSERT INTO backline_idempotency (scope, key, fingerprint, reply, created)
             VALUES ($1, $2, $3, $4, $5)",
            params![&self.scope, &self.key, &self.fingerprint, &text, &now],
        )
        .await?;
        Ok(())
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

fn unread(error: Box<dyn std::error::Error + Send + Sync>) -> Problem {
    if error.is::<LengthLimitError>() {
        return too_large();
    }
    Problem::new(StatusCode::BAD_REQUEST, "body-cut", "The body broke off or is not valid")
        .detail("Nothing was changed. Send it again.")
}

pub(crate) fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The request's body is too large")
        .detail(format!("At most {MAX_BODY} bytes are taken."))
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
}
