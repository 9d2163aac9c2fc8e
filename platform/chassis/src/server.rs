//! The HTTP server of every process: bounded heads, slow clients cut off, graceful end.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::ConnectInfo};
use backline_hypermedia::{Format, Problem, render_problem};
use http::{Request, StatusCode};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    signal::unix,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// A client that has not sent its whole head by then is cut off; idle connections likewise.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Head and buffers of a connection, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Headers of a request. hyper answers 431 beyond it (RFC 6585, section 5).
const MAX_HEADERS: usize = 100;
/// Connections at once. Each costs some kilobytes even while it is idle.
const MAX_CONNECTIONS: usize = 4096;
/// A client that does not take what it asked for is cut off after this time (RFC 5482: the time
/// that sent data may stay unacknowledged; Linux counts a closed window in).
const TAKEN_WITHIN_MS: u32 = 30_000;
/// Connections beyond the limit that are told so at once; further ones are just closed.
const MAX_REFUSALS: usize = 64;
/// How long a connection beyond the limit may take to read so.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);
/// How long requests that were accepted may go on after the process was asked to end.
const DRAIN_WITHIN: Duration = Duration::from_secs(3);

/// Serves until `drain` is cancelled, then finishes what it has accepted, within 3 s.
pub async fn serve(listener: TcpListener, router: Router, drain: CancellationToken) {
    serve_up_to(MAX_CONNECTIONS, listener, router, drain).await;
}

async fn serve_up_to(most: usize, listener: TcpListener, router: Router, drain: CancellationToken) {
    let server = with_limits();
    let open = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let places = Arc::new(Semaphore::new(most));
    let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, or a client that is gone already. Neither ends the server.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
            () = drain.cancelled() => break,
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            metrics::counter!("http_connections_refused_total").increment(1);
            tracing::warn!(connections = most, "a connection too many was refused");
            if let Ok(place) = refusals.clone().try_acquire_owned() {
                connections.spawn(refuse(stream, place));
            }
            continue;
        };
        let _ = stream.set_nodelay(true);
        let _ = set_tcp_user_timeout(&stream, TAKEN_WITHIN_MS);
        let used = Arc::new(AtomicBool::new(false));
        let uses = used.clone();
        let service = router.clone().map_request(move |mut request: Request<Incoming>| {
            uses.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        });
        let service = TowerToHyperService::new(service);
        let connection = open.watch(server.serve_connection(TokioIo::new(stream), service));
        let drain = drain.clone();
        connections.spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                },
                // Browsers open connections ahead of need; a drain would wait for their first request.
                () = unused_at(&drain, &used) => {}
            }
            drop(place);
        });
    }
    drop(listener);
    if timeout(DRAIN_WITHIN, open.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
    connections.shutdown().await;
}

fn with_limits() -> http1::Builder {
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS);
    server
}

/// Tells a connection beyond the limit so. It did not come to a request yet: there is no trace to
/// name and nothing to negotiate.
async fn refuse(mut stream: TcpStream, _place: OwnedSemaphorePermit) {
    let title = "This process has as many connections as it takes";
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-connections", title);
    let rendered = render_problem(&problem, Format::Json);
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: {}\r\nRetry-After: 1\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        rendered.content_type,
        rendered.body.len()
    );
    let told = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&rendered.body).await?;
        stream.shutdown().await?;
        // Closed with its request unread, it would take the answer along.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    let _ = timeout(REFUSED_WITHIN, told).await;
}

/// Ready at the drain, if the connection has carried no request by then.
async fn unused_at(drain: &CancellationToken, used: &AtomicBool) {
    drain.cancelled().await;
    if used.load(Ordering::Relaxed) {
        std::future::pending().await
    }
}

/// Cancelled when the process is asked to end (SIGTERM, SIGINT).
///
/// # Errors
/// When the signals cannot be watched.
pub fn shutdown_signal() -> io::Result<CancellationToken> {
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
    let drain = CancellationToken::new();
    let token = drain.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        token.cancel();
    });
    Ok(drain)
}

/// Tells the address to whoever started the process; the file is whole or absent.
///
/// # Errors
/// When the file cannot be written.
pub fn write_address(file: &Path, address: SocketAddr) -> io::Result<()> {
    let unfinished = file.with_extension("new");
    std::fs::write(&unfinished, address.to_string())?;
    std::fs::rename(unfinished, file)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        sync::Notify,
    };

    use super::*;

    #[tokio::test]
    async fn a_connection_too_many_is_told_so_and_a_freed_place_is_used() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/", get(async || "hello"));
        tokio::spawn(serve_up_to(1, listener, router, CancellationToken::new()));
        let mut first = TcpStream::connect(address).await.expect("a connection");
        first.write_all(REQUEST).await.expect("a request");
        let mut head = [0; 12];
        first.read_exact(&mut head).await.expect("an answer");
        assert_eq!(&head, b"HTTP/1.1 200");
        let mut answer = String::new();
        let mut second = TcpStream::connect(address).await.expect("a connection");
        second.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        let problem = answer.split("\r\n\r\n").nth(1).expect("a body");
        let problem: serde_json::Value = serde_json::from_str(problem).expect("JSON");
        assert_eq!(problem["type"], "urn:backline:error:too-many-connections");
        drop(first);
        // The place is free as soon as the server has seen the end.
        for _ in 0..1000 {
            let mut next = TcpStream::connect(address).await.expect("a connection");
            let mut head = [0; 12];
            if next.write_all(REQUEST).await.is_ok()
                && next.read_exact(&mut head).await.is_ok()
                && &head == b"HTTP/1.1 200"
            {
                return;
            }
        }
        panic!("the place stayed taken");
    }

    #[tokio::test]
    async fn a_head_with_too_many_fields_is_refused() {
        let (address, ..) = start(Router::new().route("/", get(async || "hello"))).await;
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let fields: String = (0..=MAX_HEADERS).map(|n| format!("X-{n}: y\r\n")).collect();
        let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    async fn start(router: Router) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let drain = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, router, drain.clone()));
        (address, drain, serving)
    }

    #[tokio::test]
    async fn a_drain_finishes_what_was_accepted_and_waits_for_nobody_else() {
        let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (inside, outside) = (entered.clone(), leave.clone());
        let slow = get(async move || {
            inside.notify_one();
            outside.notified().await;
            "done"
        });
        let (address, drain, serving) = start(Router::new().route("/", slow)).await;
        let mut silent = TcpStream::connect(address).await.expect("a connection");
        let mut busy = TcpStream::connect(address).await.expect("a connection");
        busy.write_all(REQUEST).await.expect("a request");
        entered.notified().await;
        drain.cancel();
        // The connection without a request ends at once, while the other is still served.
        assert_eq!(silent.read(&mut [0; 1]).await.expect("the end"), 0);
        assert!(!serving.is_finished());
        leave.notify_one();
        let mut answer = String::new();
        busy.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.ends_with("done"), "{answer}");
        serving.await.expect("no panic");
        assert!(TcpStream::connect(address).await.is_err());
    }
}
