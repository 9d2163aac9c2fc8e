//! The connections of one client: never more than its bulkhead has places, in use and idle together.
//!
//! A pool of our own, as the limit has to cover what waits (hyper-util's legacy client limits idle
//! connections only, and dials without end), and as each client is to have its own: a slow
//! dependency cannot take the connections to another.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use backline_resilience::Place;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::sync::lock;

/// An instance that does not even take the connection within this time counts as refusing.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// hyper needs a moment after an answer's last byte; a connection that needs longer (the request is
/// still being written) is not worth keeping.
const READY_WITHIN: Duration = Duration::from_millis(20);

/// One connection. Dropping it closes it.
pub(crate) struct Connection {
    pub address: SocketAddr,
    pub sender: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

pub(crate) struct Pool {
    most: usize,
    shelves: Shelves,
}

/// What slots share.
#[derive(Clone)]
struct Shelves {
    keep_for: Duration,
    /// One permit for each connection that may be open. A connection has it until it is closed,
    /// which is a moment after it was given up: without it, a new one would be open beside it.
    open: Arc<Semaphore>,
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Default)]
struct Shelf {
    /// Longest idle first.
    idle: VecDeque<(Instant, Connection)>,
    sweeping: bool,
}

impl Pool {
    pub fn new(most: usize, keep_for: Duration) -> Self {
        let open = Arc::new(Semaphore::new(most));
        let shelves = Shelves { keep_for, open, shelf: Arc::default() };
        Self { most, shelves }
    }

    /// The right to use one connection, for a place in the bulkhead.
    pub fn slot(&self, place: Place) -> Slot {
        Slot { shelves: self.shelves.clone(), _place: place }
    }

    /// Open connections, in use or idle.
    pub fn open(&self) -> usize {
        self.most - self.shelves.open.available_permits()
    }
}

/// The right to use one connection; given back when dropped.
pub(crate) struct Slot {
    shelves: Shelves,
    _place: Place,
}

impl Slot {
    /// The connection to `address` that was used last, if an idle one lives.
    pub fn idle(&self, address: SocketAddr) -> Option<Connection> {
        let mut shelf = lock(&self.shelves.shelf);
        let keep_for = self.shelves.keep_for;
        shelf.idle.retain(|(since, connection)| {
            connection.sender.is_ready() && since.elapsed() < keep_for
        });
        let newest = shelf.idle.iter().rposition(|(_, idle)| idle.address == address)?;
        shelf.idle.remove(newest).map(|(_, connection)| connection)
    }

    /// Closes the idle connections to `address`: one of them turned out to be stale.
    pub fn forget(&self, address: SocketAddr) {
        lock(&self.shelves.shelf).idle.retain(|(_, connection)| connection.address != address);
    }

    /// Within a second, or less: one that takes no connection must not cost the whole call.
    pub async fn connect(&self, address: SocketAddr, within: Duration) -> io::Result<Connection> {
        let permit = self.permit().await?;
        let stream = timeout(CONNECT_WITHIN.min(within), TcpStream::connect(address))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(io::Error::other)?;
        let driver = tokio::spawn(async move {
            // Dropped after the connection, however this ends.
            let _permit = permit;
            // Its failure reaches the request that it hits.
            let _ = connection.await;
        });
        Ok(Connection { address, sender, _driver: AbortOnDropHandle::new(driver) })
    }

    /// The right to open a connection. Whoever has a slot gets it: an idle connection makes room, and
    /// one that others have given up is about to be closed.
    async fn permit(&self) -> io::Result<OwnedSemaphorePermit> {
        let open = &self.shelves.open;
        if let Ok(permit) = open.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let oldest = lock(&self.shelves.shelf).idle.pop_front();
        drop(oldest);
        open.clone().acquire_owned().await.map_err(io::Error::other)
    }

    /// Keeps a connection whose answer was read to its end, for the next call.
    pub async fn keep(self, mut connection: Connection) {
        if !connection.sender.is_ready() {
            let ready = timeout(READY_WITHIN, connection.sender.ready()).await;
            if !matches!(ready, Ok(Ok(()))) {
                return;
            }
        }
        let mut shelf = lock(&self.shelves.shelf);
        shelf.idle.push_back((Instant::now(), connection));
        if !shelf.sweeping {
            shelf.sweeping = true;
            tokio::spawn(sweep(Arc::downgrade(&self.shelves.shelf), self.shelves.keep_for));
        }
    }
}

/// Closes connections that were idle for long, until none is idle or the client is gone.
async fn sweep(shelf: Weak<Mutex<Shelf>>, idle: Duration) {
    loop {
        let oldest = {
            let Some(shelf) = shelf.upgrade() else { return };
            let mut shelf = lock(&shelf);
            while shelf.idle.front().is_some_and(|(since, _)| since.elapsed() >= idle) {
                shelf.idle.pop_front();
            }
            match shelf.idle.front() {
                Some((since, _)) => *since,
                None => {
                    shelf.sweeping = false;
                    return;
                }
            }
        };
        sleep_until(oldest + idle).await;
    }
}
