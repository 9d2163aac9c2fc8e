//! The site: it shows ads of two kinds, each from a service of its own, and calls them in one of
//! two ways.
//!
//! With the measures it calls as every service here does. Without them it calls as the story's site
//! did: all calls share one pool of workers, each call has a timeout, and the wait for a worker has
//! none.

use std::{process::ExitCode, sync::LazyLock, time::Duration};

use axum::routing::get;
use backline_chassis::{Answer, App, Cx, Problem, Query, Resource, Service};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use tokio::{sync::Semaphore, time::timeout};
use utoipa_axum::router::OpenApiRouter;

/// The workers of the one pool.
const WORKERS: usize = 800;
/// A worker's call ends after this time. That was in order.
const WORKED_FOR: Duration = Duration::from_secs(30);
/// Ads that do not come in this time are left out.
const SHOWN_WITHIN: Duration = Duration::from_millis(400);
/// `host:port` of the two services, separated by a comma: calls go there without the measures.
const UNGUARDED: &str = "CLASSIFIEDS_UNGUARDED";

static POOL: Semaphore = Semaphore::const_new(WORKERS);
#[expect(
    clippy::disallowed_methods,
    reason = "how not to call others: this is what the game day is about"
)]
static CLIENT: LazyLock<Client<HttpConnector, Empty<Bytes>>> =
    LazyLock::new(|| Client::builder(TokioExecutor::new()).build_http());

/// Runs the site.
pub fn run() -> ExitCode {
    let resources: OpenApiRouter<App> =
        OpenApiRouter::new().route("/classifieds/search", get(search));
    Service::named("classifieds")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A classified-ads site, for a game day.")
        .owner("game days")
        .resources(resources)
        .calls("new-ads", "the page comes without the new ads, and says so")
        .calls("old-ads", "the page comes without the old ads, and says so")
        .setting(UNGUARDED, |value| {
            let two = value.split(',').count() == 2;
            two.then_some(()).ok_or_else(|| "give host:port,host:port".to_owned())
        })
        .run()
}

#[derive(Deserialize)]
struct Search {
    ads: Kind,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    New,
    Old,
}

impl Kind {
    fn service(self) -> &'static str {
        match self {
            Self::New => "new-ads",
            Self::Old => "old-ads",
        }
    }
}

async fn search(cx: Cx, Query(search): Query<Search>) -> Answer {
    let service = search.ads.service();
    let path = format!("/{service}/search");
    if let Some(hosts) = cx.app().setting(UNGUARDED) {
        let (new, old) = hosts.split_once(',').unwrap_or_default();
        let host = if matches!(search.ads, Kind::New) { new } else { old };
        let ads = unguarded(&format!("http://{host}{path}")).await?;
        return Ok(page().field("ads", ads).into());
    }
    let together = cx.together(SHOWN_WITHIN);
    let ads = together.call(service, cx.client(service).get(&path)).await;
    let ads = ads.and_then(|answer| answer.json::<serde_json::Value>().ok());
    Ok(match ads {
        Some(found) => page().field("ads", &found["ads"]),
        None => page().field("missing", [service]),
    }
    .into())
}

fn page() -> Resource {
    Resource::new("/classifieds/search")
}

async fn unguarded(url: &str) -> Result<serde_json::Value, Problem> {
    let failed = |what: String| {
        Problem::new(StatusCode::BAD_GATEWAY, "dependency-failed", "The ads could not be fetched")
            .detail(what)
    };
    // As long as it takes: the pool's limit on this wait was off by default.
    let _worker = POOL.acquire().await.map_err(|error| failed(error.to_string()))?;
    let uri = url.parse().map_err(|error| failed(format!("{error}")))?;
    let call = async {
        let answer = CLIENT.get(uri).await.map_err(|error| failed(error.to_string()))?;
        let body = answer.into_body().collect().await.map_err(|error| failed(error.to_string()))?;
        let found: serde_json::Value =
            serde_json::from_slice(&body.to_bytes()).map_err(|error| failed(error.to_string()))?;
        Ok(found["ads"].clone())
    };
    timeout(WORKED_FOR, call).await.unwrap_or_else(|_| Err(failed("no answer in time".into())))
}
