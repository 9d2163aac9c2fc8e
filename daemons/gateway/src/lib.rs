//! The gateway: the one address of the estate for everybody outside.
//!
//! `/<service>/...` goes, path unchanged, to a healthy instance of a service that registered itself
//! as public, so that callers need to know neither where services run nor how many they are. A
//! request is balanced by itself, repeated on another instance where that is safe ([`Gateway`],
//! `retry.rs`), and streamed both ways. The service's operational paths lie outside `/<service>/`
//! and are out of reach by construction.
//!
//! What it refuses to do: believe what a caller says about itself or its way here (`hygiene.rs`),
//! forward a request that can be read in two ways (`target.rs`), normalise instead of refuse, and
//! know anything of the business. What it says on the wire is in `docs/wire/gateway.md`.

mod follow;
mod forward;
mod gateway;
mod guards;
mod hygiene;
mod payload;
mod problems;
mod retry;
mod routing;
mod run;
mod target;
mod upstream;

pub use follow::{Public, follow};
pub use gateway::Gateway;
pub use routing::Routing;
pub use run::{Args, run};
