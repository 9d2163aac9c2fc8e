//! `/v1/txn`: several keys at once, all or nothing.

use axum::{
    Json,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Shared,
    answer::Fault,
    kv::{Body, check_length, whole},
    params::Params,
};
use crate::{
    kv::{Entry, Op, Refused, Verb},
    operator,
};

const MAX_OPS: usize = 64;

/// Consul takes the names in any case; its own clients write these.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Step {
    #[serde(rename = "KV")]
    kv: Option<Wanted>,
    /// Operations of other kinds.
    #[serde(flatten)]
    others: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wanted {
    verb: String,
    #[serde(default)]
    key: String,
    value: Option<String>,
    #[serde(default)]
    flags: u64,
    #[serde(default)]
    index: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Done {
    results: Option<Vec<Made>>,
    errors: Option<Vec<Mistaken>>,
}

#[derive(Serialize)]
struct Made {
    #[serde(rename = "KV")]
    kv: Body,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Mistaken {
    op_index: usize,
    what: String,
}

pub async fn run(
    State(shared): State<Shared>,
    _params: Params,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Fault> {
    let ops = parse(&whole(body)?)?;
    if let Some(op) = ops.iter().find(|op| op.verb.writes()) {
        operator::check(shared.operator.as_ref(), &headers, &op.key)?;
    }
    let gets: Vec<_> = ops.iter().map(|op| matches!(op.verb, Verb::Get)).collect();
    match shared.keys.apply(ops).await {
        Ok(entries) => {
            let results =
                entries.into_iter().zip(gets).filter_map(|(entry, get)| made(entry?, get));
            Ok(Json(Done { results: Some(results.collect()), errors: None }).into_response())
        }
        Err(Refused::Mistakes(mistakes)) => {
            let errors = mistakes.into_iter();
            let errors = errors.map(|m| Mistaken { op_index: m.step, what: m.what }).collect();
            let done = Done { results: None, errors: Some(errors) };
            Ok((StatusCode::CONFLICT, Json(done)).into_response())
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Who wrote a value knows it: only what was read is told whole.
fn made(entry: Entry, whole: bool) -> Option<Made> {
    let kv = if whole { Body::of(entry) } else { Body::without_value(entry) };
    Some(Made { kv })
}

fn parse(body: &[u8]) -> Result<Vec<Op>, Fault> {
    let steps: Vec<Step> = serde_json::from_slice(body)
        .map_err(|error| Fault::bad_request(format!("Failed to parse body: {error}")))?;
    if steps.len() > MAX_OPS {
        let text =
            format!("Transaction contains too many operations ({} > {MAX_OPS})", steps.len());
        return Err(Fault::of(StatusCode::PAYLOAD_TOO_LARGE, text));
    }
    steps.into_iter().enumerate().map(|(at, step)| op(at, step)).collect()
}

fn op(at: usize, step: Step) -> Result<Op, Fault> {
    let invalid = |why: String| Fault::bad_request(format!("Invalid operation {at}: {why}"));
    let wanted = match (step.kv, step.others.keys().next()) {
        (Some(wanted), None) => wanted,
        (_, Some(other)) => {
            return Err(invalid(format!(
                "{other:?} is not supported by this registry, only KV is"
            )));
        }
        (None, None) => return Err(invalid("it has no KV".into())),
    };
    let Wanted { verb, key, value, flags, index } = wanted;
    if key.is_empty() && verb != "delete-tree" {
        return Err(invalid("Missing key name".into()));
    }
    check_length(&key)?;
    let value = || {
        let text = value.unwrap_or_default();
        STANDARD.decode(&text).map_err(|error| invalid(format!("Value is not base64: {error}")))
    };
    let verb = match verb.as_str() {
        "set" => Verb::Set { value: value()?, flags },
        "cas" => Verb::Cas { value: value()?, flags, index },
        "delete" => Verb::Delete,
        "delete-tree" => Verb::DeleteTree,
        "delete-cas" => Verb::DeleteCas { index },
        "get" => Verb::Get,
        "check-not-exists" => Verb::CheckNotExists,
        verb => {
            return Err(invalid(format!(
                "the verb {verb:?} is not supported by this registry; it knows set, cas, delete, \
                 delete-tree, delete-cas, get, check-not-exists"
            )));
        }
    };
    Ok(Op { key, verb })
}
