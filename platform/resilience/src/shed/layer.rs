//! The shed as a `tower` layer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::{Layer, Service};

use super::{Overloaded, Shed};
use crate::Outcome;

/// What only the user of the layer knows of the answers.
pub trait ShedRule<Response, Error> {
    /// What a call came to.
    fn outcome(&self, result: &Result<Response, Error>) -> Outcome;

    /// The answer to a call that is refused.
    fn refusal(&self, overloaded: Overloaded) -> Result<Response, Error>;
}

/// Answers calls beyond a [`Shed`]'s limit with a refusal, before any work is done.
///
/// A place is held until the inner service has answered, or the caller has given up. Where the
/// answer is a stream that takes long to send, the stream should hold the
/// [`Admitted`](super::Admitted) instead.
///
/// ```
/// use backline_resilience::{Limit, Outcome, Overloaded, Shed, ShedLayer, ShedRule};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// struct Status;
/// impl ShedRule<u16, ()> for Status {
///     fn outcome(&self, result: &Result<u16, ()>) -> Outcome {
///         if result.is_ok_and(|status| status < 500) { Outcome::Success } else { Outcome::Failure }
///     }
///     fn refusal(&self, _overloaded: Overloaded) -> Result<u16, ()> {
///         Ok(503)
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let shed = Shed::new(Limit::Fixed(1)).unwrap();
/// let work = service_fn(|_request: ()| async { Ok::<u16, ()>(200) });
/// let service = ShedLayer::new(shed.clone(), Status).layer(work);
/// assert_eq!(service.clone().oneshot(()).await, Ok(200));
/// let _other = shed.try_acquire().unwrap();
/// assert_eq!(service.oneshot(()).await, Ok(503));
/// # });
/// ```
#[derive(Debug)]
pub struct ShedLayer<R> {
    shed: Shed,
    rule: Arc<R>,
}

// Derived, they would ask the rule itself to be cloneable.
impl<R> Clone for ShedLayer<R> {
    fn clone(&self) -> Self {
        Self { shed: self.shed.clone(), rule: self.rule.clone() }
    }
}

impl<R> ShedLayer<R> {
    /// A layer that admits what `shed` does, and judges and refuses by `rule`.
    pub fn new(shed: Shed, rule: R) -> Self {
        Self { shed, rule: Arc::new(rule) }
    }
}

impl<R, S> Layer<S> for ShedLayer<R> {
    type Service = Shedder<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Shedder { inner, layer: self.clone() }
    }
}

/// The service that [`ShedLayer`] makes.
#[derive(Debug)]
pub struct Shedder<S, R> {
    inner: S,
    layer: ShedLayer<R>,
}

impl<S: Clone, R> Clone for Shedder<S, R> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<S, R, Request> Service<Request> for Shedder<S, R>
where
    S: Service<Request>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
    S::Error: Send + 'static,
    R: ShedRule<S::Response, S::Error> + Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let rule = self.layer.rule.clone();
        match self.layer.shed.try_acquire() {
            Ok(place) => {
                let work = self.inner.call(request);
                Box::pin(async move {
                    let result = work.await;
                    place.done(rule.outcome(&result));
                    result
                })
            }
            Err(overloaded) => {
                let refusal = rule.refusal(overloaded);
                Box::pin(std::future::ready(refusal))
            }
        }
    }
}
