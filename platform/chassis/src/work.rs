use std::ops::Deref;

use backline_store::{Error, Tx};

use crate::{Cause, Emit};

/// A transaction on behalf of a cause: what is emitted in it carries the cause's ids.
///
/// Dereferences to the store's [`Tx`]. A clone is the same transaction.
#[derive(Clone)]
pub struct Work {
    tx: Tx,
    cause: Cause,
}

impl Work {
    pub(crate) fn new(tx: Tx, cause: Cause) -> Self {
        Self { tx, cause }
    }

    /// Whose consequence this is.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Records in the outbox that `event` happened to the resource `subject`.
    ///
    /// # Errors
    /// The store's.
    pub async fn emit<E: Emit>(&self, subject: &str, event: &E) -> Result<(), Error> {
        backline_events::outbox::append(&self.tx, &self.cause, subject, event).await.map(drop)
    }

    /// Goes on as part of the process that `correlation` names: the one an aggregate was made in.
    #[must_use]
    pub fn continuing(mut self, correlation: impl Into<String>) -> Self {
        self.cause.correlation = correlation.into();
        self
    }
}

impl Deref for Work {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}
