//! A service that knows classified ads, and can be made dead slow.

use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::routing::{get, post};
use backline_chassis::{Answer, App, Json, Resource, Service};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;

/// How long each answer takes, in milliseconds.
static DELAY_MS: AtomicU64 = AtomicU64::new(0);

/// What the game day does to it.
#[derive(Deserialize)]
struct Mood {
    delay_ms: u64,
}

/// Runs the ads service of this name.
pub fn run(name: &'static str) -> ExitCode {
    let resources: OpenApiRouter<App> = OpenApiRouter::new()
        .route(&format!("/{name}/search"), get(async move || search(name).await))
        .route(&format!("/{name}/mood"), post(mood));
    Service::named(name)
        .version(env!("CARGO_PKG_VERSION"))
        .about("Classified ads, for a game day.")
        .owner("game days")
        .resources(resources)
        .run()
}

async fn search(name: &str) -> Answer {
    let delay = Duration::from_millis(DELAY_MS.load(Ordering::Relaxed));
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let ads = ["A bicycle", "Half a drum kit", "A sofa, to be fetched"];
    Ok(Resource::new(format!("/{name}/search")).field("ads", ads).into())
}

async fn mood(Json(mood): Json<Mood>) -> Answer {
    DELAY_MS.store(mood.delay_ms, Ordering::Relaxed);
    Ok(Resource::new("").field("delay_ms", mood.delay_ms).into())
}
