//! The console over real sockets, against a registry and a monitor that a test moves.

mod api;
mod fakes;
mod keys;
mod live;
mod operator;
mod pages;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use backline_chassis::OperatorToken;
use backline_client::{Discovery, Purpose};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    console::{Console, Timings},
    operator::Operators,
    registry::Source,
    routes,
};
use fakes::{FakeMonitor, FakeRegistry};

const WITHIN: Duration = Duration::from_secs(20);

/// Everything that takes seconds in earnest, short.
const TIMINGS: Timings = Timings {
    wait: Duration::from_secs(5),
    quiet: Duration::from_millis(5),
    pause: Duration::from_millis(20),
    grace: Duration::from_secs(30),
    poll: Duration::from_millis(20),
    beat: Duration::from_millis(20),
};

struct Estate {
    registry: FakeRegistry,
    monitor: FakeMonitor,
    console: Arc<Console>,
    address: SocketAddr,
    drain: CancellationToken,
}

impl Estate {
    /// A registry with these entries, a monitor, and the console over them.
    async fn with(entries: &[Value]) -> Self {
        Self::operated(entries, None).await
    }

    async fn operated(entries: &[Value], token: Option<OperatorToken>) -> Self {
        let registry = FakeRegistry::start(entries).await;
        let monitor = FakeMonitor::start().await;
        let url = format!("consul://{}", registry.address());
        let source = Source::from_url(&url, "console-1").expect("a URL");
        let monitored = format!("static:monitor={}", monitor.address());
        let monitored = Discovery::from_url(&monitored, "console-1").expect("a URL");
        let monitored = monitored.client_for("monitor", Purpose::Operations);
        let discovery = Discovery::from_url(&url, "console-1").expect("a URL");
        let drain = CancellationToken::new();
        let operators = Operators::new(token, &discovery);
        let console =
            Console::start(source, &discovery, monitored, operators, None, TIMINGS, &drain);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = routes(console.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { registry, monitor, console, address, drain }
    }

    /// The usual: customers, one of two critical, and the gateway.
    async fn usual() -> Self {
        let estate = Self::with(&[
            entry("customers", "customers-1", 4001, "passing"),
            entry("customers", "customers-2", 4002, "critical"),
            daemon("gateway", 8080),
        ])
        .await;
        estate.page_with("/", "customers-2").await;
        estate
    }

    async fn get(&self, path: &str) -> Answer {
        self.get_with(path, "").await
    }

    async fn get_with(&self, path: &str, header: &str) -> Answer {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\n{header}Connection: close\r\n\r\n",
            self.address
        );
        self.exchange(&head).await
    }

    /// A form, sent as a browser does.
    async fn post(&self, path: &str, cookie: &str, form: &str) -> Answer {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.address,
            form.len(),
        );
        self.exchange(&head).await
    }

    async fn exchange(&self, head: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        stream.write_all(head.as_bytes()).await.expect("it reads");
        let mut text = String::new();
        let read = timeout(WITHIN, stream.read_to_string(&mut text)).await;
        read.expect("an answer in time").expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        Answer { head: head.to_lowercase(), body: body.to_owned() }
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await.body).expect("JSON")
    }

    /// The page, once it has this part.
    async fn page_with(&self, path: &str, part: &str) -> String {
        self.page_that(path, part, |body| body.contains(part)).await
    }

    async fn page_without(&self, path: &str, part: &str) -> String {
        self.page_that(path, part, |body| !body.contains(part)).await
    }

    async fn page_that(&self, path: &str, part: &str, holds: impl Fn(&str) -> bool) -> String {
        let mut body = String::new();
        let found = timeout(WITHIN, async {
            loop {
                body = self.get(path).await.body;
                if holds(&body) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let found = found.await.is_ok();
        assert!(found, "about '{part}': {body}");
        body
    }

    async fn watch(&self, path: &str) -> Events {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(head.as_bytes()).await.expect("it reads");
        Events(BufReader::new(stream))
    }
}

struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn status(&self) -> &str {
        &self.head["http/1.1 ".len()..][..3]
    }

    fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find_map(|(key, value)| (key == name).then_some(value)).unwrap_or("")
    }
}

struct Events(BufReader<TcpStream>);

impl Events {
    /// The next event's name and data; nothing when the stream has ended.
    async fn next(&mut self) -> Option<(String, String)> {
        let (mut name, mut data) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            let read =
                timeout(WITHIN, self.0.read_line(&mut line)).await.expect("an event in time");
            if read.unwrap_or(0) == 0 {
                return None;
            }
            let line = line.trim_end_matches(['\r', '\n']);
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.to_owned();
            } else if let Some(more) = line.strip_prefix("data:") {
                data.push_str(more.strip_prefix(' ').unwrap_or(more));
                data.push('\n');
            } else if line.is_empty() && !name.is_empty() {
                return Some((name, data));
            }
        }
    }

    /// The next main part.
    async fn main(&mut self) -> String {
        loop {
            let (name, data) = self.next().await.expect("the stream goes on");
            if name == "main" {
                return data;
            }
        }
    }
}

/// An entry of `/v1/health/service/<name>`.
fn entry(service: &str, id: &str, port: u16, status: &str) -> Value {
    let output = if status == "passing" { "" } else { "connection refused" };
    json!({
        "Node": { "Node": "n", "Address": "127.0.0.1" },
        "Service": {
            "ID": id, "Service": service, "Address": "127.0.0.1", "Port": port,
            "Tags": ["public", "zone=local"],
            "Meta": {
                "kind": "service", "version": "0.1.0", "zone": "local", "owner": "customer team",
                "about": "Keeps customers.", "started": "2026-01-02T03:04:05Z",
                "docs": "/docs", "openapi": "/openapi.json",
            },
        },
        "Checks": [{ "Status": status, "Output": output, "ServiceID": id }],
    })
}

fn daemon(name: &str, port: u16) -> Value {
    let mut entry = entry(name, &format!("{name}-1"), port, "passing");
    entry["Service"]["Tags"] = json!([]);
    entry["Service"]["Meta"] = json!({ "kind": "daemon", "version": "0.1.0", "about": "" });
    entry
}
