//! The timeout as a `tower` layer.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tower::{Layer, Service};

use super::{Deadline, TimedOut};

/// Gives each call of a service the same time, from its beginning to its answer.
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer(Duration);

impl TimeoutLayer {
    /// Calls end after `time`. Above 0; a call with none fails at once.
    #[must_use]
    pub fn new(time: Duration) -> Self {
        Self(time)
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Late<S>;

    fn layer(&self, inner: S) -> Late<S> {
        Late { inner, time: self.0 }
    }
}

/// A service whose calls end in time.
#[derive(Clone, Debug)]
pub struct Late<S> {
    inner: S,
    time: Duration,
}

/// Why a call with a timeout failed.
#[derive(Debug, thiserror::Error)]
pub enum LateError<E> {
    /// It was not answered in time.
    #[error(transparent)]
    TimedOut(TimedOut),
    /// The service's own error.
    #[error(transparent)]
    Inner(E),
}

impl<S, Request> Service<Request> for Late<S>
where
    S: Service<Request>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = LateError<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, LateError<S::Error>>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(LateError::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let deadline = Deadline::after(self.time);
        let call = self.inner.call(request);
        Box::pin(async move {
            match deadline.within(call).await {
                Ok(result) => result.map_err(LateError::Inner),
                Err(timed_out) => Err(LateError::TimedOut(timed_out)),
            }
        })
    }
}
