//! The registry: where services say where they are, and clients ask.
//!
//! It speaks Consul's HTTP API (docs/wire/registry.md says which part), so that clients of Consul
//! work against it unchanged, and a Consul cluster can take its place by a setting. It runs the
//! health checks that services ask for, and answers blocking queries, so that a client hears of a
//! change within moments and asks for nothing meanwhile. What operators want of the estate it keeps
//! as keys on disk; only who has the operator's token may write them.
//!
//! What it refuses to do: run scripts, follow redirects or check metadata addresses; keep instances
//! on disk (they register again when it has started anew) or agree with other registries (where
//! that is not enough, use Consul); lock keys for sessions; hold business data.

mod api;
mod blocking;
mod catalog;
mod check;
mod duration;
mod kv;
mod operator;
mod page;
mod probe;
mod registration;
mod registry;
mod scheduler;
mod target;
mod wire;

use std::{error::Error, net::SocketAddr, process::ExitCode};

use axum::Router;
use backline_chassis::daemon::{self, Daemon};

pub use registry::{Config, Registry};

/// The port that Consul's clients expect.
pub const DEFAULT_PORT: u16 = 8500;

const ABOUT: &str = "Knows where every service is and how it is. Speaks Consul's HTTP API.";

/// Settings on the command line.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to listen on [default: BACKLINE_LISTEN, or 127.0.0.1:8500].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

/// Runs the registry until it is asked to end.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    let options = daemon::Options {
        name: "registry",
        version: env!("CARGO_PKG_VERSION"),
        about: ABOUT,
        listen: args.listen,
        default_port: DEFAULT_PORT,
        register: false,
        trusts_callers: true,
    };
    daemon::run(options, start)
}

async fn start(daemon: Daemon) -> Result<Router, Box<dyn Error + Send + Sync>> {
    registry::allow_many_connections();
    let registry = Registry::open(Config {
        node: daemon.config.instance.clone(),
        datacenter: daemon.config.zone.clone(),
        environment: daemon.config.environment.clone(),
        address: daemon.address,
        first_index: registry::index_of_this_start(),
        store: daemon.config.store.clone(),
        operator: daemon.config.operator.clone(),
        drain: daemon.drain.clone(),
    })
    .await?;
    tokio::spawn(registry.clone().run_checks());
    Ok(registry.router())
}
