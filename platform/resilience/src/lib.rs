//! Safety measures for calls to anything that can be slow, broken or overloaded.
//!
//! Each measure is a small handle that decides about one call at a time, and a `tower` layer on top
//! of it. None of them knows of HTTP, and none needs the rest of Backline.

mod invalid;
mod outcome;
mod outlier;
mod retry;
mod shed;

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
