//! Carrying out a plan.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, interval},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Arrivals, Failure, InvalidPlan, Outcome, Plan, Second, Shape, Tally, client::Client};

/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_millis(200);
/// How long the end of a load may go unnoticed while no request is due.
const LOOKED_UP_EVERY: Duration = Duration::from_millis(50);

/// How far a load is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Since its begin, with the warm-up.
    pub elapsed: Duration,
    /// Answered so far, after the warm-up.
    pub ok: u64,
    /// Failed so far, after the warm-up.
    pub failed: u64,
}

/// Carries out a plan: sends each request at its moment, and waits for all answers.
///
/// `stop` ends it early; what was sent until then counts. `told` hears of the progress, five times
/// a second. When the future is dropped, no more requests are sent.
///
/// # Errors
/// When the plan cannot be meant.
///
/// # Panics
/// Outside a tokio runtime with time and I/O.
pub async fn run(
    plan: Plan,
    stop: CancellationToken,
    mut told: impl FnMut(Progress),
) -> Result<Outcome, InvalidPlan> {
    plan.check()?;
    // Requests come from a thread, which would outlive a future that nobody waits for any more.
    let stop = stop.child_token();
    let _stops = stop.clone().drop_guard();
    let begun = Instant::now();
    let book = Arc::new(Book::new(&plan, begun));
    let tasks = TaskTracker::new();
    let dispatcher = dispatch(&plan, begun, &book, &tasks, &stop);
    let mut ticks = interval(TOLD_EVERY);
    tasks.close();
    let (ended, last) = (tasks.wait(), async { dispatcher.ended().await });
    let work = async {
        let lasted = last.await;
        ended.await;
        lasted
    };
    tokio::pin!(work);
    let lasted = loop {
        tokio::select! {
            lasted = &mut work => break lasted,
            _ = ticks.tick() => told(book.progress()),
        }
    };
    Ok(book.close(lasted.saturating_sub(plan.warmup)))
}

/// The thread that lets requests go. A thread of its own: tokio's timers are a millisecond coarse,
/// which at some thousand requests per second is a burst each.
struct Dispatcher {
    done: tokio::sync::oneshot::Receiver<Duration>,
}

impl Dispatcher {
    /// How long requests were let go.
    async fn ended(self) -> Duration {
        self.done.await.unwrap_or_default()
    }
}

fn dispatch(
    plan: &Plan,
    begun: Instant,
    book: &Arc<Book>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Dispatcher {
    let (tell, done) = tokio::sync::oneshot::channel();
    let (book, tasks, stop, runtime) =
        (book.clone(), tasks.clone(), stop.clone(), Handle::current());
    let plan = plan.clone();
    let client = Client::new(plan.connections);
    let shapes: Arc<[Shape]> = plan.shapes.clone().into();
    // Kept while requests still come, so that the tracker does not end in between.
    let guard = tasks.token();
    let spawned = thread::Builder::new().name("arrivals".into()).spawn(move || {
        let _guard = guard;
        let all = plan.warmup + plan.duration;
        for moment in Moments::of(&plan, begun).take_while(|moment| *moment < begun + all) {
            wait_until(moment, &stop);
            if stop.is_cancelled() {
                break;
            }
            let (client, shapes, book) = (client.clone(), shapes.clone(), book.clone());
            let (shape, timeout) = (choose(&shapes), plan.timeout);
            tasks.spawn_on(
                async move {
                    let late = moment.elapsed();
                    let result = client.send(&shapes[shape], moment + timeout).await;
                    book.enter(shape, moment, late, result);
                },
                &runtime,
            );
        }
        // What comes after the last arrival is part of the load, unless it was ended early.
        let lasted = if stop.is_cancelled() { begun.elapsed().min(all) } else { all };
        let _ = tell.send(lasted);
    });
    // Without a thread nothing is sent, and the outcome says so.
    drop(spawned);
    Dispatcher { done }
}

/// Until then, or until all is over.
fn wait_until(moment: Instant, stop: &CancellationToken) {
    loop {
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() || stop.is_cancelled() {
            return;
        }
        thread::park_timeout(left.min(LOOKED_UP_EVERY));
    }
}

fn choose(shapes: &[Shape]) -> usize {
    let all: f64 = shapes.iter().map(|shape| shape.weight).sum();
    let mut at = fastrand::f64() * all;
    for (index, shape) in shapes.iter().enumerate() {
        at -= shape.weight;
        if at < 0.0 {
            return index;
        }
    }
    shapes.len() - 1
}

/// The moments of all requests, one after the other.
struct Moments {
    next: Instant,
    pause: f64,
    arrivals: Arrivals,
}

impl Moments {
    fn of(plan: &Plan, begun: Instant) -> Self {
        Self { next: begun, pause: 1.0 / plan.rate, arrivals: plan.arrivals }
    }
}

impl Iterator for Moments {
    type Item = Instant;

    fn next(&mut self) -> Option<Instant> {
        let moment = self.next;
        let pause = match self.arrivals {
            Arrivals::Steady => self.pause,
            // The inverse of the exponential distribution; never the logarithm of 0.
            Arrivals::Poisson => -self.pause * (1.0 - fastrand::f64()).ln(),
        };
        self.next += Duration::from_secs_f64(pause);
        Some(moment)
    }
}

/// Where results are written down.
struct Book {
    begun: Instant,
    counted_from: Instant,
    entries: Mutex<Outcome>,
}

impl Book {
    fn new(plan: &Plan, begun: Instant) -> Self {
        let seconds = plan.duration.as_secs_f64().ceil() as usize;
        let empty = Tally::empty(3);
        let entries = Outcome {
            shapes: plan.shapes.iter().map(|s| (s.name.clone(), empty.clone())).collect(),
            seconds: vec![Second { tally: Tally::empty(2), answered: 0 }; seconds],
            late: empty.latency.clone(),
            total: empty,
            lasted: Duration::ZERO,
        };
        Self { begun, counted_from: begun + plan.warmup, entries: Mutex::new(entries) }
    }

    fn lock(&self) -> MutexGuard<'_, Outcome> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, shape: usize, moment: Instant, late: Duration, result: Result<(), Failure>) {
        let took = moment.elapsed();
        let Some(since) = moment.checked_duration_since(self.counted_from) else { return };
        let mut entries = self.lock();
        entries.total.add(took, result);
        entries.shapes[shape].1.add(took, result);
        if let Some(second) = entries.seconds.get_mut(since.as_secs() as usize) {
            second.tally.add(took, result);
        }
        let answered =
            result.ok().and_then(|()| entries.seconds.get_mut((since + took).as_secs() as usize));
        if let Some(second) = answered {
            second.answered += 1;
        }
        let late = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        let _ = entries.late.record(late.clamp(1, 3_600_000_000));
    }

    fn progress(&self) -> Progress {
        let entries = self.lock();
        let total = &entries.total;
        Progress { elapsed: self.begun.elapsed(), ok: total.ok, failed: total.failed() }
    }

    fn close(&self, lasted: Duration) -> Outcome {
        let mut outcome = Outcome { lasted, ..self.lock().clone() };
        outcome.seconds.truncate(lasted.as_secs_f64().ceil() as usize);
        outcome
    }
}
