//! What guards the calls of a process to one service: breaker, bulkhead, retry budget, outliers.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backline_resilience::{
    Backoff, Breaker, BudgetConfig, Bulkhead, Full, Open, Outcome, OutlierConfig, Outliers, Permit,
    Place, RetryBudget, RetryPolicy, State,
};
use tokio::time::Instant;

use crate::{
    Limits,
    balance::Balance,
    seen::Seen,
    sync::lock,
    wish::{Wish, Wishes},
};

/// What a process calls a service for. Each purpose has connections and a breaker of its own, so
/// that long polls take no place from calls that somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Requests of its handlers, reactions and jobs.
    Calls,
    /// Reading its feed.
    Feed,
    /// Operating it: what a console asks. Operators' wishes do not stop these calls, as they could
    /// not see then what they wish for.
    Operations,
    /// The gateway's requests, which come from outside.
    Traffic,
}

impl Purpose {
    /// As the board has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Feed => "feed",
            Self::Operations => "operations",
            Self::Traffic => "traffic",
        }
    }

    /// The time of a call where the settings say nothing.
    fn timeout(self) -> Duration {
        Duration::from_secs(if self == Self::Traffic { 30 } else { 5 })
    }

    /// Connections where the settings say nothing.
    fn connections(self) -> usize {
        if self == Self::Traffic { 512 } else { 64 }
    }
}

/// The measures around the calls to one service for one purpose.
pub struct Dependency {
    pub(crate) service: Arc<str>,
    pub(crate) purpose: Purpose,
    pub(crate) limits: Limits,
    pub(crate) connections: usize,
    pub(crate) breaker: Breaker,
    pub(crate) bulkhead: Bulkhead,
    pub(crate) retry: RetryPolicy,
    pub(crate) outliers: Outliers<SocketAddr>,
    pub(crate) balance: Arc<Balance>,
    pub(crate) seen: Seen,
    pub(crate) retried: AtomicU64,
    /// The wish that was followed last.
    obeyed: Mutex<Option<Wish>>,
}

impl Dependency {
    #[expect(clippy::expect_used, reason = "limits are checked when they are read")]
    pub(crate) fn new(service: &str, purpose: Purpose, limits: Limits) -> Self {
        let breaker = Breaker::new(limits.breaker.clone()).expect("a valid breaker");
        let connections = limits.connections.unwrap_or_else(|| purpose.connections());
        // A quiet caller may retry too, and without a budget nobody may.
        let reserve = if limits.retries > 0.0 { 3 } else { 0 };
        let budget = BudgetConfig { ratio: limits.retries, reserve, ..BudgetConfig::default() };
        let (to, label) = (service.to_owned(), purpose.as_str());
        breaker.on_change(move |from, to_state| {
            tracing::info!(to, purpose = label, from = ?from, state = ?to_state, "breaker");
            let labels = [("to", to.clone()), ("purpose", label.to_owned())];
            metrics::gauge!("client_breaker_state", &labels).set(as_number(to_state));
            metrics::counter!("client_breaker_changes_total", &labels).increment(1);
        });
        Self {
            service: service.into(),
            purpose,
            bulkhead: Bulkhead::new(connections, limits.wait),
            connections,
            retry: RetryPolicy {
                tries: limits.tries,
                backoff: Backoff::default(),
                budget: RetryBudget::new(budget).expect("a valid budget"),
            },
            outliers: Outliers::new(OutlierConfig::default()).expect("valid defaults"),
            balance: Arc::default(),
            seen: Seen::new(),
            retried: AtomicU64::new(0),
            obeyed: Mutex::new(None),
            breaker,
            limits,
        }
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The time of a call, where the settings say so for this dependency.
    #[must_use]
    pub fn timeout_set(&self) -> Option<Duration> {
        self.limits.timeout
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.limits.timeout.unwrap_or_else(|| self.purpose.timeout())
    }

    /// How long a call must have had for its timeout to say something about the service: what is
    /// slow for it, nearly all of its own time, or a tenth of a second. With less, a healthy one
    /// may be late too.
    pub(crate) fn enough(&self) -> Duration {
        const ENOUGH: Duration = Duration::from_millis(100);
        ENOUGH.min(self.limits.breaker.slow_call).min(self.timeout().mul_f64(0.9))
    }

    /// What it is called for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Orders instances by whom to try first: ejected ones and those in `last` come last.
    pub(crate) fn order(&self, addresses: &mut [SocketAddr], last: &[SocketAddr]) {
        self.balance.order(addresses);
        if addresses.len() > 1 {
            self.outliers.members(addresses);
            addresses
                .sort_by_key(|address| (last.contains(address), self.outliers.is_ejected(address)));
        }
    }

    /// Asks to send one request by other means than this crate's: the gateway's own data path. The
    /// breaker must let it through, and the bulkhead have a place.
    ///
    /// # Errors
    /// Which of the two refuses.
    pub async fn admit(&self) -> Result<Admission<'_>, Denied> {
        let permit = self.breaker.try_acquire().map_err(Denied::Open)?;
        let place = self.bulkhead.acquire().await.map_err(Denied::Full)?;
        Ok(Admission { dependency: self, permit, place, begun: Instant::now() })
    }

    pub(crate) fn note_retry(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    /// Follows the operators' wishes for this dependency, where they have changed.
    pub(crate) fn obey(&self, wishes: &Wishes) {
        if self.purpose == Purpose::Operations {
            return;
        }
        let wish = wishes.of(&self.service);
        let mut obeyed = lock(&self.obeyed);
        if *obeyed == wish {
            return;
        }
        match &wish {
            Some(Wish::Stop { reason }) => self.breaker.force_open(reason.as_str()),
            Some(Wish::Disable) => self.breaker.disable(),
            // A wish of before this process began has nothing to reset here, and does no harm.
            Some(Wish::Reset { .. }) | None => self.breaker.reset(),
        }
        *obeyed = wish;
    }
}

/// Leave to send one request. Dropped without a word it says nothing about the service.
#[derive(Debug)]
#[must_use = "it has to tell what the request came to"]
pub struct Admission<'a> {
    dependency: &'a Dependency,
    permit: Permit<'a>,
    place: Place,
    begun: Instant,
}

impl Admission<'_> {
    /// Tells what the request came to. The place is to be held until the answer is read.
    pub fn done(self, outcome: Outcome) -> Place {
        self.permit.record(outcome);
        if outcome != Outcome::Ignored {
            self.dependency.seen.record(self.begun.elapsed(), Instant::now());
        }
        self.place
    }
}

/// Who refuses a request.
#[derive(Debug)]
pub enum Denied {
    /// The breaker.
    Open(Open),
    /// The bulkhead.
    Full(Full),
}

impl std::fmt::Debug for Dependency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dependency").field("service", &self.service).finish_non_exhaustive()
    }
}

/// For dashboards: 0 closed, 1 half-open, 2 open, 3 forced open, -1 disabled or only observing.
fn as_number(state: State) -> f64 {
    match state {
        State::Closed => 0.0,
        State::HalfOpen => 1.0,
        State::Open => 2.0,
        State::ForcedOpen => 3.0,
        State::Disabled | State::ObserveOnly => -1.0,
    }
}
