//! A small HTTP server whose death closes all its connections, as a killed process's would.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

use super::within_limit;

/// A body of known or unknown length, that may never end.
pub(super) struct Answer {
    pub chunk: Option<Bytes>,
    pub announced: bool,
    pub stalls: bool,
}

impl From<&str> for Answer {
    fn from(text: &str) -> Self {
        let chunk = Some(Bytes::copy_from_slice(text.as_bytes()));
        Self { chunk, announced: true, stalls: false }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.chunk.take() {
            Some(chunk) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            None if self.stalls => Poll::Pending,
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.chunk {
            Some(chunk) if self.announced => SizeHint::with_exact(chunk.len() as u64),
            _ => SizeHint::default(),
        }
    }
}

pub(super) fn answer(status: u16, body: impl Into<Answer>) -> Response<Answer> {
    Response::builder().status(status).body(body.into()).unwrap()
}

/// Connections of a server so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connections {
    pub accepted: usize,
    pub open: usize,
    pub requests: usize,
}

pub(super) struct Server {
    pub address: SocketAddr,
    connections: watch::Sender<Connections>,
    _accepting: AbortOnDropHandle<()>,
}

impl Server {
    pub async fn start<F, Fut>(handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<Answer>> + Send + 'static,
    {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), handler)
    }

    pub fn on<F, Fut>(listener: TcpListener, handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<Answer>> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let connections = watch::Sender::new(Connections::default());
        let accepting = tokio::spawn(accept(listener, Arc::new(handler), connections.clone()));
        Self { address, connections, _accepting: AbortOnDropHandle::new(accepting) }
    }

    pub fn connections(&self) -> Connections {
        *self.connections.borrow()
    }

    /// Waits until the server sees this.
    pub async fn sees(&self, what: &str, wanted: impl Fn(Connections) -> bool) {
        let mut seen = self.connections.subscribe();
        let seen = within_limit(what, seen.wait_for(|seen| wanted(*seen))).await;
        drop(seen.unwrap());
    }
}

async fn accept<F, Fut>(
    listener: TcpListener,
    handler: Arc<F>,
    connections: watch::Sender<Connections>,
) where
    F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<Answer>> + Send + 'static,
{
    let mut serving = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (handler, connections) = (handler.clone(), connections.clone());
        connections.send_modify(|seen| {
            seen.accepted += 1;
            seen.open += 1;
        });
        serving.spawn(async move {
            let service = service_fn(|request| {
                connections.send_modify(|seen| seen.requests += 1);
                let answer = handler(request);
                async { Ok::<_, Infallible>(answer.await) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
            connections.send_modify(|seen| seen.open -= 1);
        });
    }
}

/// A port of our own: who connects is refused unless [`Port::listen`]'s listener lives. Nobody else
/// can take it between two listeners.
pub(super) struct Port {
    pub address: SocketAddr,
    _holder: TcpSocket,
}

impl Port {
    pub fn take() -> Self {
        let holder = Self::socket();
        holder.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        Self { address: holder.local_addr().unwrap(), _holder: holder }
    }

    pub fn listen(&self) -> TcpListener {
        let socket = Self::socket();
        socket.bind(self.address).unwrap();
        socket.listen(64).unwrap()
    }

    fn socket() -> TcpSocket {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.set_reuseport(true).unwrap();
        socket
    }
}
