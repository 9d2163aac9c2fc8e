//! The breaker as a `tower` layer.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tower::{Layer, Service};

use super::{Breaker, Open};
use crate::Outcome;

/// Puts a [`Breaker`] before a service. `judge` says what a result means.
///
/// ```
/// use backline_resilience::{Breaker, BreakerConfig, BreakerLayer, Outcome};
///
/// let breaker = Breaker::new(BreakerConfig::default())?;
/// let layer = BreakerLayer::new(breaker, |result: &Result<u16, std::io::Error>| match result {
///     Ok(status) if *status < 500 => Outcome::Success,
///     _ => Outcome::Failure,
/// });
/// # let _: BreakerLayer<_> = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BreakerLayer<J> {
    breaker: Breaker,
    judge: J,
}

impl<J> BreakerLayer<J> {
    /// A layer whose services share `breaker`.
    pub fn new(breaker: Breaker, judge: J) -> Self {
        Self { breaker, judge }
    }
}

impl<S, J: Clone> Layer<S> for BreakerLayer<J> {
    type Service = Breaking<S, J>;

    fn layer(&self, inner: S) -> Breaking<S, J> {
        Breaking { inner, breaker: self.breaker.clone(), judge: self.judge.clone() }
    }
}

/// A service behind a [`Breaker`].
#[derive(Clone, Debug)]
pub struct Breaking<S, J> {
    inner: S,
    breaker: Breaker,
    judge: J,
}

/// Why a guarded call failed.
#[derive(Debug, thiserror::Error)]
pub enum Broken<E> {
    /// The breaker refused it; it was not made.
    #[error(transparent)]
    Open(Open),
    /// The service's own error.
    #[error(transparent)]
    Inner(E),
}

impl<S, J, Request> Service<Request> for Breaking<S, J>
where
    S: Service<Request> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
    J: Fn(&Result<S::Response, S::Error>) -> Outcome + Clone + Send + 'static,
    Request: Send + 'static,
{
    type Response = S::Response;
    type Error = Broken<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Broken<S::Error>>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Broken::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The inner service that was made ready is the one to use (tower's `Service` says why).
        let unready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, unready);
        let (breaker, judge) = (self.breaker.clone(), self.judge.clone());
        Box::pin(async move {
            let permit = breaker.try_acquire().map_err(Broken::Open)?;
            let result = inner.call(request).await;
            permit.record(judge(&result));
            result.map_err(Broken::Inner)
        })
    }
}
