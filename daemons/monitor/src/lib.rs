//! The monitor: choreographed processes, made visible.
//!
//! Nobody directs a choreographed process, so nobody sees whether it went well. The monitor holds a
//! declared flowchart of each process against the events that really happened, matched by their
//! correlation id, and says which steps are done, awaited, late or missing, and what happened that
//! no step expects.
//!
//! It reads feeds like any other consumer, keeps its own place and its own store, and may be away
//! for as long as it likes: it loses nothing and invents nothing. It takes no part in a process and
//! holds no rule of the business.

mod api;
mod declaration;
mod evaluation;
mod observer;
mod store;

use std::{error::Error, path::PathBuf, process::ExitCode, sync::Arc};

use axum::Router;
use backline_chassis::daemon::{self, Daemon, Options};
use backline_client::Purpose;
use backline_events::{Consumer, FeedReader};
use backline_store::Store;

use declaration::Declarations;
use observer::Observer;

/// `backline monitor`: matches events with the processes declared in a folder.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen, such as 127.0.0.1:0
    #[arg(long)]
    listen: Option<std::net::SocketAddr>,
    /// Folder with a declaration (TOML) for each process; none by default
    #[arg(long, env = "MONITOR_PROCESSES")]
    processes: Option<PathBuf>,
}

/// Runs the monitor until it is asked to end.
pub fn run(args: Args) -> ExitCode {
    let options = Options {
        name: "monitor",
        version: env!("CARGO_PKG_VERSION"),
        about: "Holds declared processes against what really happened.",
        listen: args.listen,
        default_port: 0,
        register: true,
        trusts_callers: true,
    };
    daemon::run(options, async move |daemon| build(daemon, args.processes).await)
}

async fn build(
    daemon: Daemon,
    processes: Option<PathBuf>,
) -> Result<Router, Box<dyn Error + Send + Sync>> {
    let declarations = match &processes {
        Some(folder) => Declarations::read(folder)?,
        None => Declarations::default(),
    };
    let declarations = Arc::new(declarations);
    let store =
        Store::open(&daemon.config.store, &[backline_events::MIGRATION, store::MIGRATION]).await?;
    store::follow_declarations(&store, &declarations).await?;
    for producer in declarations.producers() {
        let reader = FeedReader::new(daemon.discovery.client_for(&producer, Purpose::Feed));
        let observer = Observer::new(&producer, store.clone(), declarations.clone());
        let consumer = Consumer::new(&producer, reader, store.clone(), Arc::new(observer));
        let drain = daemon.drain.clone();
        tokio::spawn(async move {
            let ended = consumer.run(drain.clone()).await;
            if !drain.is_cancelled() {
                tracing::error!(producer, ?ended, "the consumer ended; so does the process");
                drain.cancel();
            }
        });
    }
    Ok(api::routes(store, declarations))
}
