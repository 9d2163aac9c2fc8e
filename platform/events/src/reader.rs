//! Reading another service's feed.

use std::time::Duration;

use backline_client::Client;

use crate::{CloudEvent, Cursor};

/// The answer comes this much later than the wait that was asked for, at the latest.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Reads the feed of one service, wherever its instances are. Cheap to clone.
#[derive(Clone)]
pub struct FeedReader {
    client: Client,
}

/// Some events, oldest first, and where to go on.
#[derive(Clone, Debug)]
pub struct Page {
    /// The events; none where nothing came within the wait.
    pub events: Vec<CloudEvent>,
    /// What to ask for next; absent only where an empty feed was read from its start.
    pub next: Option<Cursor>,
}

/// Why a feed could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The producer, or the way to it, is away or answered with an error. Try again.
    #[error("the feed cannot be reached")]
    Away(#[source] backline_client::Error),
    /// The cursor belongs to an earlier life of the feed (410). Read from the start.
    #[error("the feed began anew: its store is new or was restored")]
    EpochGone,
    /// What came is no feed.
    #[error("the feed's answer cannot be understood: {0}")]
    Malformed(String),
}

impl FeedReader {
    /// A reader over a client of its own: a long poll takes no connection from anybody's calls.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Up to `limit` (1 to 500) events after `cursor`, waiting up to `wait` (0 to 60 s) for the
    /// first.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn poll(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
        wait: Duration,
    ) -> Result<Page, ReadError> {
        let mut path = format!("/events?limit={limit}&wait={}", wait.as_secs_f64());
        if let Some(cursor) = cursor {
            path.push_str(&format!("&after={cursor}"));
        }
        let response = self
            .client
            .get(&path)
            .accept("application/cloudevents-batch+json")
            .timeout(wait + ANSWER_WITHIN)
            .long_poll()
            .send()
            .await
            .map_err(|error| match error.status() {
                Some(410) => ReadError::EpochGone,
                _ => ReadError::Away(error),
            })?;
        let events: Vec<CloudEvent> = serde_json::from_slice(response.body())
            .map_err(|error| ReadError::Malformed(error.to_string()))?;
        let next = events.last().map(CloudEvent::cursor).or_else(|| cursor.cloned());
        Ok(Page { events, next })
    }
}
