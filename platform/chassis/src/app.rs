use std::{collections::BTreeMap, sync::Arc};

use backline_client::Client;
use backline_store::{Error, Store, Tx};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Calls, Cause, Config, Work};

/// A running service: its store, its clients, its settings. Cheap to clone.
#[derive(Clone)]
pub struct App(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub service: &'static str,
    pub config: Config,
    pub store: Store,
    pub clients: BTreeMap<&'static str, Client>,
    pub drain: CancellationToken,
}

impl App {
    /// The service's name.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.0.service
    }

    /// A setting of the service's own, which `main` has declared with `.setting(..)`; none where the
    /// environment does not give it.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.0.config.own.get(name).map(String::as_str)
    }

    /// Reads from the store: a snapshot, read-only.
    ///
    /// # Errors
    /// The store's, or what the closure returns.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: AsyncFn(Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.0.store.read(f).await
    }

    /// Writes to the store on behalf of `cause`: one serializable transaction that may run again.
    /// The closure may await nothing but the store.
    ///
    /// # Errors
    /// The store's, or what the closure returns; then nothing was changed.
    pub async fn write<T, E, F>(&self, cause: &Cause, f: F) -> Result<T, E>
    where
        F: AsyncFn(Work) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let cause = cause.clone();
        self.0.store.write(async move |tx: Tx| f(Work::new(tx, cause.clone())).await).await
    }

    /// A client for another service, which `main` has declared with `.calls(..)`.
    ///
    /// # Panics
    /// When `main` has not declared it: a mistake that the first test run shows.
    #[must_use]
    pub fn client<'a>(&'a self, dependency: &str, cause: &'a Cause) -> Calls<'a> {
        let client = self.0.clients.get(dependency).unwrap_or_else(|| {
            panic!(
                "'{}' calls '{dependency}' but its main does not say .calls(\"{dependency}\", ..)",
                self.0.service
            )
        });
        Calls::new(client, cause)
    }

    /// Changes after each commit to the store, by this process or by another on the same file.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.0.store.commits()
    }

    /// Cancelled when the process is asked to end.
    #[must_use]
    pub fn drain(&self) -> &CancellationToken {
        &self.0.drain
    }
}
