//! The chassis: everything a service needs besides what it is about.
//!
//! A service says in its `main` what it is (see [`Service`]): its name and owner, its store, its
//! resources, what it emits, what it reacts to, whom it calls. The chassis does the rest:
//! settings from the environment, registration, health, metrics, documentation, logs with trace
//! ids, the event feed, consumers, idempotent writes, content negotiation, graceful shutdown.
//!
//! What it refuses to do: hold business rules, share domain types between services, or let a
//! handler reach out of the process other than through a guarded client ([`Cx::client`]).
//! The platform's own processes use its lower half alone: [`daemon`].

mod admission;
mod app;
mod body;
mod breakers;
mod config;
mod cx;
pub mod daemon;
mod describe;
mod fault;
pub mod guard;
mod idempotency;
mod operator;
mod ops;
mod paging;
mod process;
mod reaction;
mod reply;
mod request;
mod run;
mod server;
mod service;
mod telemetry;
mod work;

pub use app::App;
pub use backline_client::{Cause, Together};
pub use backline_events::{Emit, Failure};
pub use backline_hypermedia::{Action, Field, Problem, Resource};
pub use backline_store::{Migration, Row, Tx, params};
pub use body::{Json, Path, Query};
pub use config::{Config, Mistakes};
pub use cx::{Calls, Cx};
pub use fault::Fault;
pub use idempotency::Keyed;
pub use operator::{InvalidToken, OperatorToken};
pub use paging::Paging;
pub use reaction::{Done, Reaction};
pub use reply::{Answer, Reply};
pub use service::Service;
pub use tokio_util::sync::CancellationToken;
pub use work::Work;

/// Errors of the store, for services that tell one from another.
pub use backline_store::Error as StoreError;

/// The present moment as text (RFC 3339, UTC, microseconds), as events and stores carry it. Such
/// texts sort as the moments do.
#[must_use]
pub fn now() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}

/// A moment from now as text, like [`now`].
#[must_use]
pub fn later(wait: std::time::Duration) -> String {
    format!("{:.6}", jiff::Timestamp::now() + wait)
}
