//! An instance and the connections that are kept open to it.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use backline_client::Instance;
use backline_resilience::Place;
use bytes::Bytes;
use http::HeaderValue;
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

/// A process on this machine or near it answers at once or not at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// Connections kept open to one instance while nothing is asked of it.
const MOST_IDLE: usize = 64;
/// Shorter than the 30 s after which the services close an idle connection, so that requests
/// rarely meet a connection that is just being closed.
const IDLE_FOR: Duration = Duration::from_secs(20);

type Sender = http1::SendRequest<Body>;

/// One instance of a service. It goes away with the last request to it.
pub(crate) struct Upstream {
    pub id: String,
    pub address: SocketAddr,
    /// What the instance says its service is about.
    pub about: Option<String>,
    /// The address, as the instance's `Host`.
    pub host: HeaderValue,
    outstanding: AtomicUsize,
    gauge: metrics::Gauge,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    sender: Sender,
    since: Instant,
}

impl Upstream {
    pub fn new(instance: &Instance) -> Option<Self> {
        let labels = [("service", instance.service.clone()), ("instance", instance.id.clone())];
        Some(Self {
            id: instance.id.clone(),
            address: instance.address,
            about: instance.meta.get("about").cloned(),
            host: HeaderValue::try_from(instance.address.to_string()).ok()?,
            outstanding: AtomicUsize::new(0),
            gauge: metrics::gauge!("gateway_outstanding_requests", &labels),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Requests that are on their way or whose answers are still being read.
    pub fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Takes a connection: an idle one unless `fresh` is asked for, otherwise a new one.
    ///
    /// # Errors
    /// When no connection can be made in time.
    pub async fn lease(self: &Arc<Self>, fresh: bool) -> io::Result<Lease> {
        let outstanding = Outstanding::count(self);
        if let Some(sender) = (!fresh).then(|| self.idle_one()).flatten() {
            return Ok(Lease { sender, reused: true, outstanding });
        }
        let connect = timeout(CONNECT_WITHIN, TcpStream::connect(self.address));
        let stream = connect.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(async move {
            // Whoever waits on the connection hears of its end; nobody else needs to.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to an instance ended early");
            }
        });
        Ok(Lease { sender, reused: false, outstanding })
    }

    /// The connection used last is the one least likely to be closed by now.
    fn idle_one(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() < IDLE_FOR);
        let at = idle.iter().rposition(|idle| idle.sender.is_ready())?;
        Some(idle.remove(at).sender)
    }

    fn keep(&self, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }
}

/// A connection in use by one request.
pub(crate) struct Lease {
    pub sender: Sender,
    /// Whether the connection has carried requests before.
    pub reused: bool,
    outstanding: Outstanding,
}

impl Lease {
    /// Ties the connection to the body of its answer.
    pub fn read(self, body: Incoming, framed: bool) -> Answer {
        Answer { body, framed, ended: false, lease: Some(self), _place: None }
    }
}

/// Counts a request as outstanding for as long as it lives.
struct Outstanding(Arc<Upstream>);

impl Outstanding {
    fn count(upstream: &Arc<Upstream>) -> Self {
        upstream.outstanding.fetch_add(1, Ordering::Relaxed);
        upstream.gauge.increment(1);
        Self(upstream.clone())
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        self.0.outstanding.fetch_sub(1, Ordering::Relaxed);
        self.0.gauge.decrement(1);
    }
}

/// The body of an answer, passed on as it comes. At its end the connection goes back to the others;
/// dropped before, it is closed, and the instance sees that nobody listens any more.
pub(crate) struct Answer {
    body: Incoming,
    /// Whether the head already says how long the body is or would be.
    framed: bool,
    ended: bool,
    lease: Option<Lease>,
    /// In the service's bulkhead, until the answer is read.
    _place: Option<Place>,
}

impl Answer {
    pub fn holding(mut self, place: Place) -> Self {
        self._place = Some(place);
        self
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                // Trailers are announced in a field that ends here.
                Poll::Ready(Some(Ok(frame))) if !frame.is_data() => {}
                Poll::Ready(None) => {
                    self.ended = true;
                    return Poll::Ready(None);
                }
                other => return other,
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // An answer without a body (to HEAD, 304) must not get a length of zero on its way: its
        // length would be that of the answer to GET (RFC 9110, 8.6).
        if self.framed { self.body.size_hint() } else { SizeHint::default() }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let ended = http_body::Body::is_end_stream(self);
        if let Some(lease) = self.lease.take().filter(|_| ended) {
            let Lease { sender, outstanding, .. } = lease;
            outstanding.0.keep(sender);
        }
    }
}
