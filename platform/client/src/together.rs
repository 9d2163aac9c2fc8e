//! Several calls at once, and a page from whatever came in time.

use std::{fmt::Display, sync::Mutex, time::Duration};

use tokio::time::{Instant, timeout_at};

use crate::{Cause, RequestBuilder, Response, sync::lock};

/// Calls that run at once and share one deadline. What does not come in time, or fails, is left out
/// and named.
///
/// ```no_run
/// # async fn page(catalog: backline_client::Client, loyalty: backline_client::Client) {
/// use std::time::Duration;
/// use backline_client::{Cause, Together};
///
/// let together = Together::within(Duration::from_millis(300), &Cause::root());
/// let (album, points) = tokio::join!(
///     together.call("album", catalog.get("/catalog/albums/1")),
///     together.call("points", loyalty.get("/loyalty/accounts/1")),
/// );
/// // `album` and `points` are there or not; `missing` says why not.
/// let missing = together.missing();
/// # }
/// ```
#[derive(Debug)]
pub struct Together {
    end: Instant,
    missing: Mutex<Vec<Missing>>,
}

/// A part that did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The name that it was asked for under.
    pub part: String,
    /// Why it is missing, for the log.
    pub why: String,
}

impl Together {
    /// All parts have this long, and no longer than whoever waits for `cause`.
    #[must_use]
    pub fn within(time: Duration, cause: &Cause) -> Self {
        let own = Instant::now() + time;
        let end = cause.deadline.map_or(own, |deadline| deadline.min(own));
        Self { end, missing: Mutex::default() }
    }

    /// The answer of a call, if it comes in time.
    pub async fn call(&self, part: &str, request: RequestBuilder) -> Option<Response> {
        self.part(part, request.until(self.end).send()).await
    }

    /// What a future comes to, if it comes in time; otherwise it is dropped.
    pub async fn part<T, E: Display>(
        &self,
        part: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Option<T> {
        let why = match timeout_at(self.end, work).await {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it did not come in time".to_owned(),
        };
        tracing::debug!(part, why, "left out");
        lock(&self.missing).push(Missing { part: part.to_owned(), why });
        None
    }

    /// The parts that did not come, in the order in which that was clear.
    #[must_use]
    pub fn missing(self) -> Vec<Missing> {
        self.missing.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_page_is_made_of_what_came_in_time() {
        let begun = Instant::now();
        let together = Together::within(Duration::from_millis(300), &Cause::root());
        let (album, points, reviews) = tokio::join!(
            together.part("album", ready(Ok::<_, String>("Give Blood"))),
            together.part("points", pending::<Result<u32, String>>()),
            together.part("reviews", ready(Err::<u32, _>("broken"))),
        );
        assert_eq!((album, points, reviews), (Some("Give Blood"), None, None));
        assert_eq!(begun.elapsed(), Duration::from_millis(300));
        let missing: Vec<_> = together.missing().into_iter().map(|part| part.part).collect();
        assert_eq!(missing, ["reviews", "points"]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_the_caller_does() {
        let begun = Instant::now();
        let deadline = Some(begun + Duration::from_millis(50));
        let cause = Cause { deadline, ..Cause::root() };
        let together = Together::within(Duration::from_secs(3), &cause);
        assert_eq!(together.part("points", pending::<Result<u32, String>>()).await, None);
        assert_eq!(begun.elapsed(), Duration::from_millis(50));
    }
}
