//! What became of a load.

use std::{collections::BTreeMap, fmt, time::Duration};

use hdrhistogram::Histogram;

/// Longer latencies count as this long.
const LONGEST_US: u64 = 3_600_000_000;

/// How a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// Answered with this status, which is not accepted.
    Status(u16),
    /// Not answered in time.
    Timeout,
    /// No connection could be made.
    Connect,
    /// The connection ended before the answer was complete.
    Cut,
    /// All connections were in use until its time was over.
    NoConnection,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Timeout => f.write_str("timeout"),
            Self::Connect => f.write_str("not connected"),
            Self::Cut => f.write_str("cut"),
            Self::NoConnection => f.write_str("no free connection"),
        }
    }
}

/// What became of some requests.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Requests whose moment came.
    pub sent: u64,
    /// Answered in time with a status that is accepted.
    pub ok: u64,
    /// The others, by how they failed.
    pub failures: BTreeMap<Failure, u64>,
    /// The time from the moment of each request to its answer's last byte or its failure, in
    /// microseconds.
    pub latency: Histogram<u64>,
}

impl Tally {
    /// With so many digits of each latency kept. Its memory grows with what is seen.
    #[expect(clippy::expect_used, reason = "up to five digits are valid")]
    pub(crate) fn empty(digits: u8) -> Self {
        let latency = Histogram::new(digits).expect("valid digits");
        Self { sent: 0, ok: 0, failures: BTreeMap::new(), latency }
    }

    pub(crate) fn add(&mut self, took: Duration, result: Result<(), Failure>) {
        self.sent += 1;
        match result {
            Ok(()) => self.ok += 1,
            Err(failure) => *self.failures.entry(failure).or_default() += 1,
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US);
        // It grows as needed up to any such value.
        let _ = self.latency.record(micros.clamp(1, LONGEST_US));
    }

    /// Requests that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.sent - self.ok
    }

    /// The latency that this share of the requests did not pass.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_micros(self.latency.value_at_quantile(percent / 100.0))
    }
}

/// One second of a load.
#[derive(Clone, Debug)]
pub struct Second {
    /// Requests whose moment lay in it, answered or failed.
    pub tally: Tally,
    /// Good answers that came in it, whenever the moment of their requests was: few while the
    /// server stalls, and many afterwards.
    pub answered: u64,
}

/// What became of a load.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// All requests.
    pub total: Tally,
    /// By the name of their shape, in the plan's order.
    pub shapes: Vec<(String, Tally)>,
    /// By the second of their moment, from the end of the warm-up on; as many as the load lasted.
    pub seconds: Vec<Second>,
    /// How late the generator was with its requests, in microseconds. Where this is not small
    /// against the latency, the machine is too small for the load.
    pub late: Histogram<u64>,
    /// How long the load lasted.
    pub lasted: Duration,
}

impl Outcome {
    /// Answered requests per second.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        self.total.ok as f64 / self.lasted.as_secs_f64().max(1e-9)
    }

    /// The share of requests that failed, from 0 to 1.
    #[must_use]
    pub fn failure_rate(&self) -> f64 {
        self.total.failed() as f64 / self.total.sent.max(1) as f64
    }

    /// A shape's part.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&Tally> {
        self.shapes.iter().find(|(shape, _)| shape == name).map(|(_, tally)| tally)
    }
}
