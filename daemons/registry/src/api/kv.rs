//! `/v1/kv`: keys one by one, or all under a prefix.

use axum::{
    Json,
    extract::{FromRequestParts, Path, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Serialize;

use super::{
    Shared,
    answer::{Fault, indexed},
    params::Params,
};
use crate::{
    blocking::{Watched, until_news},
    catalog::Answer,
    kv::{Entry, Found, Keys, MAX_KEY, MAX_VALUE, Op, Refused, Scope, Verb},
    operator,
};

const ROOT: &str = "/v1/kv/";

/// Everything after `/v1/kv/`, decoded; may be empty.
pub(crate) struct Key(String);

impl FromRequestParts<Shared> for Key {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Fault> {
        if parts.uri.path() == ROOT {
            return Ok(Self(String::new()));
        }
        let Path(key) = Path::<String>::from_request_parts(parts, shared)
            .await
            .map_err(|rejection| Fault::bad_request(rejection.body_text()))?;
        check_length(&key).map(|()| Self(key))
    }
}

impl Key {
    fn one(self) -> Result<String, Fault> {
        if self.0.is_empty() {
            return Err(Fault::bad_request("Missing key name"));
        }
        Ok(self.0)
    }
}

pub(super) fn check_length(key: &str) -> Result<(), Fault> {
    if key.len() > MAX_KEY {
        let length = key.len();
        return Err(Fault::bad_request(format!(
            "Invalid key: it has {length} bytes, and at most {MAX_KEY} are taken"
        )));
    }
    Ok(())
}

/// An entry as Consul writes it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Body {
    lock_index: u64,
    key: String,
    flags: u64,
    /// In base64 (RFC 4648, section 4); null where it is empty.
    value: Option<String>,
    create_index: u64,
    modify_index: u64,
}

impl Body {
    pub fn of(entry: Entry) -> Self {
        let value = (!entry.value.is_empty()).then(|| STANDARD.encode(&entry.value));
        Self { value, ..Self::without_value(entry) }
    }

    pub fn without_value(entry: Entry) -> Self {
        Self {
            lock_index: 0,
            key: entry.key,
            flags: entry.flags,
            value: None,
            create_index: entry.created,
            modify_index: entry.modified,
        }
    }
}

pub async fn read(
    State(shared): State<Shared>,
    key: Key,
    params: Params,
) -> Result<Response, Fault> {
    let names_only = params.flag("keys")?;
    let scope = match params.flag("recurse")? || names_only {
        true => Scope::Prefix(key.0),
        false => Scope::Key(key.one()?),
    };
    let keys = &shared.keys;
    if let Some(wait) = params.wait()? {
        until_news(&InKeys { keys, scope: &scope }, &shared.drain, wait).await;
    }
    match &scope {
        Scope::Prefix(prefix) if names_only => {
            let Found { index, found } = keys.names(&scope).await?;
            let names = rolled_up(found, prefix, params.get("separator").unwrap_or_default());
            // As in Consul, only a prefix can be nowhere; the whole is there even when empty.
            Ok(listed(index, &names, prefix.is_empty(), &params))
        }
        Scope::Key(_) if params.flag("raw")? => Ok(raw(keys.get(&scope).await?)),
        _ => {
            let Found { index, found } = keys.get(&scope).await?;
            let bodies: Vec<_> = found.into_iter().map(Body::of).collect();
            Ok(listed(index, &bodies, false, &params))
        }
    }
}

struct InKeys<'a> {
    keys: &'a Keys,
    scope: &'a Scope,
}

impl Watched for InKeys<'_> {
    fn bell(&self) -> impl Future<Output = ()> + Send {
        let mut changes = self.keys.changes();
        async move { drop(changes.changed().await) }
    }

    async fn is_other_than(&self, index: u64) -> bool {
        // What the store cannot tell now it will say when it is asked for the answer.
        !self.keys.index(self.scope).await.is_ok_and(|now| now == index)
    }
}

