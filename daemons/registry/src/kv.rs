//! Keys and values: what operators want, kept on disk.
//!
//! The file is the only state; nothing is cached. So what is read was committed, a change that was
//! answered outlives the process, and a writer that goes away leaves nothing half known. Reads
//! are of one snapshot each, changes of any number of keys are one transaction.
//!
//! Index rules (docs/wire/registry.md): the counter is kept with the keys and never goes back, also
//! over restarts. A deleted key leaves its index behind; of those only the newest are kept, and the
//! index below which others were forgotten stands for them.

mod change;
mod select;

use backline_store::{Error, Migration, Store, Tx, params};
use tokio::sync::watch;

pub(crate) use change::{Op, Refused, Verb};

/// The longest value, in bytes; Consul's default limit.
pub(crate) const MAX_VALUE: usize = 512 * 1024;
/// The longest key, in bytes.
pub(crate) const MAX_KEY: usize = 512;
/// How much all keys may take, in bytes. An answer with all of them must fit into memory.
pub(crate) const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// What a key takes besides its name and its value.
const OVERHEAD: u64 = 128;

const MIGRATION: Migration =
    Migration { name: "registry-kv-1", sql: include_str!("kv/tables.sql") };

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub key: String,
    pub value: Vec<u8>,
    pub flags: u64,
    pub created: u64,
    pub modified: u64,
}

/// What was found, and the index of that.
#[derive(Debug)]
pub(crate) struct Found<T> {
    /// At least 1.
    pub index: u64,
    pub found: T,
}

/// Which keys are meant.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    Key(String),
    Prefix(String),
}

/// All keys. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Keys(Store);

impl Keys {
    /// Opens the store at `url`. The counter goes on from where it was, or from `first_index` where
    /// that is higher: after a backup was restored, no state has an index that another had before.
    pub async fn open(url: &str, first_index: u64) -> Result<Self, Error> {
        let store = Store::open(url, &[MIGRATION]).await?;
        let first = first_index.max(1).cast_signed();
        store
            .write(async move |tx: Tx| {
                let begun = "UPDATE kv_index SET last = $1 WHERE last < $1";
                tx.execute(begun, params![first]).await?;
                let made = "INSERT INTO kv_index (last, floor, bytes)
                            SELECT $1, $1, 0 WHERE NOT EXISTS (SELECT 1 FROM kv_index)";
                tx.execute(made, params![first]).await
            })
            .await
            .map(|_: u64| Self(store))
    }

    /// A count that moves after each change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.commits()
    }

    /// The index of these keys.
    pub async fn index(&self, scope: &Scope) -> Result<u64, Error> {
        let scope = scope.clone();
        self.0.read(async move |tx: Tx| select::index(&tx, &scope).await).await
    }

    /// These keys, in their order.
    pub async fn get(&self, scope: &Scope) -> Result<Found<Vec<Entry>>, Error> {
        let scope = scope.clone();
        self.0
            .read(async move |tx: Tx| {
                let index = select::index(&tx, &scope).await?;
                Ok(Found { index, found: select::entries(&tx, &scope).await? })
            })
            .await
    }

    /// The names of these keys, in their order.
    pub async fn names(&self, scope: &Scope) -> Result<Found<Vec<String>>, Error> {
        let scope = scope.clone();
        self.0
            .read(async move |tx: Tx| {
                let index = select::index(&tx, &scope).await?;
                Ok(Found { index, found: select::names(&tx, &scope).await? })
            })
            .await
    }

    /// Carries out all of it or nothing, and tells what became of each: the entry that was read or
    /// written, nothing for a deletion. Returns when it is on disk.
    pub async fn apply(&self, ops: Vec<Op>) -> Result<Vec<Option<Entry>>, Refused> {
        self.0.write(async move |tx: Tx| change::apply(&tx, &ops).await).await
    }
}

#[cfg(test)]
mod tests;
