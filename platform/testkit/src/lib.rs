//! Helpers for tests over real processes: plain, blocking, usable from any test.
//!
//! A test of a company of processes needs folders of its own ([`TempDir`]), a way to wait for what
//! will be true soon ([`wait_for`]), real services ([`Service`]) or the whole estate ([`Estate`]) on
//! free ports, an HTTP client that reports an error answer as an answer ([`http`]), and a bad network
//! between any two ([`fault`]).
//!
//! What it refuses to do: sleep in the hope that something has happened by then, share a port or a
//! folder between tests, or leave a process behind. It knows nothing of the services it starts
//! but Backline's environment variables and command line. Helpers panic with what they expected
//! and what they saw, since a failed helper is a failed test.

mod bin;
mod command;
mod estate;
pub mod http;
mod process;
mod service;
mod temp_dir;
mod wait;

pub use backline_fault as fault;
pub use bin::bin;
pub use command::{Finished, run};
pub use estate::{Estate, Instance};
pub use service::{Launch, Service};
pub use temp_dir::TempDir;
pub use wait::wait_for;
