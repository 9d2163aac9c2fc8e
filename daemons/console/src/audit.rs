//! What operators did: the newest records, from the registry's keys.
//!
//! Records are never changed, so each is read once; what is asked for each time is which there are.

use std::{collections::BTreeMap, time::Duration};

use backline_client::{AUDIT, Client, Record};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use crate::registry::{Source, connect};

/// How many are shown.
const MOST: usize = 200;
/// As many steps as a transaction may have.
const AT_A_TIME: usize = 64;
const TIMEOUT: Duration = Duration::from_secs(2);
/// Names of some 100,000 records.
const LARGEST: usize = 8 * 1024 * 1024;

pub(crate) struct Audit {
    source: Source,
    /// Records by their keys: those that were the newest at the last look.
    read: Mutex<BTreeMap<String, Record>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Results {
    results: Option<Vec<Found>>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(rename = "KV")]
    kv: Entry,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
    value: Option<String>,
}

impl Audit {
    pub fn new(source: Source) -> Self {
        Self { source, read: Mutex::default() }
    }

    /// The newest first; while the registry is away those of the last look. Without a registry
    /// there are none.
    pub async fn newest(&self) -> Vec<Record> {
        let mut read = self.read.lock().await;
        if let Err(error) = self.look(&mut read).await {
            tracing::debug!(error, "the audit records could not be read");
        }
        read.values().rev().cloned().collect()
    }

    async fn look(&self, read: &mut BTreeMap<String, Record>) -> Result<(), String> {
        let Source::Consul { host, caller } = &self.source else { return Ok(()) };
        let client = connect(host, caller).await?;
        let names = names(&client).await.map_err(|error| error.to_string())?;
        let missing: Vec<_> = names.iter().filter(|key| !read.contains_key(*key)).collect();
        for part in missing.chunks(AT_A_TIME) {
            read.extend(records(&client, part).await.map_err(|error| error.to_string())?);
        }
        read.retain(|key, _| names.contains(key));
        Ok(())
    }
}

/// The keys of the newest records: they sort as their moments do.
async fn names(client: &Client) -> Result<Vec<String>, backline_client::Error> {
    let path = format!("/v1/kv/{AUDIT}?keys=true");
    let names = match client.get(&path).timeout(TIMEOUT).body_limit(LARGEST).send().await {
        Err(error) if error.status() == Some(404) => return Ok(Vec::new()),
        answer => answer?.json::<Vec<String>>()?,
    };
    let mut names: Vec<_> = names.into_iter().filter(|name| name.starts_with(AUDIT)).collect();
    names.sort_unstable();
    names.drain(..names.len().saturating_sub(MOST));
    Ok(names)
}

async fn records(
    client: &Client,
    keys: &[&String],
) -> Result<Vec<(String, Record)>, backline_client::Error> {
    let steps: Vec<_> =
        keys.iter().map(|key| json!({ "KV": { "Verb": "get", "Key": key } })).collect();
    let answer = client.put("/v1/txn").json(&steps).timeout(TIMEOUT).body_limit(LARGEST);
    let found: Results = answer.send().await?.json()?;
    let record = |Found { kv }: Found| {
        // One that cannot be read is shown as empty: it was written by something else.
        let value = STANDARD.decode(kv.value.unwrap_or_default()).unwrap_or_default();
        (kv.key, serde_json::from_slice(&value).unwrap_or_default())
    };
    Ok(found.results.unwrap_or_default().into_iter().map(record).collect())
}
