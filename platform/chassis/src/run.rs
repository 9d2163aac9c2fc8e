//! A service's life: store, clients, consumers, routes.

use std::{process::ExitCode, sync::Arc, time::Duration};

use axum::{Router, middleware::from_fn_with_state};
use backline_client::Purpose;
use backline_events::{Consumer, Feed, FeedReader};
use backline_resilience::Shed;
use backline_store::Store;
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use crate::{
    App, Config, Service,
    admission::{Admission, admit},
    app, breakers, describe,
    idempotency::{self, Running},
    ops,
    process::{self, Failed, Kind, Process, fallbacks},
    service::spawn_jobs,
};

/// How long jobs and consumers may take to end after the drain.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

pub(crate) fn run(service: Service) -> ExitCode {
    let settings = service.settings.clone();
    process::run(service.name, 0, &settings, async move |config| serve(service, config).await)
}

async fn serve(service: Service, config: Config) -> Result<(), Failed> {
    only_known(&service, &config)?;
    let mut migrations = vec![backline_events::MIGRATION, idempotency::MIGRATION];
    migrations.extend_from_slice(&service.migrations);
    let store = Store::open(&config.store, &migrations).await?;
    let process = Process::start(config, service.name, Kind::Service).await?;
    let app = App(Arc::new(app::Inner {
        service: service.name,
        config: process.config.clone(),
        store: store.clone(),
        clients: service
            .calls
            .keys()
            .map(|&dependency| (dependency, process.discovery.client(dependency)))
            .collect(),
        drain: process.drain.clone(),
    }));
    let feed = Feed::open(service.name, store.clone(), process.drain.clone()).await?;
    let health = ops::Health {
        service: service.name,
        instance: process.config.instance.clone(),
        version: service.version,
        about: service.about,
        store: Some(store.clone()),
        drain: process.drain.clone(),
    };
    let openapi = serde_json::to_string(&describe::openapi(&service))?;
    let events = describe::events(&service).to_string();
    let mut working = consume(&service, &app, &process, &store);
    working.extend(spawn_jobs(service.jobs, &app));
    working.push(tokio::spawn(idempotency::sweep(store, process.drain.clone())));
    let resources: Router<App> = service.resources.split_for_parts().0;
    let shed = Shed::new(process.config.limit.clone())?;
    let board = breakers::Board::of(&process, Some(shed.clone()), service.calls);
    let admission = Admission { shed, running: Running::default() };
    let router = fallbacks(resources)
        .layer(from_fn_with_state(Arc::new(admission), admit))
        .with_state(app)
        .merge(backline_events::routes(feed))
        .merge(ops::health(health))
        .merge(ops::metrics(process.metrics.clone()))
        .merge(breakers::routes(board))
        .merge(ops::documentation(service.name, openapi, events));
    let registration = process.registration(service.version, service.owner, service.about);
    process.serve(router, Some(registration)).await?;
    // What they leave undone is done after the next start.
    let _ = tokio::time::timeout(LEAVE_WITHIN, join_all(working)).await;
    Ok(())
}

/// Limits for calls that the service does not make are a mistake in a name.
fn only_known(service: &Service, config: &Config) -> Result<(), Failed> {
    let known =
        |name: &str| service.calls.contains_key(name) || service.reactions.contains_key(name);
    match config.calls.keys().find(|name| !known(name)) {
        None => Ok(()),
        Some(name) => {
            let known: Vec<_> =
                service.calls.keys().chain(service.reactions.keys()).copied().collect();
            Err(format!(
                "there are limits for calls to '{name}', which it does not call; it calls: {}",
                if known.is_empty() { "nobody".to_owned() } else { known.join(", ") }
            )
            .into())
        }
    }
}

fn consume(service: &Service, app: &App, process: &Process, store: &Store) -> Vec<JoinHandle<()>> {
    service
        .reactions
        .iter()
        .map(|(producer, reactions)| {
            let reader = FeedReader::new(process.discovery.client_for(producer, Purpose::Feed));
            let handler = reactions.handler(app.clone(), producer);
            let consumer = Consumer::new(*producer, reader, store.clone(), handler);
            let shutdown = process.drain.clone();
            let producer = *producer;
            tokio::spawn(async move {
                let ended = consumer.run(shutdown.clone()).await;
                if !shutdown.is_cancelled() {
                    // Without it the service would look well and do nothing.
                    tracing::error!(producer, ?ended, "the consumer ended; so does the process");
                    shutdown.cancel();
                }
            })
        })
        .collect()
}
