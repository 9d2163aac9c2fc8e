use std::{convert::Infallible, time::Duration};

use axum::{extract::FromRequestParts, http::request::Parts};
use backline_client::{Client, Error as ClientError, RequestBuilder, Response, Together};
use backline_store::{Error, Tx};
use jiff::Timestamp;

use crate::{App, Cause, Fault, Reply, Work, idempotency::Key};

/// One request: what a handler works with.
pub struct Cx {
    app: App,
    cause: Cause,
    key: Option<Key>,
}

impl FromRequestParts<App> for Cx {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let cause = parts.extensions.get::<Cause>().cloned().unwrap_or_else(Cause::root);
        Ok(Self { app: app.clone(), cause, key: parts.extensions.get::<Key>().cloned() })
    }
}

impl Cx {
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
        self.app.read(f).await
    }

    /// Writes to the store: one serializable transaction with the change, its events, and the
    /// answer under the request's `Idempotency-Key`: the same request again gets the same answer
    /// and changes nothing.
    ///
    /// The closure may run again and may await nothing but the store.
    ///
    /// # Errors
    /// The store's, or what the closure returns: then nothing was changed, and the key is free.
    pub async fn write<F>(&self, f: F) -> Result<Reply, Fault>
    where
        F: AsyncFn(Work) -> Result<Reply, Fault> + Send + 'static,
    {
        let key = self.key.clone();
        // A stored answer tells of this moment, however late it is given again.
        let asked = Timestamp::now();
        self.app
            .write(&self.cause, async move |work: Work| match &key {
                Some(key) => match key.replay(&work).await? {
                    Some(reply) => Ok(reply),
                    None => {
                        let store = work.clone();
                        let mut reply = f(work).await?;
                        reply.as_of.get_or_insert(asked);
                        key.keep(&store, &reply).await?;
                        Ok(reply)
                    }
                },
                None => f(work).await,
            })
            .await
    }

    /// A client for another service, which `main` has declared with `.calls(..)`.
    #[must_use]
    pub fn client(&self, dependency: &str) -> Calls<'_> {
        self.app.client(dependency, &self.cause)
    }

    /// Several calls at once, of which those count that come in time; no longer than whoever waits
    /// for this request.
    #[must_use]
    pub fn together(&self, within: Duration) -> Together {
        Together::within(within, &self.cause)
    }

    /// GET of what an answer links to under `rel`. The reference names the service, which `main` has
    /// declared with `.calls(..)`.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn follow(&self, answer: &Response, rel: &str) -> Result<RequestBuilder, ClientError> {
        let reference = answer.link(rel)?;
        let service = reference.trim_start_matches('/').split(['/', '?']).next();
        Ok(self.client(service.unwrap_or_default()).get(&reference))
    }

    /// Whose consequence this request is, or its own where it came from outside.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// The service that handles this request.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }
}

/// A guarded client whose calls carry the ids of their cause.
pub struct Calls<'a> {
    client: &'a Client,
    cause: &'a Cause,
}

impl<'a> Calls<'a> {
    pub(crate) fn new(client: &'a Client, cause: &'a Cause) -> Self {
        Self { client, cause }
    }

    /// GET of a resource by its reference, such as `/customers/0198...`.
    pub fn get(&self, reference: &str) -> RequestBuilder {
        self.client.get(reference).cause(self.cause)
    }

    /// POST to a resource by its reference.
    pub fn post(&self, reference: &str) -> RequestBuilder {
        self.client.post(reference).cause(self.cause)
    }

    /// PUT of a resource by its reference.
    pub fn put(&self, reference: &str) -> RequestBuilder {
        self.client.put(reference).cause(self.cause)
    }

    /// PATCH of a resource by its reference.
    pub fn patch(&self, reference: &str) -> RequestBuilder {
        self.client.patch(reference).cause(self.cause)
    }

    /// DELETE of a resource by its reference.
    pub fn delete(&self, reference: &str) -> RequestBuilder {
        self.client.delete(reference).cause(self.cause)
    }
}
