//! Trying again, where it is safe, after a while, and never so often that it makes an outage worse.

mod backoff;
mod budget;
mod layer;
#[cfg(test)]
mod tests;

pub use backoff::Backoff;
pub use budget::{BudgetConfig, BudgetSnapshot, RetryBudget};
pub use layer::{Retrier, Retry, RetryLayer, RetryPolicy, RetryRule};
