use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use backline_chassis::daemon;

use crate::{Gateway, Public, Routing, follow};

/// Settings of the gateway.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Address to listen on [default: BACKLINE_LISTEN, otherwise 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Seconds that a service has for the head of its answer; after that the caller gets a 504
    #[arg(
        long,
        env = "GATEWAY_ANSWER_WITHIN",
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    pub answer_within: u64,
}

/// Runs the gateway until it is asked to end.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    let options = daemon::Options {
        name: "gateway",
        version: env!("CARGO_PKG_VERSION"),
        about: "The one address of the estate: forwards requests to public services.",
        listen: args.listen,
        default_port: 8080,
        register: true,
        trusts_callers: false,
    };
    daemon::run(options, async move |daemon| {
        let routing = Arc::new(Routing::default());
        let listed = daemon.config.discovery.starts_with("static:");
        let public = if listed { Public::All } else { Public::Tagged };
        follow(routing.clone(), daemon.discovery.clone(), public);
        Ok(Gateway::new(routing, daemon.discovery, Duration::from_secs(args.answer_within))
            .router())
    })
}
