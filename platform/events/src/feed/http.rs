//! `GET /events`: see `docs/wire/events.md`.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
    routing::get,
};
use backline_hypermedia::Problem;
use backline_store::Error;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use super::{Feed, MAX_PAGE, atom};
use crate::{CloudEvent, Cursor};

const BATCH: &str = "application/cloudevents-batch+json";
const ATOM: &str = "application/atom+xml";
/// A long poll is answered after this time at the latest.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The route `GET /events` over a feed.
pub fn routes(feed: Feed) -> Router {
    Router::new().route("/events", get(read)).with_state(feed)
}

#[derive(Deserialize)]
struct Params {
    after: Option<String>,
    limit: Option<usize>,
    /// Seconds, with or without an `s` behind.
    wait: Option<String>,
}

async fn read(
    State(feed): State<Feed>,
    params: Result<Query<Params>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    answer(&feed, params, &headers).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(
    feed: &Feed,
    params: Result<Query<Params>, QueryRejection>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let Query(params) = params.map_err(|error| bad(error.body_text()))?;
    let after = position(feed, params.after.as_deref())?;
    let limit = params.limit.unwrap_or(100);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(bad(format!("limit is {limit}: give 1 to {MAX_PAGE} events a page")));
    }
    let wait = params.wait.as_deref().map_or(Ok(Duration::ZERO), seconds)?;
    if feed.is_beyond_end(after.position).await.map_err(unreadable)? {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "feed-restored",
            "This cursor lies beyond the end of the feed",
        )
        .detail(
            "The store behind the feed was restored from a backup and kept its epoch, so positions \
             would be given twice. Empty its table backline_feed and restart the service: the feed \
             then begins anew.",
        ));
    }
    let events = feed.page(after.position, limit, wait).await.map_err(unreadable)?;
    Ok(page(feed, &after, limit, &events, headers))
}

/// The first of the cursor's epoch, or a clear refusal of a cursor that is not of this feed's life.
fn position(feed: &Feed, after: Option<&str>) -> Result<Cursor, Problem> {
    let Some(after) = after else { return Ok(feed.start()) };
    let cursor: Cursor = after.parse().map_err(|error| bad(format!("after: {error}")))?;
    if cursor.epoch != feed.0.epoch {
        return Err(Problem::new(
            StatusCode::GONE,
            "feed-epoch-gone",
            "This cursor belongs to an earlier life of the feed",
        )
        .detail("The store behind the feed is new. Read the feed from its start again.")
        .with("epoch", feed.0.epoch.clone())
        .link("start", "/events"));
    }
    Ok(cursor)
}

fn page(
    feed: &Feed,
    after: &Cursor,
    limit: usize,
    events: &[Arc<CloudEvent>],
    headers: &HeaderMap,
) -> Response {
    let next = events.last().map_or_else(|| after.clone(), |event| event.cursor());
    let this = format!("/events?after={after}&limit={limit}");
    let next = format!("/events?after={next}&limit={limit}");
    let link = format!("<{this}>; rel=\"self\", <{next}>; rel=\"next\"");
    let (media_type, body) = if wants_batch(headers) {
        let events: Vec<&CloudEvent> = events.iter().map(|event| &**event).collect();
        (BATCH, serde_json::to_vec(&events).map_err(std::io::Error::from))
    } else {
        let now = jiff::Timestamp::now().to_string();
        let head = atom::Head {
            service: &feed.0.service,
            epoch: &feed.0.epoch,
            this: &this,
            next: &next,
            now: &now,
        };
        (ATOM, atom::render(&head, events))
    };
    match body {
        Ok(body) => {
            let head = [
                (header::CONTENT_TYPE, media_type),
                (header::CACHE_CONTROL, "no-cache"),
                (header::VARY, "Accept"),
                (header::LINK, &*link),
            ];
            (head, body).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page of events could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn wants_batch(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|accept| accept.contains(BATCH) || accept.contains("application/json"))
}

fn seconds(text: &str) -> Result<Duration, Problem> {
    let number = text.strip_suffix('s').unwrap_or(text);
    let wait = number.parse::<f64>().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
    match wait {
        Some(wait) if wait <= MAX_WAIT => Ok(wait),
        _ => Err(bad(format!("wait is '{text}': give 0 to 60 seconds, such as wait=20"))),
    }
}

fn unreadable(error: Error) -> Problem {
    tracing::error!(%error, "the feed could not be read");
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "store-unavailable",
        "The events cannot be read at present",
    )
}

fn bad(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid-query", "The query is not valid").detail(detail)
}
