//! How many retries all callers of one dependency may make together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::InvalidLimit;
use crate::invalid::demand;

/// Calls and retries are forgotten in steps of this share of [`BudgetConfig::ttl`].
const SLICES: usize = 10;

/// The size of a [`RetryBudget`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetConfig {
    /// Retries for each call; from 0 to 1. Default 0.2.
    pub ratio: f64,
    /// Retries within `ttl` that are allowed however few the calls are. Default 10.
    ///
    /// It is a floor and not an extra: it lets a quiet client retry at all, and adds nothing to
    /// what a busy one sends into an outage.
    pub reserve: u32,
    /// How long a call earns and a retry costs; from 1 s to 60 s. Default 10 s.
    pub ttl: Duration,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { ratio: 0.2, reserve: 10, ttl: Duration::from_secs(10) }
    }
}

impl BudgetConfig {
    /// Whether the settings can be meant.
    ///
    /// # Errors
    /// Names the first field outside its limits, its value and what would be right.
    pub fn check(&self) -> Result<(), InvalidLimit> {
        demand((0.0..=1.0).contains(&self.ratio), "ratio", &self.ratio, "from 0 to 1")?;
        let seconds = Duration::from_secs(1)..=Duration::from_secs(60);
        demand(seconds.contains(&self.ttl), "ttl", &self.ttl, "from 1 s to 60 s")
    }
}

/// Bounds the retries by the calls: within any [`ttl`](BudgetConfig::ttl), retries never exceed
/// `ratio` x calls, or `reserve` where that is more (the idea and the expiry of tokens are
/// Finagle's `RetryBudget`, the floor instead of an extra is Envoy's `min_retry_concurrency`).
///
/// One budget belongs to one dependency and is shared by all who call it: clones are the same.
/// A retry is paid for when it is decided, before its backoff, and only then.
///
/// ```
/// use backline_resilience::{BudgetConfig, RetryBudget};
///
/// let budget = RetryBudget::new(BudgetConfig { reserve: 1, ..BudgetConfig::default() })?;
/// for _call in 0..10 {
///     budget.deposit();
/// }
/// let retries = (0..10).filter(|_failure| budget.try_withdraw()).count();
/// assert_eq!(retries, 2);
/// # Ok::<(), backline_resilience::InvalidLimit>(())
/// ```
#[derive(Clone, Debug)]
pub struct RetryBudget {
    config: BudgetConfig,
    ledger: Arc<Mutex<Ledger>>,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::unchecked(BudgetConfig::default())
    }
}

/// What a [`RetryBudget`] looks like now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSnapshot {
    /// Calls within the last `ttl`.
    pub calls: u64,
    /// Retries within the last `ttl`.
    pub retries: u64,
    /// Retries that are allowed now.
    pub left: u64,
    /// Retries refused since the budget was made.
    pub refused: u64,
}

impl RetryBudget {
    /// A budget with nothing spent.
    ///
    /// # Errors
    /// When a setting lies outside its limits ([`BudgetConfig::check`]).
    pub fn new(config: BudgetConfig) -> Result<Self, InvalidLimit> {
        config.check()?;
        Ok(Self::unchecked(config))
    }

    fn unchecked(config: BudgetConfig) -> Self {
        Self { config, ledger: Arc::new(Mutex::new(Ledger::new(Instant::now()))) }
    }

    /// A call begins. Its retries are not calls.
    pub fn deposit(&self) {
        self.deposit_at(Instant::now());
    }

    /// Whether a retry may be made; if so, it is paid for.
    #[must_use = "a retry that was paid for should be made"]
    pub fn try_withdraw(&self) -> bool {
        self.try_withdraw_at(Instant::now())
    }

    /// The figures now.
    pub fn snapshot(&self) -> BudgetSnapshot {
        let ledger = self.ledger_at(Instant::now());
        let Slice { calls, retries } = ledger.sum;
        BudgetSnapshot { calls, retries, left: self.left(&ledger), refused: ledger.refused }
    }

    pub(super) fn deposit_at(&self, now: Instant) {
        let mut ledger = self.ledger_at(now);
        ledger.sum.calls += 1;
        ledger.current().calls += 1;
    }

    pub(super) fn try_withdraw_at(&self, now: Instant) -> bool {
        let mut ledger = self.ledger_at(now);
        let allowed = self.left(&ledger) > 0;
        if allowed {
            ledger.sum.retries += 1;
            ledger.current().retries += 1;
        } else {
            ledger.refused += 1;
        }
        allowed
    }

    fn left(&self, ledger: &Ledger) -> u64 {
        let earned = (self.config.ratio * ledger.sum.calls as f64) as u64;
        earned.max(u64::from(self.config.reserve)).saturating_sub(ledger.sum.retries)
    }

    /// The ledger, with what is too old taken out.
    fn ledger_at(&self, now: Instant) -> MutexGuard<'_, Ledger> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.forget(now, self.config.ttl / SLICES as u32);
        ledger
    }
}

/// Calls and retries by age, in a ring of slices.
#[derive(Debug)]
struct Ledger {
    slices: [Slice; SLICES],
    at: usize,
    /// When the current slice began.
    since: Instant,
    sum: Slice,
    refused: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    calls: u64,
    retries: u64,
}

impl Ledger {
    fn new(since: Instant) -> Self {
        let sum = Slice::default();
        Self { slices: [sum; SLICES], at: 0, since, sum, refused: 0 }
    }

    fn current(&mut self) -> &mut Slice {
        &mut self.slices[self.at]
    }

    fn forget(&mut self, now: Instant, step: Duration) {
        // Another thread may have read a later clock and come first.
        let age = now.saturating_duration_since(self.since);
        if age < step {
            return;
        }
        let steps = (age.as_nanos() / step.as_nanos()) as u32;
        for _ in 0..steps.min(SLICES as u32) {
            self.at = (self.at + 1) % SLICES;
            let old = std::mem::take(self.current());
            self.sum.calls -= old.calls;
            self.sum.retries -= old.retries;
        }
        self.since += step * steps;
    }
}
