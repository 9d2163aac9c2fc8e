//! The feed: the outbox over HTTP, in the order of commit.

mod atom;
mod http;

use std::{
    collections::VecDeque,
    sync::{Arc, RwLock},
    time::Duration,
};

use backline_store::{Error, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{CloudEvent, Cursor, outbox};

pub use http::routes;

/// Events kept in memory for the readers at the end of the feed, so that one commit causes one read
/// of the store, however many wait for it.
const TAIL_LEN: usize = 1_000;
/// The same in bytes of payload.
const TAIL_BYTES: usize = 4 * 1024 * 1024;
/// A page ends with the event that passes this many bytes of payload, so that readers can take it.
const PAGE_BYTES: usize = 1024 * 1024;
/// The most events that one page may hold.
pub(crate) const MAX_PAGE: usize = 500;

/// One service's feed. Cheap to clone.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    service: String,
    source: String,
    epoch: String,
    store: Store,
    tail: RwLock<Tail>,
    head: watch::Sender<i64>,
    drain: CancellationToken,
}

/// The newest events: all that lie above `after`.
struct Tail {
    after: i64,
    events: VecDeque<Arc<CloudEvent>>,
    bytes: usize,
}

impl Feed {
    /// Opens the feed of `service` over its store, and keeps its tail in memory until `drain`.
    ///
    /// # Errors
    /// The store's.
    pub async fn open(
        service: &str,
        store: Store,
        drain: CancellationToken,
    ) -> Result<Self, Error> {
        let epoch = outbox::epoch(&store).await?;
        let position = outbox::head(&store).await?;
        let feed = Self(Arc::new(Inner {
            service: service.to_owned(),
            source: format!("/{service}"),
            epoch,
            store,
            tail: RwLock::new(Tail { after: position, events: VecDeque::new(), bytes: 0 }),
            head: watch::Sender::new(position),
            drain,
        }));
        tokio::spawn(feed.clone().follow());
        Ok(feed)
    }

    /// The cursor before the first event.
    #[must_use]
    pub fn start(&self) -> Cursor {
        Cursor { epoch: self.0.epoch.clone(), position: 0 }
    }

    /// Up to `limit` (1 to 500) events after `position`. Waits up to `wait` for the first one; an
    /// empty page means that none came, or that the process drains.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(
        &self,
        position: i64,
        limit: usize,
        wait: Duration,
    ) -> Result<Vec<Arc<CloudEvent>>, Error> {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut head = self.0.head.subscribe();
        if *head.borrow_and_update() <= position {
            let arrived = head.wait_for(|head| *head > position);
            tokio::select! {
                _ = tokio::time::timeout(wait, arrived) => {}
                () = self.0.drain.cancelled() => {}
            }
        }
        // The tail may be behind the store by a moment. Whoever waits will get the rest; whoever does
        // not must find what was just written.
        if !wait.is_zero()
            && let Some(events) = self.in_tail(position, limit).filter(|events| !events.is_empty())
        {
            return Ok(events);
        }
        let inner = &self.0;
        let events =
            outbox::after(&inner.store, &inner.source, &inner.epoch, position, limit).await?;
        let mut room = PAGE_BYTES;
        Ok(events.into_iter().map(Arc::new).take_while(|event| fits(event, &mut room)).collect())
    }

    /// Whether a place lies behind everything that was ever committed here.
    pub(crate) async fn is_beyond_end(&self, position: i64) -> Result<bool, Error> {
        Ok(*self.0.head.borrow() < position && outbox::head(&self.0.store).await? < position)
    }

    fn in_tail(&self, position: i64, limit: usize) -> Option<Vec<Arc<CloudEvent>>> {
        let tail = self.0.tail.read().expect("no holder of this lock panics");
        (position >= tail.after).then(|| {
            let first = tail.events.partition_point(|event| event.feedposition <= position);
            let mut room = PAGE_BYTES;
            let page = tail.events.iter().skip(first).take(limit);
            page.take_while(|event| fits(event, &mut room)).cloned().collect()
        })
    }

    async fn follow(self) {
        let inner = &self.0;
        let mut commits = inner.store.commits();
        loop {
            commits.borrow_and_update();
            let head = *inner.head.borrow();
            let read =
                outbox::after(&inner.store, &inner.source, &inner.epoch, head, MAX_PAGE).await;
            match read {
                Ok(events) if !events.is_empty() => {
                    self.extend(events);
                    continue;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "the feed could not read its outbox; trying again");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            }
            tokio::select! {
                changed = commits.changed() => if changed.is_err() { return },
                () = inner.drain.cancelled() => return,
            }
        }
    }

    fn extend(&self, events: Vec<CloudEvent>) {
        let mut tail = self.0.tail.write().expect("no holder of this lock panics");
        for event in events {
            tail.bytes += event.data.get().len();
            tail.events.push_back(Arc::new(event));
        }
        while tail.events.len() > TAIL_LEN || tail.bytes > TAIL_BYTES {
            let Some(oldest) = tail.events.pop_front() else { break };
            tail.after = oldest.feedposition;
            tail.bytes -= oldest.data.get().len();
        }
        let head = tail.events.back().map_or(tail.after, |event| event.feedposition);
        drop(tail);
        self.0.head.send_replace(head);
    }
}

/// Whether an event still goes on the page: as long as there is room before it.
fn fits(event: &CloudEvent, room: &mut usize) -> bool {
    let fits = *room > 0;
    *room = room.saturating_sub(event.data.get().len());
    fits
}
