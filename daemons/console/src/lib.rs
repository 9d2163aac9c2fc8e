//! The console: the whole estate on one page, for people, and the same as JSON.
//!
//! It shows every service and daemon that the registry knows, healthy or not, and every instance of
//! the declared processes that the monitor observes. Pages are rendered here and pushed when they
//! have changed (server-sent events), so that what is on the screen is what is so; without scripts
//! they are plain pages. What it knows stays on the page while registry or monitor are away, with
//! its age.
//!
//! Operators who have the token stop and let go calls here; that is kept by the registry.
//!
//! What it refuses to do: keep anything on disk, ask a service for its data, and hold a rule of the
//! business. What it says on the wire is in `docs/wire/console.md`.

mod api;
mod assets;
mod audit;
mod boards;
mod catalog;
mod console;
mod live;
mod monitor;
mod operator;
mod pages;
mod problems;
mod processes;
mod registry;
mod returning;
mod steering;
mod view;

#[cfg(test)]
mod tests;

use std::{error::Error, net::SocketAddr, process::ExitCode, sync::Arc};

use axum::Router;
use backline_chassis::daemon::{self, Daemon, Options};
use backline_client::Purpose;

use console::{Console, Timings};
use operator::Operators;
use registry::Source;

/// Settings of the console.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to listen on [default: BACKLINE_LISTEN, otherwise 127.0.0.1:8070]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where links to resources lead, such as http://127.0.0.1:8080 [default: the gateway that is
    /// registered]
    #[arg(long, env = "CONSOLE_GATEWAY", value_name = "URL", value_parser = gateway)]
    gateway: Option<String>,
}

/// Runs the console until it is asked to end.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    let options = Options {
        name: "console",
        version: env!("CARGO_PKG_VERSION"),
        about: "Shows people every service, daemon and process, live.",
        listen: args.listen,
        default_port: 8070,
        register: true,
        trusts_callers: false,
    };
    daemon::run(options, async move |daemon| build(&daemon, args.gateway))
}

fn build(daemon: &Daemon, gateway: Option<String>) -> Result<Router, Box<dyn Error + Send + Sync>> {
    let source = Source::from_url(&daemon.config.discovery, &daemon.config.instance)?;
    let operators = Operators::new(daemon.config.operator.clone(), &daemon.discovery);
    let console = Console::start(
        source,
        &daemon.discovery,
        daemon.discovery.client_for("monitor", Purpose::Operations),
        operators,
        gateway,
        Timings::default(),
        &daemon.drain,
    );
    Ok(routes(console))
}

/// All paths of the console but the operational ones, which the chassis adds.
fn routes(console: Arc<Console>) -> Router {
    let fallback = async |path: http::Uri, trace| problems::not_found(path.path(), trace);
    pages::routes()
        .merge(steering::routes())
        .merge(live::routes())
        .merge(api::routes())
        .with_state(console)
        .merge(assets::routes())
        .fallback(fallback)
}

/// A URL that links can begin with: scheme and authority, no more than a path behind.
fn gateway(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|error| format!("no URL: {error}"))?;
    let plain = matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.query().is_none()
        && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    match plain {
        true => Ok(text.trim_end_matches('/').to_owned()),
        false => Err("give scheme, host and port, such as http://127.0.0.1:8080".into()),
    }
}
