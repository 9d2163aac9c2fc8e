//! Keys and values in the registry: what operators want of the estate.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};

use super::consul::segment;
use crate::{Error, Kind, error::Call};

pub(super) const TRANSACTION: &str = "/v1/txn";

/// A write is on a disk when it is answered, which takes longer than a look.
pub(super) const WRITE_WITHIN: Duration = Duration::from_secs(5);

/// What stands under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The value, as it was written.
    pub value: Vec<u8>,
    /// The registry's index of the last change of this key.
    pub modify_index: u64,
}

/// Keys by their full names.
pub(super) type Keys = BTreeMap<String, Key>;

/// One step of a change of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyOp {
    /// Gives a key this value, whether or not it is there.
    Set {
        /// Its full name, up to 512 bytes.
        key: String,
        /// Its value. All values of a change together may have up to 384 KiB.
        value: Vec<u8>,
    },
    /// Takes a key away, if it is there.
    Delete {
        /// Its full name.
        key: String,
    },
}

/// Where the keys of a prefix are listed; parameters follow.
pub(super) fn path_of(prefix: &str) -> String {
    let segments: Vec<_> = prefix.split('/').map(segment).collect();
    format!("/v1/kv/{}?recurse=true&", segments.join("/"))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
    #[serde(deserialize_with = "decoded")]
    value: Vec<u8>,
    modify_index: u64,
}

/// Base64 (RFC 4648, section 4); null for nothing.
fn decoded<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<u8>, D::Error> {
    let text = Option::<String>::deserialize(value)?.unwrap_or_default();
    STANDARD.decode(text).map_err(de::Error::custom)
}

/// The keys in an answer of `/v1/kv/<prefix>?recurse`.
pub(super) fn listed(body: &[u8]) -> serde_json::Result<Keys> {
    let entries: Vec<Entry> = serde_json::from_slice(body)?;
    let key = |Entry { key, value, modify_index }| (key, Key { value, modify_index });
    Ok(entries.into_iter().map(key).collect())
}

/// The body of a transaction.
pub(super) fn body(ops: &[KeyOp]) -> Value {
    let step = |op: &KeyOp| match op {
        KeyOp::Set { key, value } => {
            json!({ "KV": { "Verb": "set", "Key": key, "Value": STANDARD.encode(value) } })
        }
        KeyOp::Delete { key } => json!({ "KV": { "Verb": "delete", "Key": key } }),
    };
    ops.iter().map(step).collect()
}

pub(super) fn nowhere_to_write() -> Error {
    let call = Call {
        service: "registry".into(),
        method: Method::PUT,
        reference: TRANSACTION.to_owned(),
        instance: None,
        repeatable: true,
    };
    call.error(Kind::Unknown, "static discovery has no registry, so no keys can be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_consul_writes_them() {
        let answer = br#"[
            {"LockIndex": 0, "Key": "a/1", "Flags": 0, "Value": "eA==", "CreateIndex": 4, "ModifyIndex": 7},
            {"LockIndex": 0, "Key": "a/2", "Flags": 0, "Value": null, "CreateIndex": 5, "ModifyIndex": 5}
        ]"#;
        let keys = listed(answer).unwrap();
        assert_eq!(keys["a/1"], Key { value: b"x".to_vec(), modify_index: 7 });
        assert_eq!(keys["a/2"].value, b"");
        assert!(listed(br#"[{"Key": "a", "Value": "?", "ModifyIndex": 1}]"#).is_err());
    }

    #[test]
    fn a_prefix_keeps_its_slashes_and_nothing_else_of_a_path() {
        assert_eq!(path_of("circuit/"), "/v1/kv/circuit/?recurse=true&");
        assert_eq!(path_of(""), "/v1/kv/?recurse=true&");
        assert_eq!(path_of("a b/c?d"), "/v1/kv/a%20b/c%3Fd?recurse=true&");
    }
}
