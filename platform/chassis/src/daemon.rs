//! What the platform's own processes share: settings, logs, listener, guard, health, drain.

use std::{collections::BTreeMap, error::Error, net::SocketAddr, process::ExitCode};

use axum::Router;
use backline_client::Discovery;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, breakers, ops,
    process::{self, Kind, Process},
};

/// What a daemon is.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name in the registry: `gateway`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// One sentence for people.
    pub about: &'static str,
    /// Where to listen; otherwise `BACKLINE_LISTEN`, otherwise loopback with `default_port`.
    pub listen: Option<SocketAddr>,
    /// The port where nothing says another; 0 takes a free one.
    pub default_port: u16,
    /// Whether it registers itself. The registry does not.
    pub register: bool,
    /// Whether the trace and correlation that a request brings are taken over. Not from outside.
    pub trusts_callers: bool,
}

/// A daemon at work: what its router is built from.
#[derive(Clone)]
pub struct Daemon {
    /// The settings.
    pub config: Config,
    /// The address listened on.
    pub address: SocketAddr,
    /// Where the others are.
    pub discovery: Discovery,
    /// Cancelled when the process is asked to end.
    pub drain: CancellationToken,
}

/// Runs a daemon until it is asked to end. `build` makes its routes; `/health`, `/metrics` and
/// `/breakers` are added.
pub fn run<F>(options: Options, build: F) -> ExitCode
where
    F: AsyncFnOnce(Daemon) -> Result<Router, Box<dyn Error + Send + Sync>>,
{
    process::run(options.name, options.default_port, &[], async move |mut config| {
        if let Some(listen) = options.listen {
            config.listen = listen;
        }
        let kind = Kind::Daemon { trusts_callers: options.trusts_callers };
        let process = Process::start(config, options.name, kind).await?;
        let daemon = Daemon {
            config: process.config.clone(),
            address: process.address,
            discovery: process.discovery.clone(),
            drain: process.drain.clone(),
        };
        let health = ops::Health {
            service: options.name,
            instance: process.config.instance.clone(),
            version: options.version,
            about: options.about,
            store: None,
            drain: process.drain.clone(),
        };
        let board = breakers::Board::of(&process, None, BTreeMap::new());
        let router = build(daemon)
            .await?
            .merge(ops::health(health))
            .merge(ops::metrics(process.metrics.clone()))
            .merge(breakers::routes(board));
        let registration =
            options.register.then(|| process.registration(options.version, "", options.about));
        process.serve(router, registration).await
    })
}
