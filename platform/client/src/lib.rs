//! Calls to other services: found by discovery, bounded in time, size and number, and traced.
//!
//! A caller names a service and a reference (`/customers/0198...`), never a host. A call cannot be
//! made without a timeout over everything (waiting for an address, for a free connection, for the
//! answer's last byte), without a limit to connections and to the answer's size, and without the
//! ids of its [`Cause`]. An [`Error`] says what failed, where, whether the other side is away and
//! whether a retry is safe.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use backline_client::{Cause, Discovery};
//!
//! let discovery = Discovery::from_url("consul://127.0.0.1:8500", "loyalty-1")?;
//! let customers = discovery.client("customers");
//! let customer: serde_json::Value =
//!     customers.get("/customers/0198c0de").cause(&Cause::root()).send().await?.json()?;
//! # Ok(())
//! # }
//! ```
//!
//! It refuses to call anything outside the estate, to follow redirects, and to send a request that
//! may have been carried out a second time unless its method or an `Idempotency-Key` makes that
//! harmless.

mod backoff;
mod balance;
mod board;
mod call;
mod cause;
mod client;
mod dependency;
mod discovery;
mod error;
mod limits;
mod order;
mod pool;
mod refusals;
mod request;
mod response;
mod seen;
mod sync;
mod together;
mod trace;
mod wish;

#[cfg(test)]
mod tests;

pub use board::{
    BreakerLimits, BreakerSeen, BulkheadSeen, DependencySeen, EjectedSeen, RetriesSeen,
};
pub use cause::Cause;
pub use client::Client;
pub use dependency::{Admission, Denied, Dependency, Purpose};
pub use discovery::{Caller, Discovery, Instance, InvalidUrl, Key, KeyOp, Registration};
pub use error::{Error, Kind, Stage};
pub use limits::{InvalidLimits, Limits};
pub use order::{AUDIT, Action, Order, Record};
pub use request::RequestBuilder;
pub use response::Response;
pub use seen::LatencySeen;
pub use together::{Missing, Together};
pub use trace::{InvalidTraceParent, TraceParent};
pub use wish::MAINTENANCE;
