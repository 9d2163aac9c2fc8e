//! One connection, from its begin to its end.

use std::net::SocketAddr;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use fastrand::Rng;
use tokio::{net::TcpStream, sync::watch};

use crate::{
    Counts, Faults,
    flow::{End, carry},
};

/// What all connections of a proxy share.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    open: AtomicU64,
    total: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
}

impl Counters {
    pub fn read(&self) -> Counts {
        Counts {
            open: self.open.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
            bytes_up: self.up.load(Ordering::Relaxed),
            bytes_down: self.down.load(Ordering::Relaxed),
        }
    }
}

/// A connection that was accepted.
pub(crate) struct Relay {
    pub client: TcpStream,
    pub upstream: SocketAddr,
    pub faults: watch::Receiver<Faults>,
    /// Changes when all connections are cut.
    pub cuts: watch::Receiver<u64>,
    /// It is counted as open as long as this lives.
    pub place: Place,
}

/// A connection among those that are open.
pub(crate) struct Place {
    counters: Arc<Counters>,
    /// Which one it is, from 0.
    index: u64,
}

impl Place {
    pub fn taken(counters: &Arc<Counters>) -> Self {
        counters.open.fetch_add(1, Ordering::Relaxed);
        let index = counters.total.fetch_add(1, Ordering::Relaxed);
        Self { counters: counters.clone(), index }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Relay {
    pub async fn run(self) {
        let Self { mut client, upstream, faults, mut cuts, place } = self;
        let mut server = None;
        let (mut reset, now) = (faults.clone(), faults.clone());
        let ended = tokio::select! {
            biased;
            _ = reset.wait_for(Faults::resets_at_once) => Err(End::Cut),
            _ = cuts.changed() => Err(End::Cut),
            ended = pass(&mut client, &mut server, upstream, faults, &place) => ended,
        };
        let abrupt = match ended {
            Ok(()) => false,
            Err(End::Broken) => true,
            Err(End::Cut) => now.borrow().reset,
        };
        if abrupt {
            for stream in server.iter().chain([&client]) {
                // Where the option cannot be set, the connection is gone already.
                let _ = stream.set_zero_linger();
            }
        }
        // The sockets close before the connection no longer counts.
        drop((client, server));
        drop(place);
    }
}

async fn pass(
    client: &mut TcpStream,
    server: &mut Option<TcpStream>,
    upstream: SocketAddr,
    mut faults: watch::Receiver<Faults>,
    place: &Place,
) -> Result<(), End> {
    if faults.wait_for(|faults| !faults.black_hole).await.is_err() {
        return Err(End::Cut);
    }
    let server = server.insert(TcpStream::connect(upstream).await?);
    for stream in [&*client, &*server] {
        stream.set_nodelay(true)?;
    }
    let seed = faults.borrow().seed.wrapping_add(place.index.wrapping_mul(2));
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let (up, down) = (&place.counters.up, &place.counters.down);
    let (for_up, for_down) = (Rng::with_seed(seed), Rng::with_seed(seed.wrapping_add(1)));
    tokio::try_join!(
        carry(from_client, to_server, faults.clone(), |faults| &faults.up, for_up, up),
        carry(from_server, to_client, faults, |faults| &faults.down, for_down, down),
    )?;
    Ok(())
}
