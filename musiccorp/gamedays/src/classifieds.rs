//! The site: it shows ads of two kinds, each from a service of its own, and calls them in one of
//! two ways.
//!
//! With the measures it calls as every service here does. Without them it calls as the story's site
//! did: all calls share one pool of workers, each call has a timeout, and the wait for a worker has
//! none.

use std::{
    process::ExitCode,
    sync::{LazyLock, OnceLock},
    time::Duration,
};

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

/// A worker's call ends after this time. That was in order.
const WORKED_FOR: Duration = Duration::from_secs(30);
/// Ads that do not come in this time are left out.
const SHOWN_WITHIN: Duration = Duration::from_millis(400);
/// `host:port` of the two services and the number of workers, separated by commas: calls go there
/// without the measures.
const UNGUARDED: &str = "CLASSIFIEDS_UNGUARDED";

/// The workers of the one pool; their number is set at the first call.
static POOL: OnceLock<Semaphore> = OnceLock::new();
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
            let right = || "give host:port,host:port,WORKERS".to_owned();
            Pool::read(value).map(drop).ok_or_else(right)
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
    if let Some(pool) = cx.app().setting(UNGUARDED).and_then(Pool::read) {
        let host = if matches!(search.ads, Kind::New) { pool.new } else { pool.old };
        // As with a thread for each request, the work goes on when the caller has given up.
        let work = unguarded(format!("http://{host}{path}"), pool.workers);
        let ads = tokio::spawn(work).await.map_err(|error| failed(error.to_string()))??;
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

/// Where unguarded calls go, and how many there may be.
struct Pool<'a> {
    new: &'a str,
    old: &'a str,
    workers: usize,
}

impl<'a> Pool<'a> {
    fn read(setting: &'a str) -> Option<Self> {
        let mut parts = setting.split(',');
        let (new, old) = (parts.next()?, parts.next()?);
        let workers = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { new, old, workers })
    }
}

fn failed(what: String) -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "dependency-failed", "The ads could not be fetched")
        .detail(what)
}

async fn unguarded(url: String, workers: usize) -> Result<serde_json::Value, Problem> {
    let pool = POOL.get_or_init(|| Semaphore::new(workers));
    // As long as it takes: the pool's limit on this wait was off by default.
    let _worker = pool.acquire().await.map_err(|error| failed(error.to_string()))?;
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
