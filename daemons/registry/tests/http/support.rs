//! A registry on a port of its own, and a client for it.

use std::{
    fs::Permissions,
    future::Future,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use axum::http::{HeaderMap, Method, Request};
use backline_chassis::OperatorToken;
use backline_registry::{Config, Registry};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Whatever is waited for comes within this time, or the test fails.
pub const SOON: Duration = Duration::from_secs(20);

pub struct Running {
    pub address: SocketAddr,
    pub drain: CancellationToken,
    folder: PathBuf,
    _end: DropGuard,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

pub const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Starts a registry whose index begins at 100. Nobody may write its keys.
pub async fn start() -> Running {
    start_in(folder(), None).await
}

/// The same, and who has [`TOKEN`] may write keys.
pub async fn start_for_operator() -> Running {
    let folder = folder();
    let file = folder.join("operator.token");
    std::fs::write(&file, TOKEN).expect("written");
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("ours");
    let operator = OperatorToken::read(&file).expect("a token");
    start_in(folder, Some(operator)).await
}

fn folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir()
        .join(format!("backline-registry-http-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

async fn start_in(folder: PathBuf, operator: Option<OperatorToken>) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let drain = CancellationToken::new();
    let registry = Registry::open(Config {
        node: "registry-1".into(),
        datacenter: "local".into(),
        environment: "test".into(),
        address,
        first_index: 100,
        store: format!("sqlite:{}", folder.join("registry.db").display()),
        operator,
        drain: drain.clone(),
    })
    .await
    .expect("a store");
    let router = registry.router();
    tokio::spawn(registry.run_checks());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Running { address, drain: drain.clone(), folder, _end: drain.drop_guard() }
}

impl Running {
    pub async fn get(&self, path: &str) -> Answer {
        call(self.address, Method::GET, path, Bytes::new()).await
    }

    pub async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        call(self.address, Method::PUT, path, body).await
    }

    /// A request of the operator's.
    pub async fn operate(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Answer {
        call_with(self.address, method, path, body.into(), &[("x-consul-token", TOKEN)]).await
    }

    pub async fn register(&self, body: Value) {
        let answer = self.put("/v1/agent/service/register", &body).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, ""), "{body}");
    }

    /// Asks by blocking queries until the answer is as wanted.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let asked = async {
            let mut index = 0;
            loop {
                let answer = self.get(&format!("{path}?index={index}&wait=1s")).await;
                let value = answer.json();
                if wanted(&value) {
                    return value;
                }
                index = answer.index();
            }
        };
        soon(asked).await
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn index(&self) -> u64 {
        let header = self.headers.get("x-consul-index").expect("an index");
        header.to_str().expect("text").parse().expect("a number")
    }
}

pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it should have happened by now")
}

pub async fn call(address: SocketAddr, method: Method, path: &str, body: Bytes) -> Answer {
    call_with(address, method, path, body, &[]).await
}

pub async fn call_with(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: Bytes,
    headers: &[(&str, &str)],
) -> Answer {
    let stream = TcpStream::connect(address).await.expect("the registry listens");
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", address.to_string());
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.body(Full::new(body)).expect("a request");
    let response = sender.send_request(request).await.expect("an answer");
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}
