//! The generator's own HTTP client: as little as can be between a request and the wire.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::{Failure, Shape};

type Sender = SendRequest<Full<Bytes>>;

/// Connections to all servers, never more than asked for at once.
#[derive(Clone)]
pub(crate) struct Client(Arc<Inner>);

struct Inner {
    /// One for each request that has its turn.
    places: Semaphore,
    /// One for each connection until its socket is closed, also where no request uses it.
    sockets: Arc<Semaphore>,
    idle: Mutex<HashMap<SocketAddr, Vec<Sender>>>,
}

impl Client {
    pub fn new(connections: usize) -> Self {
        let connections = connections.min(Semaphore::MAX_PERMITS);
        let (places, sockets) = (Semaphore::new(connections), Semaphore::new(connections).into());
        Self(Arc::new(Inner { places, sockets, idle: Mutex::default() }))
    }

    /// Sends one request, and reads its answer to the end before `end`.
    pub async fn send(&self, shape: &Shape, end: Instant) -> Result<(), Failure> {
        let place = timeout_at(end, self.0.places.acquire()).await;
        let Ok(Ok(_place)) = place else { return Err(Failure::NoConnection) };
        let answered = timeout_at(end, self.exchange(shape)).await;
        answered.unwrap_or(Err(Failure::Timeout))
    }

    async fn exchange(&self, shape: &Shape) -> Result<(), Failure> {
        let mut sender = match self.idle(shape.address) {
            Some(sender) => sender,
            None => {
                let socket = self.socket().await.ok_or(Failure::NoConnection)?;
                connect(shape.address, socket).await.map_err(|_| Failure::Connect)?
            }
        };
        let answer = sender.send_request(request(shape)).await.map_err(|_| Failure::Cut)?;
        let (head, mut body) = answer.into_parts();
        while let Some(frame) = body.frame().await {
            frame.map_err(|_| Failure::Cut)?;
        }
        self.keep(shape.address, sender).await;
        match head.status.as_u16() {
            status if (shape.accepted)(status) => Ok(()),
            status => Err(Failure::Status(status)),
        }
    }

    /// The right to open a connection. Where all are open, one to another server has to go: as there
    /// are no more requests in their turn than connections, one of them is idle or closing.
    async fn socket(&self) -> Option<OwnedSemaphorePermit> {
        let sockets = &self.0.sockets;
        if let Ok(socket) = sockets.clone().try_acquire_owned() {
            return Some(socket);
        }
        drop(self.lock().values_mut().find_map(Vec::pop));
        sockets.clone().acquire_owned().await.ok()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Vec<Sender>>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self, address: SocketAddr) -> Option<Sender> {
        let mut idle = self.lock();
        let kept = idle.get_mut(&address)?;
        while let Some(sender) = kept.pop() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    async fn keep(&self, address: SocketAddr, mut sender: Sender) {
        if sender.ready().await.is_ok() {
            self.lock().entry(address).or_default().push(sender);
        }
    }
}

async fn connect(
    address: SocketAddr,
    socket: OwnedSemaphorePermit,
) -> Result<Sender, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // Its failure reaches the request that it hits.
        let _ = connection.await;
        // The connection has closed its socket before the next may be opened.
        drop(socket);
    });
    Ok(sender)
}

fn request(shape: &Shape) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(shape.body.clone()));
    *request.method_mut() = shape.method.clone();
    *request.uri_mut() = shape.target.clone();
    *request.headers_mut() = shape.headers.clone();
    request
}
