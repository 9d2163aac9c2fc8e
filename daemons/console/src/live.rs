//! Pages that stay up to date: server-sent events.
//!
//! For each topic that somebody watches, one task renders the main part of its page whenever
//! something may have changed. Streams push it where it is another than what their page has.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use axum::{
    Router,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response, Sse, sse::Event},
    routing::get,
};
use backline_hypermedia::Problem;
use futures_util::{Stream, stream};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Interval, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    assets,
    console::{Console, Topic},
    pages,
    problems::{self, Trace},
};

/// The most streams at a time.
pub(crate) const MOST: usize = 100;

/// A main part as it is pushed.
#[derive(Clone, Debug)]
struct Current {
    html: Arc<str>,
    mark: Arc<str>,
    as_of: Timestamp,
}

type Topics = Mutex<HashMap<Topic, Weak<watch::Sender<Option<Current>>>>>;

/// The topics that are watched.
pub(crate) struct Live {
    topics: Topics,
    places: Arc<Semaphore>,
}

impl Default for Live {
    fn default() -> Self {
        Self { topics: Mutex::default(), places: Arc::new(Semaphore::new(MOST)) }
    }
}

#[cfg(test)]
impl Live {
    /// How many topics are being rendered.
    pub fn watched(&self) -> usize {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

pub(crate) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/live/services", get(services))
        .route("/live/breakers", get(breakers))
        .route("/live/processes", get(processes))
        .route("/live/processes/{correlation}", get(correlated))
}

/// What the page has already.
#[derive(Deserialize)]
struct Have {
    have: Option<String>,
}

async fn services(
    State(console): State<Arc<Console>>,
    have: Query<Have>,
    headers: HeaderMap,
    trace: Trace,
) -> Result<Response, Problem> {
    open(console, Topic::Services, &have, &headers, &trace)
}

async fn processes(
    State(console): State<Arc<Console>>,
    have: Query<Have>,
    headers: HeaderMap,
    trace: Trace,
) -> Result<Response, Problem> {
    open(console, Topic::Processes, &have, &headers, &trace)
}

async fn breakers(
    State(console): State<Arc<Console>>,
    have: Query<Have>,
    headers: HeaderMap,
    trace: Trace,
) -> Result<Response, Problem> {
    open(console, Topic::Breakers, &have, &headers, &trace)
}

async fn correlated(
    State(console): State<Arc<Console>>,
    Path(correlation): Path<String>,
    have: Query<Have>,
    headers: HeaderMap,
    trace: Trace,
) -> Result<Response, Problem> {
    open(console, pages::about(correlation, &trace)?, &have, &headers, &trace)
}

fn open(
    console: Arc<Console>,
    topic: Topic,
    have: &Have,
    headers: &HeaderMap,
    trace: &Trace,
) -> Result<Response, Problem> {
    let place = console.live.places.clone().try_acquire_owned();
    let place = place.map_err(|_| problems::too_many_watchers(MOST, trace))?;
    // After a lost connection the browser says what came last; the address still names the first.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let mut beat = interval(console.timings.beat);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watching = Watching {
        current: subscribe(&console, topic),
        has: last.or_else(|| have.have.clone()).unwrap_or_default().into(),
        beat,
        drain: console.drain.clone(),
        _place: place,
    };
    let mut response = Sse::new(events(watching)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

struct Watching {
    current: watch::Receiver<Option<Current>>,
    /// The mark of what the page shows.
    has: Arc<str>,
    beat: Interval,
    drain: CancellationToken,
    _place: OwnedSemaphorePermit,
}

fn events(watching: Watching) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(watching, async |mut watching| {
        let event = watching.next().await?;
        Some((Ok(event), watching))
    })
}

impl Watching {
    /// `main` with the new main part, or `as-of` with the moment for which the page still holds.
    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                biased;
                () = self.drain.cancelled() => return None,
                changed = self.current.changed() => changed.ok()?,
                _ = self.beat.tick() => {
                    let current = self.current.borrow();
                    let Some(current) = &*current else { continue };
                    let as_of = Event::default().event("as-of").data(current.as_of.to_string());
                    return Some(as_of);
                }
            }
            let current = self.current.borrow_and_update().clone();
            if let Some(current) = current.filter(|current| current.mark != self.has) {
                self.has = current.mark.clone();
                return Some(Event::default().event("main").id(&*current.mark).data(&current.html));
            }
        }
    }
}

fn subscribe(console: &Arc<Console>, topic: Topic) -> watch::Receiver<Option<Current>> {
    let mut topics = console.live.topics.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sender) = topics.get(&topic).and_then(Weak::upgrade) {
        return sender.subscribe();
    }
    let (sender, receiver) = watch::channel(None);
    let sender = Arc::new(sender);
    topics.insert(topic.clone(), Arc::downgrade(&sender));
    tokio::spawn(keep(console.clone(), topic, sender));
    receiver
}

/// Renders a topic for as long as somebody watches.
async fn keep(console: Arc<Console>, topic: Topic, current: Arc<watch::Sender<Option<Current>>>) {
    let mut registry = console.registry.clone();
    let mut poll = interval(console.timings.poll);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = poll.tick() => {}
            Ok(()) = registry.changed() => {}
            () = current.closed() => {
                let mut topics = console.live.topics.lock().unwrap_or_else(PoisonError::into_inner);
                // Nobody can come while the lock is held.
                if current.receiver_count() == 0 {
                    topics.remove(&topic);
                    return;
                }
            }
            () = console.drain.cancelled() => return,
        }
        match console.show(&topic).await {
            Ok(shown) => publish(&current, &shown.html, shown.as_of),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a page could not be rendered"
                );
            }
        }
    }
}

fn publish(current: &watch::Sender<Option<Current>>, html: &Arc<str>, as_of: Timestamp) {
    current.send_if_modified(|current| match current {
        Some(current) if current.html == *html => {
            current.as_of = as_of;
            false
        }
        _ => {
            let mark = assets::mark(html).into();
            *current = Some(Current { html: html.clone(), mark, as_of });
            true
        }
    });
}