/// Names up to the first separator after the prefix, each once.
fn rolled_up(names: Vec<String>, prefix: &str, separator: &str) -> Vec<String> {
    if separator.is_empty() {
        return names;
    }
    let short = |mut name: String| {
        if let Some(at) = name[prefix.len()..].find(separator) {
            name.truncate(prefix.len() + at + separator.len());
        }
        name
    };
    let mut names: Vec<_> = names.into_iter().map(short).collect();
    names.dedup();
    names
}

fn listed<T: Serialize>(index: u64, list: &[T], may_be_empty: bool, params: &Params) -> Response {
    if list.is_empty() && !may_be_empty {
        return nothing(index);
    }
    // Text and numbers: nothing here can fail to be written.
    let body = serde_json::to_vec(list).map(Bytes::from).unwrap_or_default();
    indexed(Answer { index, body }, params)
}

fn nothing(index: u64) -> Response {
    let mut response = StatusCode::NOT_FOUND.into_response();
    super::answer::add_index(&mut response, index);
    response
}

/// The bare value. A browser that is led here must not take it for a page of this server.
fn raw(Found { index, mut found }: Found<Vec<Entry>>) -> Response {
    let Some(entry) = found.pop() else { return nothing(index) };
    let head: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    let mut response = (head, entry.value).into_response();
    super::answer::add_index(&mut response, index);
    response
}

pub async fn write(
    State(shared): State<Shared>,
    key: Key,
    params: Params,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<bool>, Fault> {
    let key = key.one()?;
    operator::check(shared.operator.as_ref(), &headers, &key)?;
    no_locks(&params)?;
    let value = whole(body)?.to_vec();
    let flags = number(&params, "flags")?.unwrap_or(0);
    let verb = match number(&params, "cas")? {
        Some(index) => Verb::Cas { value, flags, index },
        None => Verb::Set { value, flags },
    };
    apply(&shared, Op { key, verb }).await
}

pub async fn delete(
    State(shared): State<Shared>,
    key: Key,
    params: Params,
    headers: HeaderMap,
) -> Result<Json<bool>, Fault> {
    let recurse = params.flag("recurse")?;
    let key = if recurse { key.0 } else { key.one()? };
    operator::check(shared.operator.as_ref(), &headers, &key)?;
    let verb = match (recurse, number(&params, "cas")?) {
        (true, Some(_)) => {
            return Err(Fault::bad_request("Conflicting flags: recurse and cas: give one of them"));
        }
        (true, None) => Verb::DeleteTree,
        (false, Some(index)) => Verb::DeleteCas { index },
        (false, None) => Verb::Delete,
    };
    apply(&shared, Op { key, verb }).await
}

async fn apply(shared: &Shared, op: Op) -> Result<Json<bool>, Fault> {
    match shared.keys.apply(vec![op]).await {
        Ok(_) => Ok(Json(true)),
        Err(Refused::Mistakes(_)) => Ok(Json(false)),
        Err(refused) => Err(refused.into()),
    }
}

fn no_locks(params: &Params) -> Result<(), Fault> {
    match ["acquire", "release"].into_iter().find(|name| params.has(name)) {
        Some(name) => Err(Fault::bad_request(format!(
            "Invalid query parameter: \"{name}\" is not supported by this registry, which has no \
             sessions and no locks yet: use cas"
        ))),
        None => Ok(()),
    }
}

fn number(params: &Params, name: &str) -> Result<Option<u64>, Fault> {
    let parse = |value: &str| {
        value.parse().map_err(|_| {
            Fault::bad_request(format!("Invalid {name} value: {value:?} is no number from 0"))
        })
    };
    params.get(name).map(parse).transpose()
}

/// The body of a write, in full.
pub(super) fn whole(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Fault> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Fault::of(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("Request body too large, max size: {MAX_VALUE} bytes"),
        ),
        _ => rejection.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::rolled_up;

    #[test]
    fn names_are_rolled_up_to_the_separator() {
        let names = || ["a/b/1", "a/b/2", "a/c", "a/d/"].map(str::to_owned).to_vec();
        assert_eq!(rolled_up(names(), "a/", "/"), ["a/b/", "a/c", "a/d/"]);
        assert_eq!(rolled_up(names(), "", "/"), ["a/"]);
        assert_eq!(rolled_up(names(), "a/", ""), names());
    }
}
