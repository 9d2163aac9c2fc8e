//! What is read.

use backline_store::{Error, Row, Tx, params};

use super::{Entry, MAX_KEY, Scope};

/// The index of a key that is there is that of its last change. Of anything else: the last change
/// or deletion under it, or what was forgotten.
pub(super) async fn index(tx: &Tx, scope: &Scope) -> Result<u64, Error> {
    let last = match scope {
        Scope::Key(key) => {
            let sql = "SELECT modified, value IS NULL AS gone FROM kv_entry WHERE key = $1";
            match tx.query_opt(sql, params![key]).await? {
                Some(row) if !row.get::<bool>("gone")? => return row.get("modified"),
                Some(row) => row.get("modified")?,
                None => None,
            }
        }
        Scope::Prefix(prefix) => {
            let sql = "SELECT max(modified) AS modified FROM kv_entry WHERE key >= $1 AND key < $2";
            tx.query_one(sql, params![prefix, end(prefix)]).await?.get("modified")?
        }
    };
    let floor: u64 = tx.query_one("SELECT floor FROM kv_index", params![]).await?.get("floor")?;
    Ok(floor.max(last.unwrap_or(0)))
}

pub(super) async fn entries(tx: &Tx, scope: &Scope) -> Result<Vec<Entry>, Error> {
    let (from, to) = bounds(scope);
    let sql = "SELECT key, flags, created, modified, value FROM kv_entry
               WHERE key >= $1 AND key < $2 AND value IS NOT NULL ORDER BY key";
    tx.query(sql, params![from, to]).await?.iter().map(entry).collect()
}

pub(super) async fn names(tx: &Tx, scope: &Scope) -> Result<Vec<String>, Error> {
    let (from, to) = bounds(scope);
    let sql = "SELECT key FROM kv_entry
               WHERE key >= $1 AND key < $2 AND value IS NOT NULL ORDER BY key";
    tx.query(sql, params![from, to]).await?.iter().map(|row| row.get("key")).collect()
}

fn entry(row: &Row) -> Result<Entry, Error> {
    Ok(Entry {
        key: row.get("key")?,
        value: row.get("value")?,
        flags: row.get::<i64>("flags")?.cast_unsigned(),
        created: row.get("created")?,
        modified: row.get("modified")?,
    })
}

/// The first key of a scope, and the first beyond it.
pub(super) fn bounds(scope: &Scope) -> (&str, String) {
    match scope {
        Scope::Key(key) => (key, format!("{key}\0")),
        Scope::Prefix(prefix) => (prefix, end(prefix)),
    }
}

/// The first key beyond all that begin with `prefix`. UTF-8 sorts as its characters do.
fn end(prefix: &str) -> String {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // Characters have a gap, that of UTF-16's surrogates.
        if let Some(next) = (u32::from(last) + 1..=0x0010_FFFF).find_map(char::from_u32) {
            end.push(next);
            return end;
        }
    }
    // Longer than any key can be, of the highest character.
    char::MAX.to_string().repeat(MAX_KEY / char::MAX.len_utf8() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_one() {
        assert_eq!(end("circuit/"), "circuit0");
        assert_eq!(end("a\u{D7FF}"), "a\u{E000}");
        assert_eq!(end("a\u{10FFFF}"), "b");
        let highest = "\u{10FFFF}".repeat(MAX_KEY / 4);
        assert!(end("") > highest && end("\u{10FFFF}") > highest);
    }
}
