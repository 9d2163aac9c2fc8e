//! A client of one service.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, OnceLock, Weak},
};

use http::Method;
use tokio::{net::lookup_host, time::Instant};

use crate::{
    Dependency, Discovery, Instance, Limits, Purpose, RequestBuilder, discovery::Watched,
    pool::Pool, refusals::Refusals,
};

/// Calls one service, wherever its instances are, within the limits of its [`Dependency`]. Cheap to
/// clone; clones share connections, breaker and all else.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

/// A client that does not keep its connections open.
#[derive(Clone)]
pub(crate) struct WeakClient(Weak<Inner>);

impl WeakClient {
    pub fn upgrade(&self) -> Option<Client> {
        self.0.upgrade().map(Client)
    }
}

struct Inner {
    dependency: Arc<Dependency>,
    caller: Arc<str>,
    way: Way,
    pool: Pool,
    refusals: Arc<Refusals>,
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
    pub(crate) fn discovered(discovery: Discovery, dependency: Arc<Dependency>) -> Self {
        Self(Arc::new(Inner {
            caller: discovery.caller(),
            refusals: discovery.refusals(),
            way: Way::Discovered { discovery, watched: OnceLock::new() },
            pool: Pool::new(dependency.connections, dependency.limits.idle),
            dependency,
        }))
    }

    /// A client of the registry. Its breaker is off: what asks it again and again has pauses of its
    /// own, and everybody wants to know at once that it is back.
    pub(crate) fn to_host(service: &str, host: &str, caller: &str, limits: Limits) -> Self {
        let dependency = Dependency::new(service, Purpose::Operations, limits);
        dependency.breaker.on_change(|_, _| {});
        dependency.breaker.disable();
        Self(Arc::new(Inner {
            caller: caller.into(),
            way: Way::Host(host.to_owned()),
            pool: Pool::new(dependency.connections, dependency.limits.idle),
            refusals: Arc::default(),
            dependency: Arc::new(dependency),
        }))
    }

    /// The service that it calls.
    #[must_use]
    pub fn service(&self) -> &str {
        self.0.dependency.service()
    }

    /// The measures around its calls.
    #[must_use]
    pub fn dependency(&self) -> &Dependency {
        &self.0.dependency
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

    pub(crate) fn downgrade(&self) -> WeakClient {
        WeakClient(Arc::downgrade(&self.0))
    }

    pub(crate) fn name(&self) -> Arc<str> {
        self.0.dependency.service.clone()
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

    /// Where to send, in the order to try; those tried `before` for this call come last. Waits for
    /// the registry's first answer.
    pub(crate) async fn addresses(&self, before: &[SocketAddr]) -> io::Result<Vec<SocketAddr>> {
        let mut addresses: Vec<_> = match &self.0.way {
            Way::Host(host) => match host.parse() {
                Ok(address) => vec![address],
                Err(_) => lookup_host(host).await?.collect(),
            },
            Way::Discovered { discovery, watched } => {
                let watched = watched.get_or_init(|| discovery.watched(&self.0.dependency.service));
                watched.latest().await.iter().map(|instance| instance.address).collect()
            }
        };
        if addresses.len() > 1 {
            self.0.dependency.order(&mut addresses, before);
            self.0.refusals.put_last(&mut addresses, Instant::now());
        }
        Ok(addresses)
    }

    /// What sees to it that operators' wishes reach the breakers runs from the first call on, and
    /// the first call waits for it.
    pub(crate) async fn steered(&self) {
        if let Way::Discovered { discovery, .. } = &self.0.way {
            discovery.listen_to_operators();
            discovery.steered().await;
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("service", &self.service()).finish_non_exhaustive()
    }
}
