//! A closure on its way to the thread that runs it.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::slot::Slot;
use crate::Error;

/// From here on a closure is logged: while it runs, nobody else writes.
const SLOW: Duration = Duration::from_millis(50);

pub(crate) trait Job: Send {
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// How long ago it was handed over.
    fn waited(&self) -> Duration;
    /// Runs the closure. Whether its changes are to be kept.
    fn run(&mut self, slot: &Arc<Slot>) -> bool;
    /// Gives the answer: of the closure, unless the store could not keep what it did. With nothing
    /// run and nothing wrong there is none.
    fn finish(self: Box<Self>, kept: Result<(), Error>);
}

pub(crate) struct Call<T, E, F> {
    f: F,
    handed_over: Instant,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Call<T, E, F> {
    pub fn new(f: F) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (answer, receiver) = oneshot::channel();
        (Self { f, handed_over: Instant::now(), result: None, answer }, receiver)
    }
}

impl<T, E, F> Job for Call<T, E, F>
where
    F: AsyncFn(crate::Tx) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn waited(&self) -> Duration {
        self.handed_over.elapsed()
    }

    fn run(&mut self, slot: &Arc<Slot>) -> bool {
        let started = Instant::now();
        let tx = slot.lend();
        let mut result = poll_once(&self.f, crate::Tx(tx));
        if let Some(first) = slot.take_back()
            && result.is_ok()
        {
            result = Err(Error::Poisoned { first }.into());
        }
        let took = started.elapsed();
        if took > SLOW {
            tracing::warn!(
                closure = std::any::type_name::<F>(),
                took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                "a slow transaction: others wait for it"
            );
        }
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn finish(self: Box<Self>, kept: Result<(), Error>) {
        let Self { f, result, answer, .. } = *self;
        let answered = match (result, kept) {
            (Some(result @ Err(_)), _) | (Some(result), Ok(())) => answer.send(result),
            (_, Err(error)) => answer.send(Err(error.into())),
            (None, Ok(())) => Ok(()),
        };
        // What a closure holds, and an answer that nobody waits for, are the caller's: dropping
        // them may panic, and this thread must go on.
        let dropped = catch_unwind(AssertUnwindSafe(move || drop((f, answered))));
        if let Err(panic) = dropped {
            tracing::error!("dropping a transaction's closure panicked: {}", text(&*panic));
        }
    }
}

/// Runs a closure to its end. Everything that it may await completes at once, so that one poll is
/// enough; a future that is pending after it has awaited something else, and is dropped.
fn poll_once<T, E, F>(f: &F, tx: crate::Tx) -> Result<T, E>
where
    F: AsyncFn(crate::Tx) -> Result<T, E>,
    E: From<Error>,
{
    let polled = catch_unwind(AssertUnwindSafe(|| {
        let future = pin!(f(tx));
        future.poll(&mut Context::from_waker(Waker::noop()))
    }));
    match polled {
        Ok(Poll::Ready(result)) => result,
        Ok(Poll::Pending) => Err(Error::ForeignAwait.into()),
        Err(panic) => Err(Error::Panicked(text(&*panic)).into()),
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".into())
}
