//! Following another service's feed: each event is tried until it is done.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    fmt,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use backline_store::{Error, Store, Tx};
use futures_util::FutureExt;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{CloudEvent, Cursor, FeedReader, Page, ReadError, inbox};

/// The most events that are read ahead and not yet done.
const WINDOW: usize = 500;
/// The most handlers that run at the same time.
const AT_ONCE: usize = 32;
const LONG_POLL: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The cursor is saved this often; what lies between is remembered by the inbox.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Why an event is not done yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Something that the reaction needs is away. The event is not to blame.
    Wait(String),
    /// The event itself cannot be handled.
    Reject(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait(why) => write!(f, "waiting: {why}"),
            Self::Reject(why) => write!(f, "rejected: {why}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Wait(format!("the store: {error}"))
    }
}

impl From<backline_client::Error> for Failure {
    fn from(error: backline_client::Error) -> Self {
        if error.is_away() {
            Self::Wait(error.to_string())
        } else {
            Self::Reject(error.to_string())
        }
    }
}

/// What a consumer does with events. The effect and [`inbox::claim`] belong in one transaction.
pub trait Handler: Send + Sync + 'static {
    /// Whether events of this type concern it; others are passed over.
    fn handles(&self, kind: &str) -> bool;
    /// Makes the effect of one event, once. May be called again with the same event.
    fn handle(
        &self,
        event: Arc<CloudEvent>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;
}

/// Follows the feed of one producer. Events of one subject are handled in order, others at once.
pub struct Consumer {
    producer: String,
    reader: FeedReader,
    store: Store,
    handler: Arc<dyn Handler>,
}

impl Consumer {
    /// A consumer of `producer`'s feed that keeps its place in `store`.
    #[must_use]
    pub fn new(
        producer: impl Into<String>,
        reader: FeedReader,
        store: Store,
        handler: Arc<dyn Handler>,
    ) -> Self {
        Self { producer: producer.into(), reader, store, handler }
    }

    /// Runs until `shutdown`. Events that are not done by then are read again by the next start.
    ///
    /// # Errors
    /// When it cannot go on: a mistake of ours, after which the process should start anew.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Some((start, done)) = self.start_place(&shutdown).await else { return Ok(()) };
        let (sender, mut pages) = mpsc::channel(1);
        let reading = read_ahead(self.producer.clone(), self.reader.clone(), start.clone(), sender);
        let mut helpers = JoinSet::new();
        helpers.spawn(reading);
        let mut window = Window::new(start, done);
        let mut save = tokio::time::interval(SAVE_EVERY);
        loop {
            tokio::select! {
                page = pages.recv(), if window.takes_more() => match page {
                    Some(page) => self.admit(&mut window, page),
                    None => return Err(Error::Application("the reading of the feed ended".into())),
                },
                Some(done) = window.tasks.join_next() => self.finish(&mut window, done),
                _ = save.tick() => self.save(&mut window).await,
                () = shutdown.cancelled() => break,
            }
        }
        window.tasks.shutdown().await;
        self.save(&mut window).await;
        Ok(())
    }

    /// The cursor, and what is done above it. A store that does not answer is asked again.
    async fn start_place(
        &self,
        shutdown: &CancellationToken,
    ) -> Option<(Option<Cursor>, BTreeSet<i64>)> {
        loop {
            let place = async {
                let cursor = inbox::cursor(&self.store, &self.producer).await?;
                let done = match &cursor {
                    Some(cursor) => inbox::done_above(&self.store, &self.producer, cursor).await?,
                    None => BTreeSet::new(),
                };
                Ok::<_, Error>((cursor, done))
            };
            match place.await {
                Ok(place) => return Some(place),
                Err(error) => {
                    let producer = &self.producer;
                    tracing::warn!(producer, %error, "the place in the feed cannot be read; trying again");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(jittered(LONGEST_PAUSE / 5)) => {}
                () = shutdown.cancelled() => return None,
            }
        }
    }

    fn admit(&self, window: &mut Window, page: Page) {
        if let Some(next) = &page.next
            && window.read.as_ref().is_none_or(|read| read.epoch != next.epoch)
        {
            if !window.open.is_empty() {
                window.held = Some(page);
                return;
            }
            window.read = Some(Cursor { epoch: next.epoch.clone(), position: 0 });
        }
        for event in page.events {
            let event = Arc::new(event);
            window.read = Some(event.cursor());
            if !self.handler.handles(&event.kind) || window.was_done(&event) {
                continue;
            }
            window.open.insert(event.feedposition);
            match window.behind.get_mut(&event.subject) {
                Some(queue) => queue.push_back(event),
                None => {
                    window.behind.insert(event.subject.clone(), VecDeque::new());
                    self.start(window, event);
                }
            }
        }
    }

    fn start(&self, window: &mut Window, event: Arc<CloudEvent>) {
        let (producer, handler) = (self.producer.clone(), self.handler.clone());
        let at_once = window.at_once.clone();
        window.tasks.spawn(async move {
            until_done(&producer, &*handler, &event, &at_once).await;
            event
        });
    }

    fn finish(&self, window: &mut Window, done: Result<Arc<CloudEvent>, tokio::task::JoinError>) {
        let event = match done {
            Ok(event) => event,
            // Panics of handlers are caught where they happen; what ends here was cancelled.
            Err(_) => return,
        };
        window.open.remove(&event.feedposition);
        match window.behind.get_mut(&event.subject).and_then(VecDeque::pop_front) {
            Some(next) => self.start(window, next),
            None => {
                window.behind.remove(&event.subject);
            }
        }
        if window.open.is_empty()
            && let Some(page) = window.held.take()
        {
            self.admit(window, page);
        }
    }

    async fn save(&self, window: &mut Window) {
        let Some(low) = window.low() else { return };
        if window.saved.as_ref() == Some(&low) {
            return;
        }
        let (producer, to) = (self.producer.clone(), low.clone());
        let saved =
            self.store.write(async move |tx: Tx| inbox::advance(&tx, &producer, &to).await).await;
        match saved {
            Ok(()) => window.saved = Some(low),
            Err(error) => tracing::warn!(
                producer = self.producer,
                %error,
                "the place in the feed could not be saved; trying again"
            ),
        }
    }
}

