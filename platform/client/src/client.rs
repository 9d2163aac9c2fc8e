//! A client of one service.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::Method;
use tokio::{net::lookup_host, time::Instant};

use crate::{
    Discovery, Instance, RequestBuilder,
    discovery::Watched,
    pool::{Limits, Pool},
    refusals::Refusals,
};

/// Calls one service, wherever its instances are, over connections of its own. Cheap to clone; a
/// clone shares the connections.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    service: Arc<str>,
    caller: Arc<str>,
    way: Way,
    pool: Pool,
    refusals: Arc<Refusals>,
    /// Round robin.
    turn: AtomicUsize,
}

/// How instances are found.
enum Way {
    Discovered {
        discovery: Discovery,
        watched: OnceLock<Watched<Vec<Instance>>>,
    },
    /// The registry itself: `host:port` from the settings.
    Host(String),
}

impl Client {
    pub(crate) fn discovered(discovery: Discovery, service: &str, limits: Limits) -> Self {
        Self(Arc::new(Inner {
            service: service.into(),
            caller: discovery.caller(),
            refusals: discovery.refusals(),
            way: Way::Discovered { discovery, watched: OnceLock::new() },
            pool: Pool::new(limits),
            turn: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn to_host(service: &str, host: &str, caller: &str, limits: Limits) -> Self {
        Self(Arc::new(Inner {
            service: service.into(),
            caller: caller.into(),
            way: Way::Host(host.to_owned()),
            pool: Pool::new(limits),
            refusals: Arc::default(),
            turn: AtomicUsize::new(0),
        }))
    }

    /// The service that it calls.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.0.service
    }

    /// GET of a resource by its reference, such as `/customers/0198c0de`.
    pub fn get(&self, reference: &str) -> RequestBuilder {
        RequestBuilder::new(self.clone(), Method::GET, reference)
    }

    /// POST to a resource by its reference.
    pub fn post(&self, reference: &str) -> RequestBuilder {
        RequestBuilder::new(self.clone(), Method::POST, reference)
    }

    /// PUT of a resource by its reference.
    pub fn put(&self, reference: &str) -> RequestBuilder {
        RequestBuilder::new(self.clone(), Method::PUT, reference)
    }

    /// PATCH of a resource by its reference.
    pub fn patch(&self, reference: &str) -> RequestBuilder {
        RequestBuilder::new(self.clone(), Method::PATCH, reference)
    }

    /// DELETE of a resource by its reference.
    pub fn delete(&self, reference: &str) -> RequestBuilder {
        RequestBuilder::new(self.clone(), Method::DELETE, reference)
    }

    pub(crate) fn name(&self) -> Arc<str> {
        self.0.service.clone()
    }

    pub(crate) fn user_agent(&self) -> String {
        format!("backline-client/{} {}", env!("CARGO_PKG_VERSION"), self.0.caller)
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.0.pool
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    /// Where to send, in the order to try: round robin, with those that refused just now last.
    /// Waits for the registry's first answer.
    pub(crate) async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let mut addresses: Vec<_> = match &self.0.way {
            Way::Host(host) => match host.parse() {
                Ok(address) => vec![address],
                Err(_) => lookup_host(host).await?.collect(),
            },
            Way::Discovered { discovery, watched } => {
                let watched = watched.get_or_init(|| discovery.watched(&self.0.service));
                watched.latest().await.iter().map(|instance| instance.address).collect()
            }
        };
        if addresses.len() > 1 {
            let turn = self.0.turn.fetch_add(1, Ordering::Relaxed) % addresses.len();
            addresses.rotate_left(turn);
            self.0.refusals.put_last(&mut addresses, Instant::now());
        }
        Ok(addresses)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("service", &self.0.service).finish_non_exhaustive()
    }
}
