//! Bringing the tables up to date.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use sha2::{Digest, Sha256};

use super::{failure::explain, sql};
use crate::{Error, Migration};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS backline_migrations (
    name     TEXT PRIMARY KEY,
    checksum TEXT NOT NULL,
    applied  TEXT NOT NULL
)";
const RECORD: &str = "INSERT INTO backline_migrations (name, checksum, applied)
    VALUES (?1, ?2, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))";

/// Applies what the store lacks, in the order of `known`, in one transaction: several processes
/// that start at once do it once, and one that is killed leaves nothing half done.
///
/// A migration may be new in the middle of the list: a library's tables come before the
/// service's own, and both have later versions.
pub(crate) fn apply(
    connection: &mut Connection,
    path: &str,
    known: &[Migration],
) -> Result<(), Error> {
    check(known)?;
    let raised = |error: rusqlite::Error| explain(&error, path, "");
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(raised)?;
    transaction.execute_batch(TABLE).map_err(raised)?;
    let applied = applied(&transaction).map_err(raised)?;
    if let Some(name) = applied.keys().find(|name| known.iter().all(|known| known.name != *name)) {
        return Err(Error::MigrationUnknown { path: path.to_owned(), name: name.clone() });
    }
    for migration in known {
        let checksum = checksum(migration.sql);
        match applied.get(migration.name) {
            Some(found) if *found == checksum => {}
            Some(_) => {
                let name = migration.name.to_owned();
                return Err(Error::MigrationChanged { path: path.to_owned(), name });
            }
            None => run(&transaction, path, migration, &checksum)?,
        }
    }
    transaction.commit().map_err(raised)
}

fn run(
    transaction: &Transaction<'_>,
    path: &str,
    migration: &Migration,
    checksum: &str,
) -> Result<(), Error> {
    let done = transaction
        .execute_batch(migration.sql)
        .and_then(|()| transaction.execute(RECORD, [migration.name, checksum]));
    let named = |why: String| Error::Migration { name: migration.name.to_owned(), why };
    match done {
        Ok(_) if transaction.is_autocommit() => {
            Err(named("it ended the transaction that it is part of".into()))
        }
        Ok(_) => {
            tracing::info!(store = path, migration = migration.name, "migration applied");
            Ok(())
        }
        Err(error) => match explain(&error, path, "") {
            Error::Statement { why, .. } => {
                Err(named(format!("its SQL is wrong: {why}; nothing of it was applied")))
            }
            Error::Constraint { rule } | Error::Unique { constraint: rule } => Err(named(format!(
                "what the store holds does not fit: {rule}; nothing of it was applied"
            ))),
            other => Err(other),
        },
    }
}

fn check(known: &[Migration]) -> Result<(), Error> {
    let mut names = BTreeSet::new();
    for Migration { name, sql } in known {
        let named = |why: String| Error::Migration { name: (*name).to_owned(), why };
        if name.is_empty() {
            return Err(named("a migration needs a name".into()));
        }
        if !names.insert(name) {
            return Err(named("two have this name; give each its own".into()));
        }
        if let Some((word, why)) = sql::refused_in_script(sql) {
            return Err(named(format!("{word} is refused: {why}")));
        }
    }
    Ok(())
}

fn applied(transaction: &Transaction<'_>) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut found = transaction.prepare("SELECT name, checksum FROM backline_migrations")?;
    found.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Line ends do not count: a checkout on another system may change them.
fn checksum(sql: &str) -> String {
    let digest = Sha256::digest(sql.replace('\r', ""));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