/// The events between the last one before which all are done, and the last one read.
struct Window {
    read: Option<Cursor>,
    saved: Option<Cursor>,
    /// Positions that are not done.
    open: BTreeSet<i64>,
    /// For each subject with an event at work: those that wait behind it.
    behind: HashMap<String, VecDeque<Arc<CloudEvent>>>,
    /// The first page of a new epoch: it waits until the events of the old one are done, since
    /// their producer may have forgotten them and nothing is dropped.
    held: Option<Page>,
    /// Positions of the epoch started in that were done before the start: a restart asks nobody
    /// again about them.
    done: BTreeSet<i64>,
    started_in: Option<String>,
    /// Bounds the handlers that run at the same time.
    at_once: Arc<Semaphore>,
    tasks: JoinSet<Arc<CloudEvent>>,
}

impl Window {
    fn new(start: Option<Cursor>, done: BTreeSet<i64>) -> Self {
        Self {
            done,
            started_in: start.as_ref().map(|start| start.epoch.clone()),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            read: start.clone(),
            saved: start,
            open: BTreeSet::new(),
            behind: HashMap::new(),
            held: None,
            tasks: JoinSet::new(),
        }
    }

    fn was_done(&mut self, event: &CloudEvent) -> bool {
        self.started_in.as_ref() == Some(&event.feedepoch) && self.done.remove(&event.feedposition)
    }

    fn takes_more(&self) -> bool {
        self.open.len() < WINDOW && self.held.is_none()
    }

    /// Everything up to here is done.
    fn low(&self) -> Option<Cursor> {
        let read = self.read.as_ref()?;
        let position = self.open.first().map_or(read.position, |first| first - 1);
        Some(Cursor { epoch: read.epoch.clone(), position })
    }
}

async fn until_done(
    producer: &str,
    handler: &dyn Handler,
    event: &Arc<CloudEvent>,
    at_once: &Semaphore,
) {
    let mut pause = FIRST_PAUSE;
    for attempt in 1_u64.. {
        let turn = at_once.acquire().await;
        let trying = AssertUnwindSafe(async { handler.handle(event.clone()).await });
        let tried = trying.catch_unwind().await;
        drop(turn);
        let failure = match tried {
            Ok(Ok(())) => return,
            Ok(Err(failure)) => failure,
            Err(_) => Failure::Reject("the reaction panicked".into()),
        };
        // An event that waits for a day must not fill the disk with it.
        if attempt.is_power_of_two() {
            tracing::warn!(
                producer,
                event_id = event.id,
                event_type = event.kind,
                subject = event.subject,
                correlation = event.correlationid,
                attempt,
                retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                "event not done: {failure}"
            );
        }
        tokio::time::sleep(jittered(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn read_ahead(
    producer: String,
    reader: FeedReader,
    mut cursor: Option<Cursor>,
    pages: mpsc::Sender<Page>,
) {
    let mut pause = FIRST_PAUSE;
    let mut since: Option<Instant> = None;
    loop {
        let asked = Instant::now();
        match reader.poll(cursor.as_ref(), WINDOW, LONG_POLL).await {
            // A feed may answer early with nothing, as one that drains does.
            Ok(page) if page.events.is_empty() && asked.elapsed() < LONG_POLL / 2 => {
                tokio::time::sleep(jittered(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE / 5);
            }
            Ok(page) => {
                if let Some(since) = since.take() {
                    let away_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                    tracing::info!(producer, away_ms, "the feed is back");
                }
                pause = FIRST_PAUSE;
                cursor.clone_from(&page.next);
                if !page.events.is_empty() && pages.send(page).await.is_err() {
                    return;
                }
            }
            Err(ReadError::EpochGone) => {
                tracing::warn!(producer, "the feed began anew; reading it from its start");
                cursor = None;
            }
            Err(error) => {
                if since.is_none() {
                    since = Some(Instant::now());
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(producer, cause, "{error}; trying until it is back");
                }
                tokio::time::sleep(jittered(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE / 5);
            }
        }
    }
}

/// Between three quarters of the pause and all of it, so that many waiters do not come back at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 - 0.25 * fastrand::f64())
}
