//! The retry as a `tower` layer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt};

use super::{Backoff, RetryBudget};

/// How often, how soon, and at whose cost.
///
/// The default is 3 tries, [`Backoff::default`] and a budget of its own. Every layer towards the
/// same dependency should share one budget.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Tries in all, the first included. Default 3; 0 and 1 both mean no retries.
    pub tries: u32,
    /// The wait before each retry.
    pub backoff: Backoff,
    /// What all retries towards the dependency are paid from.
    pub budget: RetryBudget,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { tries: 3, backoff: Backoff::default(), budget: RetryBudget::default() }
    }
}

impl RetryPolicy {
    /// How long to wait before retry number `retry`, counted from 1: `least`, and the backoff's wait
    /// on top of it. `None` if the retry is not to be made: it could not begin before `deadline`, or
    /// nothing is left to pay it from. How many [`tries`](Self::tries) there are, the caller counts.
    ///
    /// Here it is paid for, once, before the wait: were it paid for afterwards, any number of
    /// retries could wait at the same time and then all be sent.
    #[must_use]
    pub fn wait(&self, retry: u32, least: Duration, deadline: Option<Instant>) -> Option<Duration> {
        let wait = least.saturating_add(self.backoff.delay(retry));
        let in_time = deadline.is_none_or(|deadline| {
            deadline.checked_duration_since(Instant::now()).is_some_and(|left| wait < left)
        });
        (in_time && self.budget.try_withdraw()).then_some(wait)
    }
}

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It succeeded, or would fail again, or a repetition could do harm.
    No,
    /// After the backoff's wait.
    Yes,
    /// After this time, which the other side asked for, and the backoff's wait on top of it, so
    /// that those who were told the same do not come back together.
    ///
    /// A time above [`Backoff::max`] means [`Retry::No`]: the caller is not kept waiting so long.
    After(Duration),
}

/// What only the user of the layer knows of the requests.
pub trait RetryRule<Request, Response, Error> {
    /// Whether another try is useful and *safe*: it would not repeat an effect that the first try
    /// may have had.
    fn decide(&self, request: &Request, result: &Result<Response, Error>) -> Retry;

    /// The request once more, or `None` if it cannot be sent twice.
    fn copy(&self, request: &Request) -> Option<Request>;

    /// When nobody waits for an answer any more: a retry that could not begin before is not made.
    fn deadline(&self, request: &Request) -> Option<Instant> {
        let _ = request;
        None
    }
}

/// Repeats failed calls by a [`RetryPolicy`], where a [`RetryRule`] says that it is safe.
///
/// It adds no errors: when no retry is made, the last answer or error is given on as it is.
/// It belongs outside of time-out, bulkhead and breaker, so that each try is limited by them and
/// none holds a place while it waits.
///
/// ```
/// use backline_resilience::{Retry, RetryLayer, RetryPolicy, RetryRule};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// struct Reads;
/// impl RetryRule<&'static str, u16, ()> for Reads {
///     fn decide(&self, _request: &&'static str, result: &Result<u16, ()>) -> Retry {
///         if *result == Ok(503) { Retry::Yes } else { Retry::No }
///     }
///     fn copy(&self, request: &&'static str) -> Option<&'static str> {
///         request.starts_with("GET").then_some(*request)
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let broken = service_fn(|_request: &'static str| async { Ok::<u16, ()>(503) });
/// let policy = RetryPolicy::default();
/// let service = RetryLayer::new(policy.clone(), Reads).layer(broken);
/// assert_eq!(service.clone().oneshot("POST /orders").await, Ok(503));
/// assert_eq!(policy.budget.snapshot().retries, 0);
/// assert_eq!(service.oneshot("GET /orders").await, Ok(503));
/// assert_eq!(policy.budget.snapshot().retries, 2);
/// # });
/// ```
#[derive(Debug)]
pub struct RetryLayer<R> {
    policy: RetryPolicy,
    rule: Arc<R>,
}

// Derived, they would ask the rule itself to be cloneable.
impl<R> Clone for RetryLayer<R> {
    fn clone(&self) -> Self {
        Self { policy: self.policy.clone(), rule: self.rule.clone() }
    }
}

impl<R> RetryLayer<R> {
    /// A layer that retries by `policy` what `rule` says is safe.
    pub fn new(policy: RetryPolicy, rule: R) -> Self {
        Self { policy, rule: Arc::new(rule) }
    }

    fn wait(&self, retry: u32, wish: Retry, deadline: Option<Instant>) -> Option<Duration> {
        let least = match wish {
            Retry::No => return None,
            Retry::Yes => Duration::ZERO,
            Retry::After(asked) if asked > self.policy.backoff.max => return None,
            Retry::After(asked) => asked,
        };
        self.policy.wait(retry, least, deadline)
    }
}

impl<R, S> Layer<S> for RetryLayer<R> {
    type Service = Retrier<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Retrier { inner, layer: self.clone() }
    }
}

/// The service that [`RetryLayer`] makes.
#[derive(Debug)]
pub struct Retrier<S, R> {
    inner: S,
    layer: RetryLayer<R>,
}

impl<S: Clone, R> Clone for Retrier<S, R> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<S, R, Request> Service<Request> for Retrier<S, R>
where
    S: Service<Request> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
    R: RetryRule<Request, S::Response, S::Error> + Send + Sync + 'static,
    Request: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The one that is ready goes, and a copy that is not stays.
        let copy = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, copy);
        Box::pin(run(ready, self.layer.clone(), request))
    }
}

/// Tries until one is good enough, or no further one is to be made.
async fn run<S, R, Request>(
    mut service: S,
    layer: RetryLayer<R>,
    mut request: Request,
) -> Result<S::Response, S::Error>
where
    S: Service<Request>,
    R: RetryRule<Request, S::Response, S::Error>,
{
    layer.policy.budget.deposit();
    let deadline = layer.rule.deadline(&request);
    for retry in 1..layer.policy.tries {
        let Some(next) = layer.rule.copy(&request) else { break };
        let result = service.call(request).await;
        let wish = layer.rule.decide(&next, &result);
        let Some(wait) = layer.wait(retry, wish, deadline) else { return result };
        // What is not needed is let go before the wait: it may hold a connection.
        drop(result);
        sleep(wait).await;
        service.ready().await?;
        request = next;
    }
    service.call(request).await
}
