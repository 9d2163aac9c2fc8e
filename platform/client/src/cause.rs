//! Why something is done: the ids that join cause and effect across services.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use crate::TraceParent;

pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const CORRELATION: &str = "backline-correlation";
pub(crate) const TIMEOUT: &str = "backline-timeout";

/// The longest time that a caller can be said to wait. More says nothing.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Whose consequence a piece of work is.
#[derive(Clone, Debug)]
pub struct Cause {
    /// The id of the request that started it all; first that request's trace id. It outlives the
    /// trace: a click next day may belong to the same process.
    pub correlation: String,
    /// The id of the event that led to this directly, where one did.
    pub causation: Option<String>,
    /// This piece of work in its trace.
    pub traceparent: TraceParent,
    /// When nobody waits for the outcome any more, where somebody does. Calls on behalf of this
    /// work end by then, and say to the other side how long that is.
    pub deadline: Option<Instant>,
}

impl Cause {
    /// A beginning: a new trace, and a correlation of its own.
    #[must_use]
    pub fn root() -> Self {
        Self::of_trace(TraceParent::root())
    }

    /// The work for a request: a child of what its `traceparent` names, under its
    /// `Backline-Correlation`, with as much time as its `Backline-Timeout` says in milliseconds, at
    /// most a day. What is missing, given twice or malformed begins anew, without a deadline.
    #[must_use]
    pub fn of_request(headers: &HeaderMap) -> Self {
        let one = |name: &str| {
            let mut values = headers.get_all(name).iter();
            let first = values.next()?.to_str().ok()?;
            values.next().is_none().then_some(first)
        };
        let parent = one(TRACEPARENT).and_then(|text| text.parse::<TraceParent>().ok());
        let cause = Self::of_trace(parent.map_or_else(TraceParent::root, TraceParent::child));
        let left = one(TIMEOUT).and_then(milliseconds);
        Self {
            deadline: left.map(|left| Instant::now() + left),
            ..cause.correlated(one(CORRELATION).unwrap_or_default())
        }
    }

    /// The work for an event: a child of what its `traceparent` names, under its correlation id,
    /// caused by it.
    #[must_use]
    pub fn of_event(traceparent: &str, correlation: &str, event_id: &str) -> Self {
        let parent = traceparent.parse::<TraceParent>().ok();
        let cause = Self::of_trace(parent.map_or_else(TraceParent::root, TraceParent::child));
        Self { causation: Some(event_id.to_owned()), ..cause.correlated(correlation) }
    }

    fn of_trace(traceparent: TraceParent) -> Self {
        let correlation = traceparent.trace_id_hex();
        Self { correlation, causation: None, traceparent, deadline: None }
    }

    fn correlated(self, correlation: &str) -> Self {
        if !is_correlation(correlation) {
            return self;
        }
        Self { correlation: correlation.to_owned(), ..self }
    }
}

/// Digits and nothing else: `parse` alone would take a plus sign.
fn milliseconds(text: &str) -> Option<Duration> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let left = Duration::from_millis(digits.then(|| text.parse().ok()).flatten()?);
    Some(left.min(LONGEST))
}

/// 32 hex digits are ours; another language's service may keep its own kind of id. None of these
/// characters means anything in a header, a log line, a URL or a page.
fn is_correlation(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(values: &[(&'static str, &str)]) -> HeaderMap {
        values
            .iter()
            .map(|(n, v)| (n.parse().unwrap(), HeaderValue::from_str(v).unwrap()))
            .collect()
    }

    #[test]
    fn a_root_is_correlated_by_its_own_trace() {
        let cause = Cause::root();
        assert_eq!(cause.correlation, cause.traceparent.trace_id_hex());
        assert_eq!(cause.causation, None);
    }

    #[test]
    fn a_request_continues_trace_and_correlation() {
        let cause = Cause::of_request(&headers(&[(TRACEPARENT, PARENT), (CORRELATION, "abc")]));
        assert_eq!(cause.traceparent.trace_id_hex(), &PARENT[3..35]);
        assert_ne!(cause.traceparent.to_string(), PARENT);
        assert_eq!(cause.correlation, "abc");
        let cause = Cause::of_request(&headers(&[(TRACEPARENT, PARENT)]));
        assert_eq!(cause.correlation, &PARENT[3..35]);
    }

    #[test]
    fn what_a_request_gives_twice_or_malformed_begins_anew() {
        let twice = headers(&[(TRACEPARENT, PARENT), (TRACEPARENT, PARENT)]);
        assert_ne!(Cause::of_request(&twice).traceparent.trace_id_hex(), &PARENT[3..35]);
        let long = "a".repeat(65);
        for hostile in ["", "a b", "<script>", "a\tb", &long] {
            let cause = Cause::of_request(&headers(&[(CORRELATION, hostile)]));
            assert_eq!(cause.correlation, cause.traceparent.trace_id_hex(), "{hostile}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_says_how_long_its_caller_waits() {
        let left = |text: &str| {
            let cause = Cause::of_request(&headers(&[(TIMEOUT, text)]));
            cause.deadline.map(|deadline| (deadline - Instant::now()).as_millis())
        };
        assert_eq!(left("1500"), Some(1500));
        assert_eq!(left("0"), Some(0));
        assert_eq!(left("99999999999"), Some(86_400_000));
        for hostile in ["", "-1", "+1", "1.5", "1s", " 1", "99999999999999999999999"] {
            assert_eq!(left(hostile), None, "{hostile}");
        }
        let twice = headers(&[(TIMEOUT, "1"), (TIMEOUT, "1")]);
        assert_eq!(Cause::of_request(&twice).deadline, None);
    }

    #[test]
    fn an_event_is_the_causation() {
        let cause = Cause::of_event(PARENT, "abc", "event-1");
        assert_eq!(cause.causation.as_deref(), Some("event-1"));
        assert_eq!(cause.correlation, "abc");
        assert_eq!(cause.traceparent.trace_id_hex(), &PARENT[3..35]);
        let broken = Cause::of_event("nonsense", "", "event-2");
        assert_eq!(broken.correlation, broken.traceparent.trace_id_hex());
    }
}
