//! What is changed, and by which index.

use backline_store::{Error, Tx, params};

use super::{
    Entry, MAX_BYTES, OVERHEAD, Scope,
    select::{bounds, entries},
};

/// How many deleted keys are remembered, for their index; half of them when it is too many.
const MAX_GONE: i64 = 4_096;

/// One step of a change.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub key: String,
    pub verb: Verb,
}

/// What to do with a key. The numbers are the index that the key must have: 0 for none.
#[derive(Clone, Debug)]
pub(crate) enum Verb {
    Set { value: Vec<u8>, flags: u64 },
    Cas { value: Vec<u8>, flags: u64, index: u64 },
    Delete,
    DeleteTree,
    DeleteCas { index: u64 },
    Get,
    CheckNotExists,
}

impl Verb {
    pub fn writes(&self) -> bool {
        !matches!(self, Self::Get | Self::CheckNotExists)
    }
}

/// Why a change was not made: then none of its steps was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{} steps of the change do not hold", .0.len())]
    Mistakes(Vec<Mistake>),
    #[error("the keys may take {MAX_BYTES} bytes in all, names and values: delete some first")]
    Full,
    #[error(transparent)]
    Store(#[from] Error),
}

/// A step whose condition does not hold.
#[derive(Debug, PartialEq)]
pub(crate) struct Mistake {
    /// Which step, from 0.
    pub step: usize,
    /// In Consul's words.
    pub what: String,
}

pub(super) async fn apply(tx: &Tx, ops: &[Op]) -> Result<Vec<Option<Entry>>, Refused> {
    let row = tx.query_one("SELECT last, bytes FROM kv_index", params![]).await?;
    let last: u64 = row.get("last")?;
    let mut change = Change { tx, at: last + 1, bytes: row.get("bytes")?, changed: false };
    let (mut done, mut mistakes) = (Vec::with_capacity(ops.len()), Vec::new());
    for (step, op) in ops.iter().enumerate() {
        match change.step(op).await? {
            Ok(entry) => done.push(entry),
            Err(what) => mistakes.push(Mistake { step, what }),
        }
    }
    if !mistakes.is_empty() {
        return Err(Refused::Mistakes(mistakes));
    }
    if change.changed {
        change.finish().await?;
    }
    Ok(done)
}

struct Change<'a> {
    tx: &'a Tx,
    /// The index of all that it changes.
    at: u64,
    /// What all keys take.
    bytes: u64,
    changed: bool,
}

impl Change<'_> {
    /// The outer error is the store's; the inner one is a condition that does not hold.
    async fn step(&mut self, op: &Op) -> Result<Result<Option<Entry>, String>, Error> {
        let key = &op.key;
        let there = match op.verb {
            Verb::DeleteTree => None,
            _ => entries(self.tx, &Scope::Key(key.clone())).await?.pop(),
        };
        let index = there.as_ref().map_or(0, |entry| entry.modified);
        match &op.verb {
            Verb::Set { value, flags } => self.set(key, value, *flags, there).await.map(Ok),
            Verb::Cas { value, flags, index: wanted } if *wanted == index => {
                self.set(key, value, *flags, there).await.map(Ok)
            }
            Verb::Cas { .. } => Ok(Err(format!("failed to set key {key:?}, index is stale"))),
            Verb::Delete => self.delete(&Scope::Key(key.clone())).await.map(Ok),
            Verb::DeleteTree => self.delete(&Scope::Prefix(key.clone())).await.map(Ok),
            // As in Consul, what is not there is deleted, whichever index it should have.
            Verb::DeleteCas { index: wanted } if *wanted == index || there.is_none() => {
                self.delete(&Scope::Key(key.clone())).await.map(Ok)
            }
            Verb::DeleteCas { .. } => {
                Ok(Err(format!("failed to delete key {key:?}, index is stale")))
            }
            Verb::Get => Ok(there.map(Some).ok_or_else(|| format!("key {key:?} doesn't exist"))),
            Verb::CheckNotExists if there.is_some() => Ok(Err(format!("key {key:?} exists"))),
            Verb::CheckNotExists => Ok(Ok(None)),
        }
    }

    async fn set(
        &mut self,
        key: &str,
        value: &[u8],
        flags: u64,
        there: Option<Entry>,
    ) -> Result<Option<Entry>, Error> {
        let created = match there {
            // As in Consul, the same again is no change.
            Some(same) if same.value == value && same.flags == flags => return Ok(Some(same)),
            Some(other) => {
                self.bytes = self.bytes.saturating_sub(size(key, &other.value));
                other.created
            }
            None => self.at,
        };
        self.bytes += size(key, value);
        self.changed = true;
        let sql = "INSERT INTO kv_entry (key, flags, created, modified, value)
                   VALUES ($1, $2, $3, $4, $5)
                   ON CONFLICT (key) DO UPDATE SET flags = excluded.flags,
                       created = excluded.created, modified = excluded.modified,
                       value = excluded.value";
        let [stored_flags, since, at] = [flags, created, self.at].map(u64::cast_signed);
        self.tx.execute(sql, params![key, stored_flags, since, at, value]).await?;
        let (key, value) = (key.to_owned(), value.to_owned());
        Ok(Some(Entry { key, value, flags, created, modified: self.at }))
    }

    async fn delete(&mut self, scope: &Scope) -> Result<Option<Entry>, Error> {
        let (from, to) = bounds(scope);
        let taken = "SELECT coalesce(sum(octet_length(key) + octet_length(value) + $3), 0) AS bytes
                     FROM kv_entry WHERE key >= $1 AND key < $2 AND value IS NOT NULL";
        let row = self.tx.query_one(taken, params![from, &to, OVERHEAD.cast_signed()]).await?;
        let freed: u64 = row.get("bytes")?;
        if freed > 0 {
            self.bytes = self.bytes.saturating_sub(freed);
            self.changed = true;
            let sql = "UPDATE kv_entry SET value = NULL, modified = $3
                       WHERE key >= $1 AND key < $2 AND value IS NOT NULL";
            self.tx.execute(sql, params![from, &to, self.at.cast_signed()]).await?;
        }
        Ok(None)
    }

    async fn finish(self) -> Result<(), Refused> {
        if self.bytes > MAX_BYTES {
            return Err(Refused::Full);
        }
        let sql = "UPDATE kv_index SET last = $1, bytes = $2";
        self.tx.execute(sql, params![self.at.cast_signed(), self.bytes.cast_signed()]).await?;
        self.forget().await.map_err(Refused::Store)
    }

    /// Half of the deleted keys at once, so that the index of everything else moves rarely.
    async fn forget(&self) -> Result<(), Error> {
        let sql = "SELECT count(*) AS gone FROM kv_entry WHERE value IS NULL";
        if self.tx.query_one(sql, params![]).await?.get::<i64>("gone")? <= MAX_GONE {
            return Ok(());
        }
        let sql = "SELECT modified FROM kv_entry WHERE value IS NULL
                   ORDER BY modified DESC LIMIT 1 OFFSET $1";
        let row = self.tx.query_one(sql, params![MAX_GONE / 2]).await?;
        let upto: i64 = row.get("modified")?;
        let sql = "DELETE FROM kv_entry WHERE value IS NULL AND modified <= $1";
        self.tx.execute(sql, params![upto]).await?;
        self.tx.execute("UPDATE kv_index SET floor = $1 WHERE floor < $1", params![upto]).await?;
        Ok(())
    }
}

fn size(key: &str, value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64 + OVERHEAD
}
