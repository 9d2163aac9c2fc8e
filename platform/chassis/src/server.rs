//! The HTTP server of every process: bounded heads, slow clients cut off, graceful end.

use std::{io, net::SocketAddr, path::Path, time::Duration};

use axum::{Extension, Router, extract::ConnectInfo};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, signal::unix, task::JoinSet};
use tokio_util::sync::CancellationToken;

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
        let router = router.clone().layer(Extension(ConnectInfo(peer)));
        let service = TowerToHyperService::new(router);
        let connection = open.watch(server.serve_connection(TokioIo::new(stream), service));
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_WITHIN, open.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
    connections.shutdown().await;
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
