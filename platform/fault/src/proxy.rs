//! The proxy as its user holds it, and the thread it runs on.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, mpsc as blocking},
    thread,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    runtime,
    sync::{mpsc, watch},
    time::sleep,
};

use crate::{
    Faults,
    relay::{Counters, Place, Relay},
};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;
/// The pause after a connection could not be accepted, as for want of files.
const TRIED_AGAIN: Duration = Duration::from_millis(5);

/// A TCP proxy on loopback that does to connections what its [`Faults`] say. It ends, with all its
/// connections, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    counters: Arc<Counters>,
    faults: watch::Sender<Faults>,
    cuts: watch::Sender<u64>,
    /// Asks to open or close the listener as the faults say, and to tell when that is done.
    orders: Option<mpsc::UnboundedSender<blocking::Sender<()>>>,
    thread: Option<thread::JoinHandle<()>>,
}

type Orders = mpsc::UnboundedReceiver<blocking::Sender<()>>;

/// What has passed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that are open now.
    pub open: u64,
    /// Connections that were ever accepted.
    pub total: u64,
    /// Bytes handed on to the server.
    pub bytes_up: u64,
    /// Bytes handed on to the client.
    pub bytes_down: u64,
}

impl Proxy {
    /// A proxy on a free port of loopback, with no faults yet, for a server that need not be there
    /// yet: a client whose connection cannot be passed on is reset.
    ///
    /// # Panics
    /// Where no port or no thread can be had.
    #[must_use]
    #[track_caller]
    pub fn start(upstream: SocketAddr) -> Self {
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        match Self::listening(listen, upstream) {
            Ok(proxy) => proxy,
            Err(error) => panic!("a fault proxy to {upstream} cannot start: {error}"),
        }
    }

    /// A proxy at this address; port 0 is any free one.
    ///
    /// # Errors
    /// When the address is not on loopback or in use, or no thread can be had.
    pub fn listening(listen: SocketAddr, upstream: SocketAddr) -> io::Result<Self> {
        if !listen.ip().is_loopback() {
            let wrong = format!("{listen} is not on loopback: give 127.0.0.1:0");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, wrong));
        }
        // Before the runtime: one cannot be dropped in an async test, and a taken address is the
        // usual failure.
        let held = bound(listen)?;
        let address = held.local_addr()?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let listener = bound(address)?.listen(BACKLOG)?;
        drop(entered);
        let (faults, told) = watch::channel(Faults::default());
        let (cuts, cut) = watch::channel(0);
        let (orders, ordered) = mpsc::unbounded_channel();
        let counters = Arc::new(Counters::default());
        let counted = counters.clone();
        let door = Door { held, address, upstream, faults: told, cuts: cut, counters: counted };
        let thread = thread::Builder::new()
            .name("fault proxy".to_owned())
            .spawn(move || runtime.block_on(door.attend(listener, ordered)))?;
        let (orders, thread) = (Some(orders), Some(thread));
        Ok(Self { address, counters, faults, cuts, orders, thread })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on these faults, and no others, also for connections that exist. When it returns,
    /// new connections are refused or not as they say.
    pub fn set(&self, faults: Faults) {
        self.faults.send_replace(faults);
        let (tell, done) = blocking::channel();
        if let Some(orders) = &self.orders
            && orders.send(tell).is_ok()
        {
            // An end without an answer is the end of the proxy's thread.
            let _ = done.recv();
        }
    }

    /// Ends all connections that were accepted, at once: in order, or by a reset where [`Faults::reset`] says so. What
    /// is on its way is lost.
    pub fn cut_all(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// What has passed so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // It cannot be told any more that the thread panicked.
            let _ = thread.join();
        }
    }
}

/// Where connections come in.
struct Door {
    /// It has the port but never listens: nobody else can take the port while connections are
    /// refused.
    held: TcpSocket,
    address: SocketAddr,
    upstream: SocketAddr,
    faults: watch::Receiver<Faults>,
    cuts: watch::Receiver<u64>,
    counters: Arc<Counters>,
}

impl Door {
    /// Until nobody holds the proxy any more.
    async fn attend(self, listener: TcpListener, mut orders: Orders) {
        let mut listener = Some(listener);
        loop {
            tokio::select! {
                order = orders.recv() => {
                    let Some(told) = order else { break };
                    let refuse = self.faults.borrow().refuse;
                    let open = || bound(self.address)?.listen(BACKLOG);
                    listener = if refuse { None } else { listener.or_else(|| open().ok()) };
                    // Whoever asked may have stopped waiting.
                    let _ = told.send(());
                }
                accepted = accept(listener.as_ref()) => match accepted {
                    Ok((client, _)) => self.admit(client),
                    Err(_) => sleep(TRIED_AGAIN).await,
                },
            }
        }
        drop(self.held);
    }

    fn admit(&self, client: TcpStream) {
        let mut cuts = self.cuts.clone();
        cuts.mark_unchanged();
        let place = Place::taken(&self.counters);
        let (upstream, faults) = (self.upstream, self.faults.clone());
        tokio::spawn(Relay { client, upstream, faults, cuts, place }.run());
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// A socket with this address beside others that do not listen.
fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
