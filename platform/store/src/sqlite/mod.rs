//! SQLite: one writer thread, a few readers, and an ear on the log for siblings' commits.

mod failure;
mod job;
mod migrations;
mod open;
mod readers;
mod siblings;
mod slot;
mod sql;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    cell::Cell,
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    task::AbortHandle,
};

use crate::{Error, Migration};
use job::{Call, Job};
use readers::Readers;
use writer::Message;

pub(crate) use slot::Tx;
pub(crate) use sql::excerpt;

thread_local! {
    /// Whether this thread runs the closures of transactions.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

#[derive(Clone)]
pub(crate) struct Store(Arc<Inner>);

struct Inner {
    path: Arc<str>,
    writer: mpsc::Sender<Message>,
    readers: Readers,
    commits: watch::Sender<u64>,
    siblings: AbortHandle,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The task holds a way to the writer, which ends when the last of them is gone.
        self.siblings.abort();
    }
}

impl Store {
    pub async fn open(path: &str, migrations: &[Migration]) -> Result<Self, Error> {
        let shown: Arc<str> = path.into();
        let (writer, queue) = mpsc::channel();
        let (opened, outcome) = oneshot::channel();
        let commits = watch::Sender::new(0);
        let (announced, known, name) = (commits.clone(), migrations.to_vec(), shown.clone());
        let work = move || {
            INSIDE.set(true);
            let slot = match open::for_writing(Path::new(&*name), name.clone(), &known) {
                Ok((slot, log)) => {
                    // The caller may have gone; then the queue is closed too, and the loop ends.
                    let _ = opened.send(Ok(log));
                    slot
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                    return;
                }
            };
            writer::run(slot, &queue, &announced);
        };
        spawn("store-writer", &shown, work)?;
        let closed = || Error::Closed { path: path.to_owned() };
        let log = outcome.await.map_err(|_| closed())??;
        let siblings = tokio::spawn(siblings::listen(log, writer.clone())).abort_handle();
        let readers = Readers::new(shown.clone(), readers::IDLE);
        Ok(Self(Arc::new(Inner { path: shown, writer, readers, commits, siblings })))
    }

    pub async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: AsyncFn(crate::Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.call(f, |job| self.0.writer.send(Message::Job(job)).map_err(|_| self.closed())).await
    }

    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: AsyncFn(crate::Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.call(f, |job| self.0.readers.submit(job)).await
    }

    async fn call<T, E, F>(
        &self,
        f: F,
        submit: impl FnOnce(Box<dyn Job>) -> Result<(), Error>,
    ) -> Result<T, E>
    where
        F: AsyncFn(crate::Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        if INSIDE.get() {
            return Err(Error::Nested.into());
        }
        let (call, answer) = Call::new(f);
        submit(Box::new(call))?;
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(self.closed().into()),
        }
    }

    pub fn commits(&self) -> watch::Receiver<u64> {
        self.0.commits.subscribe()
    }

    pub fn path(&self) -> &str {
        &self.0.path
    }

    fn closed(&self) -> Error {
        Error::Closed { path: self.0.path.to_string() }
    }
}

/// Sleeps between two tries for a lock that another process has.
#[expect(
    clippy::disallowed_methods,
    reason = "SQLite's locks cannot be waited for, only tried again; this is the store's own thread"
)]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Starts a thread for the store at `path`.
fn spawn(name: &str, path: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(drop).map_err(|error| Error::CannotOpen {
        path: path.to_owned(),
        why: format!("no thread can be started: {error}"),
    })
}
