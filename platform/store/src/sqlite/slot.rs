//! A connection, lent to one closure at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use rusqlite::{Connection, params_from_iter, types::ValueRef};

use super::{failure::explain, readers::READ_LIMIT, sql};
use crate::{Error, Row, Value};

/// Rewritten statements that are remembered. Programs have a few dozen; one that makes its SQL
/// up as it goes must not fill the memory with it.
const STATEMENTS: usize = 256;

/// The connection stays here for its whole life. A [`Tx`] has the number of the turn it was made
/// for; once that is over, it is refused. So a handle that escapes from its closure does no harm,
/// and none of this needs a borrow that would have to outlive a closure.
pub(crate) struct Slot(Mutex<Lent>);

struct Lent {
    connection: Connection,
    path: Arc<str>,
    statements: HashMap<Box<str>, sql::Statement>,
    turn: u64,
    open: bool,
    /// The first error of this turn.
    failed: Option<String>,
    /// When this turn ends at the latest.
    deadline: Option<Instant>,
}

#[derive(Clone)]
pub(crate) struct Tx {
    slot: Arc<Slot>,
    turn: u64,
}

impl Slot {
    pub fn new(connection: Connection, path: Arc<str>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Lent {
            connection,
            path,
            statements: HashMap::new(),
            turn: 0,
            open: false,
            failed: None,
            deadline: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Lent> {
        // A panic leaves nothing half done here: the transaction is taken back by SQL.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a turn.
    pub fn lend(self: &Arc<Self>) -> Tx {
        let mut lent = self.lock();
        lent.turn += 1;
        lent.open = true;
        lent.failed = None;
        Tx { slot: self.clone(), turn: lent.turn }
    }

    /// Ends the turn. The first error in it, if there was one.
    pub fn take_back(&self) -> Option<String> {
        let mut lent = self.lock();
        lent.open = false;
        lent.failed.take()
    }

    pub fn set_deadline(&self, deadline: Option<Instant>) {
        self.lock().deadline = deadline;
    }

    /// Runs one of the store's own statements.
    pub fn run(&self, sql: &str) -> Result<(), Error> {
        let lent = self.lock();
        let done = lent.connection.prepare_cached(sql).and_then(|mut found| found.execute([]));
        done.map(drop).map_err(|error| explain(&error, &lent.path, sql))
    }

    /// Answers one of the store's own questions.
    pub fn ask(&self, sql: &str) -> Result<i64, Error> {
        let lent = self.lock();
        let answer = lent
            .connection
            .prepare_cached(sql)
            .and_then(|mut found| found.query_row([], |row| row.get(0)));
        answer.map_err(|error| explain(&error, &lent.path, sql))
    }

    /// Whether no transaction is open.
    pub fn is_autocommit(&self) -> bool {
        self.lock().connection.is_autocommit()
    }

    /// Rows changed since the connection was opened.
    pub fn changes(&self) -> u64 {
        self.lock().connection.total_changes()
    }

    pub fn path(&self) -> Arc<str> {
        self.lock().path.clone()
    }

    #[cfg(test)]
    pub fn with_connection<T>(&self, f: impl FnOnce(&Connection) -> T) -> T {
        f(&self.lock().connection)
    }
}

impl Tx {
    pub fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
        self.within(|lent| lent.execute(sql, params))
    }

    pub fn query(&self, sql: &str, params: &[Value<'_>], limit: usize) -> Result<Vec<Row>, Error> {
        self.within(|lent| lent.query(sql, params, limit))
    }

    fn within<T>(&self, work: impl FnOnce(&mut Lent) -> Result<T, Error>) -> Result<T, Error> {
        let mut lent = self.slot.lock();
        if !lent.open || lent.turn != self.turn {
            return Err(Error::Ended);
        }
        if let Some(first) = &lent.failed {
            return Err(Error::Poisoned { first: first.clone() });
        }
        let late = lent.deadline.is_some_and(|deadline| deadline <= Instant::now());
        let done = if late {
            Err(Error::TooSlow { path: lent.path.to_string(), limit: READ_LIMIT })
        } else {
            work(&mut lent)
        };
        if let Err(error) = &done {
            lent.failed = Some(error.to_string());
        }
        done
    }
}

impl Lent {
    fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
        let statement = remembered(&mut self.statements, sql)?;
        let done = (|| {
            let mut prepared = self.connection.prepare_cached(&statement.sql)?;
            if prepared.column_count() == 0 {
                let changed = prepared.execute(params_from_iter(params))?;
                // SQLite tells of the last change again after a statement that changes no rows.
                return Ok(if statement.changes_rows { changed } else { 0 });
            }
            let mut rows = prepared.query(params_from_iter(params))?;
            let mut count = 0;
            while rows.next()?.is_some() {
                count += 1;
            }
            Ok(count)
        })();
        let count = done.map_err(|error| explain(&error, &self.path, sql))?;
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    fn query(&mut self, sql: &str, params: &[Value<'_>], limit: usize) -> Result<Vec<Row>, Error> {
        let statement = remembered(&mut self.statements, sql)?;
        let raised = |error: rusqlite::Error| explain(&error, &self.path, sql);
        let mut prepared = self.connection.prepare_cached(&statement.sql).map_err(raised)?;
        let mut rows = prepared.query(params_from_iter(params)).map_err(raised)?;
        let mut found = Vec::new();
        // The names are read after the first step: it takes up changes of the tables.
        let mut columns: Option<Arc<[String]>> = None;
        while found.len() < limit
            && let Some(row) = rows.next().map_err(raised)?
        {
            let columns = columns.get_or_insert_with(|| {
                row.as_ref().column_names().map(ToOwned::to_owned).collect()
            });
            let values = (0..columns.len())
                .map(|index| owned(row.get_ref(index).map_err(raised)?, &columns[index]))
                .collect::<Result<Box<[_]>, Error>>()?;
            found.push(Row::new(columns.clone(), values));
        }
        Ok(found)
    }
}

fn remembered<'a>(
    statements: &'a mut HashMap<Box<str>, sql::Statement>,
    sql: &str,
) -> Result<&'a sql::Statement, Error> {
    if !statements.contains_key(sql) {
        let statement = sql::read(sql)?;
        if statements.len() >= STATEMENTS {
            statements.clear();
        }
        statements.insert(sql.into(), statement);
    }
    Ok(&statements[sql])
}

fn owned(value: ValueRef<'_>, column: &str) -> Result<Value<'static>, Error> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Real(real) => Value::Real(real),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned().into()),
            Err(error) => {
                let why = format!("its text is not UTF-8: {error}");
                return Err(Error::Column { column: column.to_owned(), why });
            }
        },
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec().into()),
    })
}
