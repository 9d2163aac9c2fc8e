//! An open-loop load generator: requests go out when their time has come, whatever became of those
//! before.
//!
//! A generator that waits for an answer before it sends the next request measures least where it
//! hurts most: while the server stalls it asks nothing ("coordinated omission"). Here each request
//! has its moment from the start, and its latency counts from that moment on, also where the
//! generator itself was late. How late it was is part of the result.
//!
//! It sends to loopback only, unless the plan says otherwise, and stops by itself.

mod client;
mod command;
mod find;
mod outcome;
mod plan;
pub mod plot;
mod report;
mod run;

pub use command::{Args, command};
pub use find::{Goal, Step, find_max};
pub use outcome::{Failure, Outcome, Second, Tally};
pub use plan::{Arrivals, InvalidPlan, Plan, Shape};
pub use report::{Summary, html, page};
pub use run::{Progress, run};
