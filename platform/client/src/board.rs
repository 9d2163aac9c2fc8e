//! What the breaker board shows of one process: docs/wire/breakers.md.

use std::time::Duration;

use backline_resilience::{Breaker, State, Window};
use serde::Serialize;
use tokio::time::Instant;

use crate::{Client, seen::LatencySeen};

/// One dependency of a process, for one purpose.
#[derive(Clone, Debug, Serialize)]
pub struct DependencySeen {
    /// The service that is called.
    pub to: String,
    /// What for: `calls`, `feed`, `operations`, `traffic`.
    pub purpose: &'static str,
    /// The time of a whole call, in milliseconds.
    pub timeout_ms: u64,
    /// The latency of the last 30 to 60 s; nothing where there was no call.
    pub latency_ms: Option<LatencySeen>,
    /// The breaker.
    pub breaker: BreakerSeen,
    /// The bulkhead.
    pub bulkhead: BulkheadSeen,
    /// Retries.
    pub retries: RetriesSeen,
    /// Instances that are left out for their failures.
    pub ejected: Vec<EjectedSeen>,
}

/// A breaker, as the board has it.
#[derive(Clone, Debug, Serialize)]
pub struct BreakerSeen {
    /// `closed`, `open`, `half-open`, `forced-open`, `disabled`, `observe-only`.
    pub state: &'static str,
    /// For how long it has been in it, in milliseconds.
    pub for_ms: u64,
    /// Why, where somebody said so.
    pub reason: Option<String>,
    /// Calls in the window.
    pub calls: u32,
    /// The rate of failed ones, from 0 to 1; nothing below the minimum of calls.
    pub failure_rate: Option<f64>,
    /// The rate of slow ones.
    pub slow_rate: Option<f64>,
    /// Calls refused since the process began.
    pub refused: u64,
    /// How often it has opened since then.
    pub opened: u64,
    /// Its limits.
    pub limits: BreakerLimits,
}

/// When a breaker opens, and for how long.
#[derive(Clone, Debug, Serialize)]
pub struct BreakerLimits {
    /// Failure rate that opens it.
    pub failure_rate: f64,
    /// Longer calls are slow, in milliseconds.
    pub slow_ms: u64,
    /// Rate of slow calls that opens it.
    pub slow_rate: f64,
    /// Calls before there is a rate.
    pub minimum_calls: u32,
    /// `100 calls` or `10s`.
    pub window: String,
    /// How long it refuses before it probes, in milliseconds.
    pub open_ms: u64,
    /// Calls let through then.
    pub probes: u32,
}

/// A bulkhead, as the board has it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BulkheadSeen {
    /// Calls at once.
    pub limit: usize,
    /// Calls now.
    pub taken: usize,
    /// Calls that wait for a place.
    pub waiting: usize,
    /// How long they may, in milliseconds.
    pub wait_ms: u64,
    /// Calls refused since the process began.
    pub refused: u64,
    /// Open connections, in use and idle.
    pub connections: usize,
}

/// Retries, as the board has them.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RetriesSeen {
    /// Tries of one call at most.
    pub tries: u32,
    /// Retries for each call, over all calls, at most.
    pub budget: f64,
    /// Retries since the process began.
    pub made: u64,
}

/// An instance that is left out.
#[derive(Clone, Debug, Serialize)]
pub struct EjectedSeen {
    /// Where it listens.
    pub address: String,
    /// For how much longer, in milliseconds.
    pub for_ms: u64,
}

impl Client {
    /// What the breaker board shows of the dependency.
    #[must_use]
    pub fn seen(&self) -> DependencySeen {
        let dependency = self.dependency();
        let bulkhead = dependency.bulkhead.snapshot();
        let now = Instant::now();
        let ejected = dependency.outliers.snapshot().into_iter().map(|ejected| EjectedSeen {
            address: ejected.key.to_string(),
            for_ms: ms(ejected.ejected_until.saturating_duration_since(now)),
        });
        DependencySeen {
            to: dependency.service.to_string(),
            purpose: dependency.purpose.as_str(),
            timeout_ms: ms(dependency.timeout()),
            latency_ms: dependency.seen.summary(now),
            breaker: BreakerSeen::of(&dependency.breaker, dependency),
            bulkhead: BulkheadSeen {
                limit: bulkhead.places,
                taken: bulkhead.taken,
                waiting: bulkhead.waiting,
                wait_ms: ms(dependency.limits.wait),
                refused: bulkhead.refused,
                connections: self.pool().open(),
            },
            retries: RetriesSeen {
                tries: dependency.retry.tries,
                budget: dependency.limits.retries,
                made: dependency.retried.load(std::sync::atomic::Ordering::Relaxed),
            },
            ejected: ejected.collect(),
        }
    }
}

impl BreakerSeen {
    fn of(breaker: &Breaker, dependency: &crate::Dependency) -> Self {
        let seen = breaker.snapshot();
        let limits = &dependency.limits.breaker;
        Self {
            state: named(seen.state),
            for_ms: ms(seen.since.elapsed()),
            reason: seen.reason.as_deref().map(str::to_owned),
            calls: seen.calls,
            failure_rate: seen.failure_rate,
            slow_rate: seen.slow_rate,
            refused: seen.refused,
            opened: seen.opened,
            limits: BreakerLimits {
                failure_rate: limits.failure_rate,
                slow_ms: ms(limits.slow_call),
                slow_rate: limits.slow_rate,
                minimum_calls: limits.minimum_calls,
                window: match limits.window {
                    Window::Count(calls) => format!("{calls} calls"),
                    Window::Time(time) => format!("{time:?}"),
                },
                open_ms: ms(limits.open_for),
                probes: limits.probes,
            },
        }
    }
}

fn named(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Open => "open",
        State::HalfOpen => "half-open",
        State::ForcedOpen => "forced-open",
        State::Disabled => "disabled",
        State::ObserveOnly => "observe-only",
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
