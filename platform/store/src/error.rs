use std::time::Duration;

/// Why a store could not be opened, or a transaction had no effect.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Raised by a closure: the transaction is taken back.
    #[error("{0}")]
    Application(String),

    /// Another row has the value already.
    #[error("{constraint} must be unique, and another row has that value")]
    Unique {
        /// The columns, such as `customers.email`.
        constraint: String,
    },

    /// The change breaks another rule of the tables.
    #[error("the change breaks a rule of the tables: {rule}")]
    Constraint {
        /// The rule in SQLite's words, such as `NOT NULL constraint failed: customers.email`.
        rule: String,
    },

    /// `query_one` found nothing.
    #[error("there is no row where one was expected: {sql}")]
    NoRow {
        /// The statement.
        sql: String,
    },

    /// A row was asked for a column that it cannot give.
    #[error("column '{column}' cannot be read: {why}")]
    Column {
        /// The column.
        column: String,
        /// What it holds instead.
        why: String,
    },

    /// The database does not accept the statement.
    #[error("the statement is wrong: {why}: {sql}")]
    Statement {
        /// The database's complaint.
        why: String,
        /// The statement.
        sql: String,
    },

    /// A statement that has no place inside a transaction closure.
    #[error("this statement is refused: {why}: {sql}")]
    Refused {
        /// What to do instead.
        why: String,
        /// The statement.
        sql: String,
    },

    /// A `Tx` was used after its closure had ended.
    #[error("the transaction has ended: a Tx is of use only inside its closure")]
    Ended,

    /// A statement was sent after one of the same transaction had failed.
    #[error("the transaction has failed and can only be taken back; the first error was: {first}")]
    Poisoned {
        /// The error that the closure passed over.
        first: String,
    },

    /// The closure took back the whole transaction, with `OR ROLLBACK` or `RAISE(ROLLBACK, ..)`.
    #[error("the closure's SQL took back its whole transaction; return an error instead")]
    RolledBack,

    /// The closure panicked. Its changes were taken back.
    #[error("the transaction's closure panicked: {0}")]
    Panicked(String),

    /// The closure awaited something other than its `Tx`. Its changes were taken back.
    #[error(
        "the transaction's closure awaited something other than the store: do that before the \
         transaction, or after it"
    )]
    ForeignAwait,

    /// `read` or `write` was called inside a transaction's closure.
    #[error("a transaction was asked for inside a transaction: use the Tx that the closure has")]
    Nested,

    /// Others held the file, or this process had too much to do, for too long. Nothing was changed.
    #[error("{path}: busy for {} ms; nothing was changed", waited.as_millis())]
    Busy {
        /// The file.
        path: String,
        /// How long it was tried.
        waited: Duration,
    },

    /// A read took longer than it may: an open read keeps the log from being reset.
    #[error("{path}: a read was ended after {} ms; ask for less at a time", limit.as_millis())]
    TooSlow {
        /// The file.
        path: String,
        /// The longest that a read may take.
        limit: Duration,
    },

    /// The disk, or the file's quota, is full. Nothing was changed.
    #[error("{path}: the disk is full; nothing was changed: make room")]
    Full {
        /// The file.
        path: String,
    },

    /// The file is damaged.
    #[error("{path}: the file is damaged ({why}): stop its service and restore a backup")]
    Corrupt {
        /// The file.
        path: String,
        /// SQLite's finding.
        why: String,
    },

    /// The file is something else.
    #[error("{path}: this is not an SQLite database: name another file, or move it away")]
    NotADatabase {
        /// The file.
        path: String,
    },

    /// The file cannot be opened or made.
    #[error("{path}: cannot be opened: {why}")]
    CannotOpen {
        /// The file.
        path: String,
        /// What stands in the way.
        why: String,
    },

    /// The disk failed. Whether a transaction in its COMMIT took effect is not known.
    #[error("{path}: {why}")]
    Failed {
        /// The file.
        path: String,
        /// SQLite's complaint.
        why: String,
    },

    /// The address of the store is not one.
    #[error("'{url}' is no address of a store: {why}; right would be sqlite:var/customers.db")]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: String,
    },

    /// The list of migrations makes no sense.
    #[error("migration '{name}': {why}")]
    Migration {
        /// The migration.
        name: String,
        /// What is wrong, and what would be right.
        why: String,
    },

    /// A migration was changed after it had been applied.
    #[error(
        "{path}: migration '{name}' was changed after it had been applied here: put it back as it \
         was, and make the change in a new migration"
    )]
    MigrationChanged {
        /// The file.
        path: String,
        /// The migration.
        name: String,
    },

    /// The store has a migration that this program does not know.
    #[error(
        "{path}: has migration '{name}', which this program does not know: a newer program wrote \
         it; run that one"
    )]
    MigrationUnknown {
        /// The file.
        path: String,
        /// The migration.
        name: String,
    },

    /// The thread that does the work has ended.
    #[error("{path}: the store is closed")]
    Closed {
        /// The file.
        path: String,
    },
}

impl Error {
    /// Whether the same call can succeed later with nothing else changed, and trying is safe
    /// because nothing was done.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::TooSlow { .. } | Self::Full { .. })
    }

    /// Whether another row has the value already.
    #[must_use]
    pub fn is_unique(&self) -> bool {
        matches!(self, Self::Unique { .. })
    }
}
