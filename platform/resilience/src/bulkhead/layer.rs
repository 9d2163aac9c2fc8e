//! The bulkhead as a `tower` layer.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tower::{Layer, Service};

use super::{Bulkhead, Full};

/// Puts a [`Bulkhead`] before a service. A call holds its place until its future has ended.
#[derive(Clone, Debug)]
pub struct BulkheadLayer(Bulkhead);

impl BulkheadLayer {
    /// A layer whose services share the places of `bulkhead`.
    #[must_use]
    pub fn new(bulkhead: Bulkhead) -> Self {
        Self(bulkhead)
    }
}

impl<S> Layer<S> for BulkheadLayer {
    type Service = Walled<S>;

    fn layer(&self, inner: S) -> Walled<S> {
        Walled { inner, bulkhead: self.0.clone() }
    }
}

/// A service behind a [`Bulkhead`].
#[derive(Clone, Debug)]
pub struct Walled<S> {
    inner: S,
    bulkhead: Bulkhead,
}

/// Why a call behind a bulkhead failed.
#[derive(Debug, thiserror::Error)]
pub enum WalledError<E> {
    /// There was no place for it; it was not made.
    #[error(transparent)]
    Full(Full),
    /// The service's own error.
    #[error(transparent)]
    Inner(E),
}

impl<S, Request> Service<Request> for Walled<S>
where
    S: Service<Request> + Clone + Send + 'static,
    S::Future: Send,
    Request: Send + 'static,
{
    type Response = S::Response;
    type Error = WalledError<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, WalledError<S::Error>>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(WalledError::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let unready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, unready);
        let bulkhead = self.bulkhead.clone();
        Box::pin(async move {
            let _place = bulkhead.acquire().await.map_err(WalledError::Full)?;
            inner.call(request).await.map_err(WalledError::Inner)
        })
    }
}
