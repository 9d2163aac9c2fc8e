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
use http::Request;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, signal::unix, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// A client that has not sent its whole head by then is cut off; idle connections likewise.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Head and buffers of a connection, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// How long requests that were accepted may go on after the process was asked to end.
const DRAIN_WITHIN: Duration = Duration::from_secs(3);

/// Serves until `drain` is cancelled, then finishes what it has accepted, within 3 s.
pub async fn serve(listener: TcpListener, router: Router, drain: CancellationToken) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(MAX_HEAD);
    let open = GracefulShutdown::new();
    let mut connections = JoinSet::new();
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
        let _ = stream.set_nodelay(true);
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
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_WITHIN, open.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
    connections.shutdown().await;
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
