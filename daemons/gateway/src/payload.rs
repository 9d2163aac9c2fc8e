//! The body of a request: kept to be sent again if it is small, passed on as it comes if not.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use tokio::time::{Instant, timeout};

use crate::retry::Failed;

/// The largest body that is kept, in bytes.
const MOST_KEPT: u64 = 64 * 1024;

/// What is left to send of a request.
pub(crate) enum Payload {
    /// Here as a whole: can be sent as often as needed.
    Kept(Bytes),
    /// Comes while it is sent; `None` once that has begun.
    Passing(Option<Body>),
}

impl Payload {
    /// Reads the body if its length is known and small. One of unknown length is never waited for:
    /// its sender may want to hear an answer before it goes on.
    ///
    /// # Errors
    /// When the caller does not send what it has announced.
    pub async fn take(headers: &HeaderMap, body: Body, within: Duration) -> Result<Self, Failed> {
        if body.is_end_stream() {
            return Ok(Self::Kept(Bytes::new()));
        }
        let length = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<u64>().ok());
        if length.is_none_or(|length| length > MOST_KEPT) {
            return Ok(Self::Passing(Some(body)));
        }
        let limited = Limited::new(body, usize::try_from(MOST_KEPT).unwrap_or(usize::MAX));
        match timeout(within, limited.collect()).await {
            Ok(Ok(whole)) => Ok(Self::Kept(whole.to_bytes())),
            Ok(Err(_)) => Err(Failed::CallerGone),
            Err(_) => Err(Failed::CallerSlow),
        }
    }

    /// Whether it can be sent (again).
    pub fn is_here(&self) -> bool {
        !matches!(self, Self::Passing(None))
    }

    /// The body to send, and how far it is.
    pub fn send(&mut self) -> (Body, Progress) {
        let progress = Progress::now();
        let body = match self {
            Self::Kept(bytes) if bytes.is_empty() => Body::empty(),
            Self::Kept(bytes) => Body::from(bytes.clone()),
            Self::Passing(body) => {
                let body = body.take().unwrap_or_default();
                Body::new(Watched { body, progress: progress.clone() })
            }
        };
        (body, progress)
    }

    /// Takes a body back of which nothing was sent.
    pub fn put_back(&mut self, unsent: Body) {
        if let Self::Passing(body @ None) = self {
            *body = Some(unsent);
        }
    }
}

/// When a body last moved, and who is waited for. So a long upload is not taken for a slow answer.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<(Instant, bool)>>);

impl Progress {
    fn now() -> Self {
        Self(Arc::new(Mutex::new((Instant::now(), false))))
    }

    fn moved(&self, waits_for_caller: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !waits_for_caller || !state.1 {
            *state = (Instant::now(), waits_for_caller);
        }
    }

    /// Returns when nothing has moved for so long, with whose fault that is.
    pub async fn stands_still(&self, within: Duration) -> Failed {
        loop {
            let (since, caller) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let end = since + within;
            if Instant::now() >= end {
                return if caller { Failed::CallerSlow } else { Failed::Late };
            }
            tokio::time::sleep_until(end).await;
        }
    }
}

struct Watched {
    body: Body,
    progress: Progress,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.progress.moved(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(length: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_LENGTH, http::HeaderValue::from_static(length))])
    }

    const WITHIN: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn small_bodies_can_be_sent_again() {
        let taken = Payload::take(&length("3"), Body::from("abc"), WITHIN).await;
        let mut payload = taken.expect("all is here");
        for _ in 0..2 {
            let sent = payload.send().0.collect().await.expect("a body").to_bytes();
            assert_eq!(sent, "abc");
            assert!(payload.is_here());
        }
    }

    #[tokio::test]
    async fn large_bodies_and_those_of_unknown_length_are_sent_once() {
        for headers in [HeaderMap::new(), length("65537")] {
            let taken = Payload::take(&headers, Body::from("abc"), WITHIN).await;
            let mut payload = taken.expect("nothing is waited for");
            assert!(payload.is_here());
            let (body, _) = payload.send();
            assert!(!payload.is_here());
            payload.put_back(body);
            assert!(payload.is_here());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_stops_sending_is_told_from_an_answer_that_is_late() {
        let silent = || {
            Body::from_stream(futures_util::stream::pending::<
                Result<Bytes, std::convert::Infallible>,
            >())
        };
        let taken = Payload::take(&length("9"), silent(), WITHIN).await;
        assert_eq!(taken.err(), Some(Failed::CallerSlow));

        let mut payload = Payload::Passing(Some(silent()));
        let (body, progress) = payload.send();
        let sending = tokio::spawn(body.collect());
        tokio::task::yield_now().await;
        assert_eq!(progress.stands_still(WITHIN).await, Failed::CallerSlow);
        sending.abort();

        let (_, progress) = Payload::Kept(Bytes::new()).send();
        assert_eq!(progress.stands_still(WITHIN).await, Failed::Late);
    }
}
