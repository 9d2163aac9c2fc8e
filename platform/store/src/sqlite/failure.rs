//! SQLite's errors in this crate's words.

use rusqlite::{ErrorCode, ffi};

use super::sql::excerpt;
use crate::Error;

/// What `error` means, raised by the statement `sql` on the file `path`.
pub(crate) fn explain(error: &rusqlite::Error, path: &str, sql: &str) -> Error {
    let path = path.to_owned();
    let statement = |why: String| Error::Statement { why, sql: excerpt(sql) };
    let (code, message) = match error {
        rusqlite::Error::SqliteFailure(code, message) => (code, message.clone()),
        rusqlite::Error::SqlInputError { error, msg, .. } => (error, Some(msg.clone())),
        rusqlite::Error::InvalidParameterCount(given, needed) => {
            return statement(format!("it needs {needed} parameters and was given {given}"));
        }
        other => return statement(other.to_string()),
    };
    let message = message.unwrap_or_else(|| code.to_string());
    match code.code {
        ErrorCode::ConstraintViolation => constraint(code.extended_code, message),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Error::Busy { path, waited: super::writer::BUSY_LIMIT }
        }
        ErrorCode::OperationInterrupted => {
            Error::TooSlow { path, limit: super::readers::READ_LIMIT }
        }
        ErrorCode::DiskFull => Error::Full { path },
        ErrorCode::DatabaseCorrupt => Error::Corrupt { path, why: message },
        ErrorCode::NotADatabase => Error::NotADatabase { path },
        ErrorCode::CannotOpen => Error::CannotOpen { path, why: message },
        ErrorCode::ReadOnly if sql.is_empty() => Error::CannotOpen {
            path,
            why: "it may not be written to; give this user the right to".into(),
        },
        ErrorCode::ReadOnly => Error::Refused {
            why: "a read cannot change anything; use Store::write (or the file became read-only)"
                .into(),
            sql: excerpt(sql),
        },
        ErrorCode::Unknown
        | ErrorCode::TypeMismatch
        | ErrorCode::TooBig
        | ErrorCode::ParameterOutOfRange => statement(message),
        _ => Error::Failed { path, why: message },
    }
}

fn constraint(extended: i32, message: String) -> Error {
    let unique = [
        ffi::SQLITE_CONSTRAINT_UNIQUE,
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
        ffi::SQLITE_CONSTRAINT_ROWID,
    ];
    if unique.contains(&extended) {
        let columns = message.strip_prefix("UNIQUE constraint failed: ").unwrap_or(&message);
        Error::Unique { constraint: columns.to_owned() }
    } else {
        Error::Constraint { rule: message }
    }
}
