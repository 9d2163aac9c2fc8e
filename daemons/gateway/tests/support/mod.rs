//! A real gateway (listener, guard and all) in this process, small services behind it, and a client
//! that sees bytes.
#![expect(dead_code, reason = "each test program uses a part of it")]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use axum::Router;
use backline_chassis::{CancellationToken, daemon};
use backline_client::{Discovery, Instance};
use backline_gateway::{Gateway, Routing};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

/// Longer than anything here takes; a test that waits so long has failed.
pub const ENOUGH: Duration = Duration::from_secs(20);

pub struct Running {
    pub address: SocketAddr,
    pub routing: Arc<Routing>,
    pub drain: CancellationToken,
    pub ended: JoinHandle<std::process::ExitCode>,
}

/// Starts a gateway on a thread of its own. One for each test program: it records metrics for the
/// whole process.
pub fn start(answer_within: Duration) -> Running {
    let routing = Arc::new(Routing::default());
    let (tell, told) = mpsc::channel();
    let routes = routing.clone();
    let ended = std::thread::spawn(move || {
        let options = daemon::Options {
            name: "gateway",
            version: "0.0.0",
            about: "under test",
            listen: Some(([127, 0, 0, 1], 0).into()),
            default_port: 0,
            register: false,
            trusts_callers: false,
        };
        daemon::run(options, async move |daemon| {
            tell.send((daemon.address, daemon.drain.clone()))?;
            let nobody_else = Discovery::from_url("static:", "gateway-1")?;
            Ok(Gateway::new(routes, nobody_else, answer_within).router())
        })
    });
    let (address, drain) = told.recv_timeout(ENOUGH).expect("the gateway starts");
    Running { address, routing, drain, ended }
}

impl Running {
    /// Makes these the healthy instances of a service.
    pub fn route(&self, service: &str, instances: &[SocketAddr]) {
        let instances: Vec<Instance> = instances
            .iter()
            .enumerate()
            .map(|(at, address)| Instance {
                id: format!("{service}-{}", at + 1),
                service: service.to_owned(),
                address: *address,
                version: "0.1.0".into(),
                zone: "local".into(),
                meta: BTreeMap::new(),
            })
            .collect();
        self.routing.set(service, &instances);
    }

    /// One request on a connection of its own, which ends with the answer.
    pub async fn ask(&self, request_line: &str, headers: &str, body: &str) -> Answer {
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let raw = format!(
            "{request_line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{length}{headers}\r\n{body}",
            self.address
        );
        self.raw(raw.as_bytes()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), "", "").await
    }

    /// Sends bytes and reads until the gateway closes the connection.
    pub async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        // A gateway that has refused may have closed before it got all.
        let _ = stream.write_all(bytes).await;
        let mut all = Vec::new();
        let read = timeout(ENOUGH, stream.read_to_end(&mut all)).await;
        let _ = read.expect("the gateway answers and closes");
        Answer::parse(&all)
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the gateway listens")
    }
}

/// What came back, with everything behind the first answer's head as its body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut answer = Self { status, head: head.to_lowercase(), body: body.to_owned() };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = joined(body);
        }
        answer
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    pub fn headers(&self, name: &str) -> Vec<&str> {
        let line = |line: &&'_ str| line.split_once(": ").is_some_and(|(n, _)| n == name);
        let value = |line: &'_ str| line.split_once(": ").map(|(_, value)| value.len());
        self.head
            .split("\r\n")
            .filter(line)
            .filter_map(|l| value(l).map(|length| &l[l.len() - length..]))
            .collect()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The code of a problem, after checking what every problem has.
    pub fn code(&self) -> String {
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert_eq!(problem["trace_id"].as_str(), self.header("trace-id"), "{self:?}");
        assert_eq!(self.headers("trace-id").len(), 1, "{self:?}");
        let kind = problem["type"].as_str().unwrap_or_default();
        kind.trim_start_matches("urn:backline:error:").to_owned()
    }
}

/// The data of a chunked body.
fn joined(mut chunks: &str) -> String {
    let mut data = String::new();
    while let Some((size, rest)) = chunks.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk's size");
        if size == 0 {
            break;
        }
        data.push_str(&rest[..size]);
        chunks = &rest[size + 2..];
    }
    data
}

/// A service behind the gateway; it ends with its handle.
pub struct Service {
    pub address: SocketAddr,
    _serving: AbortOnDropHandle<()>,
}

pub async fn serve(router: Router) -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let serving = tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    Service { address, _serving: AbortOnDropHandle::new(serving) }
}

/// A service that answers with its name.
pub async fn named(name: &'static str) -> Service {
    serve(Router::new().fallback(async move || name)).await
}

/// A service that reads what comes first on a connection (`seen`), says something or nothing, and
/// then cuts the connection or stays silent.
pub struct Scripted {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Vec<String>>>,
    _serving: AbortOnDropHandle<()>,
}

/// Says `answer`, or nothing, and cuts.
pub async fn scripted(answer: Option<&'static str>) -> Scripted {
    script(answer, false).await
}

/// Never says anything.
pub async fn scripted_silent() -> Scripted {
    script(None, true).await
}

async fn script(answer: Option<&'static str>, stays: bool) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let seen_by_it = seen.clone();
    let serving = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 64 * 1024];
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
            seen_by_it.lock().expect("a lock").push(text);
            if let Some(answer) = answer {
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            if stays {
                open.push(stream);
            }
        }
    });
    Scripted { address, seen, _serving: AbortOnDropHandle::new(serving) }
}

impl Scripted {
    pub fn count(&self) -> usize {
        self.seen.lock().expect("a lock").len()
    }
}

/// An address where nobody listens.
pub async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("an address")
}
