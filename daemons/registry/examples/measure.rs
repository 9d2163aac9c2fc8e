//! Measures look-ups a second, how long a change takes to reach every watcher, and what checks cost.
//!
//! `cargo run --release -p backline-registry --example measure`: a registry and its clients in one
//! process, over loopback; 450 services of 10 instances, one watcher for each instance; then 2,000
//! HTTP checks with an interval of a second.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use backline_registry::{Config, Registry};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

const SERVICES: usize = 450;
const INSTANCES: usize = 10;
const CONNECTIONS: usize = 64;
const CHECKS: usize = 2_000;
const CHECKS_FOR: Duration = Duration::from_secs(5);
const LOOKUPS_FOR: Duration = Duration::from_secs(3);

#[tokio::main]
#[expect(clippy::print_stdout, reason = "its output is what it is for")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = start().await?;
    let began = Instant::now();
    let mut client = Client::connect(address).await;
    for service in 0..SERVICES {
        for instance in 0..INSTANCES {
            client.register(service, instance, 1).await;
        }
    }
    let registered = began.elapsed();
    println!("registered {} instances in {registered:.2?}", SERVICES * INSTANCES);

    let mut askers = JoinSet::new();
    for n in 0..CONNECTIONS {
        askers.spawn(look_up(address, n));
    }
    let answered: usize = askers.join_all().await.into_iter().sum();
    println!("{:.0} look-ups/s", answered as f64 / LOOKUPS_FOR.as_secs_f64());

    let mut watchers = JoinSet::new();
    for n in 0..SERVICES * INSTANCES {
        let mut client = Client::connect(address).await;
        let (_, index) = client.get(&path(n % SERVICES)).await;
        watchers.spawn(async move {
            client.get(&format!("{}&index={index}&wait=10m", path(n % SERVICES))).await;
            Instant::now()
        });
    }
    // Whoever is spawned last has asked by the time an unrelated wait is over.
    let (_, index) = client.get("/v1/health/service/nobody?passing").await;
    client.get(&format!("/v1/health/service/nobody?passing&index={index}&wait=2s")).await;
    let began = Instant::now();
    for service in 0..SERVICES {
        client.register(service, 0, 2).await;
    }
    let changed = began.elapsed();
    let told = watchers.join_all().await;
    let last = told.into_iter().max().unwrap_or(began).saturating_duration_since(began);
    println!(
        "{SERVICES} changes in {changed:.2?}; all {} watchers told after {last:.2?}",
        SERVICES * INSTANCES
    );
    checks(&mut client).await?;
    Ok(())
}

async fn start() -> Result<SocketAddr, Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let name = format!("backline-registry-measure-{}.db", std::process::id());
    let registry = Registry::open(Config {
        node: "registry-1".into(),
        datacenter: "local".into(),
        environment: "measure".into(),
        address,
        first_index: 1,
        store: format!("sqlite:{}", std::env::temp_dir().join(name).display()),
        operator: None,
        drain: CancellationToken::new(),
    })
    .await?;
    let router = registry.router();
    tokio::spawn(registry.run_checks());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// Registers instances that are checked each second, and counts the checks that come.
#[expect(clippy::print_stdout, reason = "its output is what it is for")]
async fn checks(client: &mut Client) -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = seen.clone();
    let health = axum::routing::get(async move || {
        counted.fetch_add(1, Ordering::Relaxed);
        "well"
    });
    let router = axum::Router::new().route("/health", health);
    tokio::spawn(async move { axum::serve(listener, router).await });
    for n in 0..CHECKS {
        let body = format!(
            r#"{{"Name":"checked","ID":"checked-{n}","Check":{{"HTTP":"http://{address}/health","Interval":"1s"}}}}"#
        );
        client.call(Method::PUT, "/v1/agent/service/register", body).await;
    }
    let (cpu, count) = (cpu_time()?, seen.load(Ordering::Relaxed));
    tokio::time::sleep(CHECKS_FOR).await;
    let (cpu, count) = (cpu_time()? - cpu, seen.load(Ordering::Relaxed) - count);
    println!(
        "{CHECKS} checks each second: {:.0}/s, {:.0} us of CPU each, the checked server's included",
        count as f64 / CHECKS_FOR.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / count as f64
    );
    Ok(())
}

/// What this process has used, from proc(5): user and system time in hundredths of a second.
fn cpu_time() -> Result<Duration, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).flat_map(str::parse::<u64>).sum();
    Ok(Duration::from_millis(ticks * 10))
}

fn path(service: usize) -> String {
    format!("/v1/health/service/service-{service}?passing")
}

async fn look_up(address: SocketAddr, first: usize) -> usize {
    let mut client = Client::connect(address).await;
    let began = Instant::now();
    let mut answered = 0;
    while began.elapsed() < LOOKUPS_FOR {
        client.get(&path((first + answered) % SERVICES)).await;
        answered += 1;
    }
    answered
}

struct Client {
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Client {
    #[expect(clippy::expect_used, reason = "without an answer there is nothing to measure")]
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the registry listens");
        stream.set_nodelay(true).expect("a TCP socket");
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(connection);
        Self { sender }
    }

    async fn register(&mut self, service: usize, instance: usize, port: u16) {
        let body = format!(
            r#"{{"Name":"service-{service}","ID":"service-{service}-{instance}","Address":"127.0.0.1","Port":{port},
            "Tags":["zone=local","version=0.1.0"],"Meta":{{"owner":"a team","version":"0.1.0"}},
            "Check":{{"TTL":"1h","Status":"passing"}}}}"#
        );
        self.call(Method::PUT, "/v1/agent/service/register", body).await;
    }

    async fn get(&mut self, path: &str) -> (Bytes, u64) {
        self.call(Method::GET, path, String::new()).await
    }

    #[expect(clippy::expect_used, reason = "without an answer there is nothing to measure")]
    async fn call(&mut self, method: Method, path: &str, body: String) -> (Bytes, u64) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .body(Full::from(body))
            .expect("a request");
        self.sender.ready().await.expect("open");
        let response = self.sender.send_request(request).await.expect("an answer");
        assert!(response.status().is_success(), "{path}: {}", response.status());
        let index = response.headers().get("x-consul-index");
        let index = index.and_then(|i| i.to_str().ok()?.parse().ok()).unwrap_or(0);
        (response.into_body().collect().await.expect("a body").to_bytes(), index)
    }
}
