//! Safety measures for calls to anything that can be slow, broken or overloaded.
//!
//! Each measure is a small handle that decides about one call at a time, and a `tower` layer on top
//! of it. None of them knows of HTTP, and none needs the rest of Backline.

mod breaker;
mod bulkhead;
mod deadline;
mod invalid;
mod outcome;
mod outlier;
#[cfg(doctest)]
mod readme;
mod retry;
mod shed;
mod sync;

pub use breaker::{
    Breaker, BreakerConfig, BreakerLayer, Breaking, Broken, Open, Permit, Snapshot, State, Window,
};
pub use bulkhead::{Bulkhead, BulkheadLayer, BulkheadSnapshot, Full, Place, Walled, WalledError};
pub use deadline::{Deadline, Late, LateError, TimedOut, TimeoutLayer};
pub use invalid::InvalidLimit;
pub use outcome::Outcome;
pub use outlier::{Ejected, OutlierConfig, Outliers};
pub use retry::{
    Backoff, BudgetConfig, BudgetSnapshot, Retrier, Retry, RetryBudget, RetryLayer, RetryPolicy,
    RetryRule,
};
pub use shed::{
    AdaptiveConfig, Admitted, Limit, Overloaded, Shed, ShedLayer, ShedRule, ShedSnapshot, Shedder,
};
