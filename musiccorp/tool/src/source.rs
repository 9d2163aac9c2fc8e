//! What an import has read: rows to create, and rows that could not be read.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Everything to be imported, in the order in which things need each other.
#[derive(Debug, Default)]
pub struct Source {
    /// Where it is from, for people.
    pub name: String,
    pub artists: Vec<Row>,
    pub albums: Vec<Album>,
    pub customers: Vec<Row>,
    /// Rows that could not be read.
    pub rejected: Vec<Rejected>,
    /// The tables, in the order of the report.
    pub tables: Vec<Table>,
}

/// A table of the source.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub name: &'static str,
    /// How many rows it has, readable or not.
    pub rows: usize,
}

/// A row, as a resource to be created.
#[derive(Clone, Debug)]
pub struct Row {
    pub at: Place,
    /// The `Idempotency-Key`.
    pub key: String,
    pub body: Value,
}

/// An album with its tracks. Its body has no `artist` yet: only the shop knows that reference.
#[derive(Clone, Debug)]
pub struct Album {
    pub row: Row,
    /// Index among [`Source::artists`].
    pub artist: usize,
    /// The rows that its tracks were.
    pub tracks: Vec<Place>,
}

/// Which row it is: a table's name and the row's primary key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    pub table: &'static str,
    pub row: String,
}

/// A row that is not in the shop, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    #[serde(flatten)]
    pub at: Place,
    pub reason: String,
    /// The status of the answer, if the shop refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

impl Place {
    pub fn new(table: &'static str, row: impl ToString) -> Self {
        Self { table, row: row.to_string() }
    }

    pub fn unreadable(self, reason: impl Into<String>) -> Rejected {
        Rejected { at: self, reason: reason.into(), status: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table, self.row)
    }
}

/// A row's `Idempotency-Key`: the same for the same row at every run, on any machine.
///
/// `identity` is what the row is known by (its number and its name), not all of its content: a row
/// whose other columns were changed since the last import keeps its key. The shop then refuses it,
/// and it is reported, where a new key would create it a second time.
pub fn key(source: &str, table: &str, identity: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in [source, table].iter().chain(identity) {
        // With lengths, no two lists of parts run together to the same text.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{source}-{}", &hex[..40])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_the_same_for_ever() {
        // Shops keep these keys: another form would create everything anew.
        let expected = "chinook-0a17272ff3f8eb860a4fae6fe3bc4db3d555e0eb";
        assert_eq!(key("chinook", "Artist", &["1", "AC/DC"]), expected);
    }

    #[test]
    fn other_rows_have_other_keys() {
        let one = key("chinook", "Artist", &["1", "2"]);
        assert_ne!(one, key("chinook", "Artist", &["12", ""]));
        assert_ne!(one, key("chinook", "Album", &["1", "2"]));
        assert_ne!(one, key("starter", "Artist", &["1", "2"]));
    }
}
