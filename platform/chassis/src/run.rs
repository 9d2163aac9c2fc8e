//! A service's life: store, clients, consumers, routes.

use std::{process::ExitCode, sync::Arc, time::Duration};

use axum::Router;
use backline_events::{Consumer, Feed, FeedReader};
use backline_store::Store;
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use crate::{
    App, Config, Service, app, describe, idempotency, ops,
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
            .iter()
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
    let resources: Router<App> = service.resources.split_for_parts().0;
    let router = fallbacks(resources)
        .with_state(app)
        .merge(backline_events::routes(feed))
        .merge(ops::health(health))
        .merge(ops::metrics(process.metrics.clone()))
        .merge(ops::documentation(service.name, openapi, events));
    let registration = process.registration(service.version, service.owner, service.about);
    process.serve(router, Some(registration)).await?;
    // What they leave undone is done after the next start.
    let _ = tokio::time::timeout(LEAVE_WITHIN, join_all(working)).await;
    Ok(())
}

fn consume(service: &Service, app: &App, process: &Process, store: &Store) -> Vec<JoinHandle<()>> {
    service
        .reactions
        .iter()
        .map(|(producer, reactions)| {
            let reader = FeedReader::new(process.discovery.client(producer));
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
