//! Whether a file is a Chinook database.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode};

/// What is read of it.
const TABLES: [(&str, &[&str]); 4] = [
    ("Artist", &["ArtistId", "Name"]),
    ("Album", &["AlbumId", "Title", "ArtistId"]),
    ("Track", &["TrackId", "Name", "AlbumId", "Milliseconds", "UnitPrice"]),
    ("Customer", &["CustomerId", "FirstName", "LastName", "Email"]),
];

/// A file that nothing can be imported from.
#[derive(Debug)]
pub enum Unusable {
    NoFile { file: PathBuf },
    NotSqlite { file: PathBuf },
    NotChinook { file: PathBuf, missing: Vec<String> },
    Unreadable { file: PathBuf, reason: String },
}

impl Unusable {
    pub(super) fn of(file: &Path, error: &rusqlite::Error) -> Self {
        let file = file.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotSqlite { file },
            _ => Self::Unreadable { file, reason: error.to_string() },
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let looked_for = || {
            let table =
                |(name, columns): &(&str, &[&str])| format!("{name}({})", columns.join(", "));
            TABLES.iter().map(table).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::NoFile { file } => write!(
                f,
                "there is no file {}: give the path of a Chinook database for SQLite, such as Chinook_Sqlite.sqlite",
                file.display()
            ),
            Self::NotSqlite { file } => write!(
                f,
                "{} is not an SQLite database: give the Chinook database in its SQLite form, with the tables {}",
                file.display(),
                looked_for()
            ),
            Self::NotChinook { file, missing } => write!(
                f,
                "{} is an SQLite database, but not Chinook's: it has no {}. Looked for were {}",
                file.display(),
                missing.join(", no "),
                looked_for()
            ),
            Self::Unreadable { file, reason } => {
                write!(f, "{} cannot be read: {reason}", file.display())
            }
        }
    }
}

/// Finds everything that is missing, at once.
pub(super) fn check(database: &Connection, file: &Path) -> Result<(), Unusable> {
    let mut missing = Vec::new();
    for (table, columns) in TABLES {
        let there = columns_of(database, table).map_err(|error| Unusable::of(file, &error))?;
        if there.is_empty() {
            missing.push(format!("table {table}"));
            continue;
        }
        let lacks = |column: &&&str| !there.iter().any(|name| name.eq_ignore_ascii_case(column));
        missing
            .extend(columns.iter().filter(lacks).map(|column| format!("column {table}.{column}")));
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Unusable::NotChinook { file: file.to_owned(), missing })
    }
}

fn columns_of(database: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = database.prepare("SELECT name FROM pragma_table_info(?)")?;
    statement.query_map([table], |row| row.get(0))?.collect()
}
