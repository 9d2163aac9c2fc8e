use crate::{Error, Row, Value, sqlite};

/// A transaction that a closure is in. Cheap to clone; of no use after the closure has ended.
///
/// After the first statement that fails, every other one fails too and the transaction is taken
/// back, whatever the closure returns: Postgres knows no other way, and both stores behave alike.
#[derive(Clone)]
pub struct Tx(pub(crate) sqlite::Tx);

impl Tx {
    /// Runs a statement and returns how many rows it changed.
    ///
    /// # Errors
    /// The statement's, and those of a transaction that has failed or ended before.
    pub async fn execute<'p>(
        &self,
        sql: &str,
        params: impl AsRef<[Value<'p>]>,
    ) -> Result<u64, Error> {
        self.0.execute(sql, params.as_ref())
    }

    /// All rows of the answer.
    ///
    /// # Errors
    /// As for [`Tx::execute`].
    pub async fn query<'p>(
        &self,
        sql: &str,
        params: impl AsRef<[Value<'p>]>,
    ) -> Result<Vec<Row>, Error> {
        self.0.query(sql, params.as_ref(), usize::MAX)
    }

    /// The first row of the answer.
    ///
    /// # Errors
    /// [`Error::NoRow`] if there is none, which does not fail the transaction; else as for
    /// [`Tx::execute`].
    pub async fn query_one<'p>(
        &self,
        sql: &str,
        params: impl AsRef<[Value<'p>]>,
    ) -> Result<Row, Error> {
        let row = self.0.query(sql, params.as_ref(), 1)?.pop();
        row.ok_or_else(|| Error::NoRow { sql: sqlite::excerpt(sql) })
    }

    /// The first row of the answer, if there is one.
    ///
    /// # Errors
    /// As for [`Tx::execute`].
    pub async fn query_opt<'p>(
        &self,
        sql: &str,
        params: impl AsRef<[Value<'p>]>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.0.query(sql, params.as_ref(), 1)?.pop())
    }
}
