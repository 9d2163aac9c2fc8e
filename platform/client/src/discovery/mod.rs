//! Finding the instances of services, and being found.

mod consul;
mod keys;
mod operators;
mod registration;
mod source;
mod view;
mod watcher;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, Once, Weak},
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use keys::{Key, KeyOp};
pub use registration::Registration;
pub use source::InvalidUrl;
pub(crate) use watcher::Watched;

use crate::{
    Client, Dependency, DependencySeen, Error, Limits, Purpose, client::WeakClient,
    refusals::Refusals, sync::lock, wish::Wishes,
};
use consul::Registry;
use keys::Keys;
use source::Source;
use watcher::Watcher;

/// One healthy instance of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its name, unique in the estate: `loyalty-1`.
    pub id: String,
    /// The service that it is an instance of.
    pub service: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// The service's version that it runs; empty where it does not say.
    pub version: String,
    /// The zone that it runs in; empty where it does not say.
    pub zone: String,
    /// What else it says of itself.
    pub meta: BTreeMap<String, String>,
}

/// Time limits; tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timings {
    /// How long the registry may hold an answer back while nothing changes.
    pub wait: Duration,
    /// After the registry was away or restarted, what it does not list is kept for this long:
    /// everybody first has to register again.
    pub grace: Duration,
    /// Pauses between tries while the registry is away: from the first to the longest.
    pub pauses: [Duration; 2],
    /// Blocking queries that return at once and without news are not repeated faster than this.
    pub quiet: Duration,
    /// How often a process sees to it that it is registered.
    pub heartbeat: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            pauses: [Duration::from_millis(100), Duration::from_secs(2)],
            quiet: Duration::from_millis(100),
            heartbeat: Duration::from_secs(1),
        }
    }
}

/// The first call of a process waits this long for what operators wish, no longer: a registry that
/// is away has no addresses to call either, and one without keys has no wishes.
const STEERED_WITHIN: Duration = Duration::from_secs(1);

/// Who calls, and within which limits.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The service: `loyalty`. Operators' wishes name it.
    pub service: String,
    /// The process: `loyalty-1`.
    pub instance: String,
    /// The limits of its calls, by dependency. The others have the defaults.
    pub limits: BTreeMap<String, Limits>,
}

/// Where services are, as the registry tells. Cheap to clone; clones share what they know.
///
/// Each service is watched by one task, from its first use on, for all clients and watchers. What
/// is known stays known while the registry is away.
#[derive(Clone)]
pub struct Discovery(Arc<Inner>);

struct Inner {
    caller: Caller,
    source: Source,
    timings: Timings,
    refusals: Arc<Refusals>,
    services: Mutex<HashMap<String, Watched<Vec<Instance>>>>,
    catalog: Mutex<Option<Watched<Catalog>>>,
    keys: Mutex<HashMap<String, Watched<Keys>>>,
    clients: Mutex<Clients>,
    listening: Once,
    /// Whether operators' wishes are known: what was stopped must not begin by a restart.
    steered: watch::Sender<bool>,
}

/// The clients in use, and what operators wish of them.
#[derive(Default)]
struct Clients {
    known: BTreeMap<(String, Purpose), WeakClient>,
    wishes: Wishes,
}

/// A [`Discovery`] that does not keep its watchers running.
#[derive(Clone)]
pub(crate) struct WeakDiscovery(Weak<Inner>);

impl WeakDiscovery {
    pub fn upgrade(&self) -> Option<Discovery> {
        self.0.upgrade().map(Discovery)
    }
}

/// Services with their tags.
type Catalog = BTreeMap<String, Vec<String>>;

impl Discovery {
    /// Discovery for the process `caller`, from one of
    /// - `consul://127.0.0.1:8500`: a registry that speaks Consul's HTTP API;
    /// - `static:customers=127.0.0.1:9001,loyalty=127.0.0.1:9002`: these instances, for tests and
    ///   small set-ups. A name may stand several times.
    ///
    /// # Errors
    /// When it is neither.
    pub fn from_url(url: &str, caller: &str) -> Result<Self, InvalidUrl> {
        let caller =
            Caller { service: caller.to_owned(), instance: caller.to_owned(), ..Caller::default() };
        Self::for_caller(url, caller)
    }

    /// Like [`Discovery::from_url`], for a process with limits of its own.
    ///
    /// # Errors
    /// When the address is neither.
    pub fn for_caller(url: &str, caller: Caller) -> Result<Self, InvalidUrl> {
        Self::with_timings(url, caller, Timings::default())
    }

    pub(crate) fn with_timings(
        url: &str,
        caller: Caller,
        timings: Timings,
    ) -> Result<Self, InvalidUrl> {
        Ok(Self(Arc::new(Inner {
            source: Source::from_url(url, &caller.instance)?,
            caller,
            timings,
            refusals: Arc::default(),
            services: Mutex::default(),
            catalog: Mutex::default(),
            keys: Mutex::default(),
            clients: Mutex::default(),
            listening: Once::new(),
            steered: watch::Sender::new(false),
        })))
    }

    /// A client for a service. All that a process asks for share connections, breaker and limits.
    /// Needs no runtime before its first call.
    #[must_use]
    pub fn client(&self, service: &str) -> Client {
        self.client_for(service, Purpose::Calls)
    }

    /// A client for a service, apart from those for other purposes.
    #[must_use]
    pub fn client_for(&self, service: &str, purpose: Purpose) -> Client {
        let mut clients = lock(&self.0.clients);
        let key = (service.to_owned(), purpose);
        if let Some(client) = clients.known.get(&key).and_then(WeakClient::upgrade) {
            return client;
        }
        let limits = self.0.caller.limits.get(service).cloned().unwrap_or_default();
        let dependency = Dependency::new(service, purpose, limits);
        dependency.obey(&clients.wishes);
        let client = Client::discovered(self.clone(), Arc::new(dependency));
        clients.known.retain(|_, client| client.upgrade().is_some());
        clients.known.insert(key, client.downgrade());
        drop(clients);
        if tokio::runtime::Handle::try_current().is_ok() {
            self.listen_to_operators();
        }
        client
    }

    #[cfg(test)]
    pub(crate) fn client_with(&self, service: &str, limits: Limits) -> Client {
        Client::discovered(self.clone(), Arc::new(Dependency::new(service, Purpose::Calls, limits)))
    }

    /// What the breaker board shows of this process: all that it calls, ordered by name.
    #[must_use]
    pub fn dependencies(&self) -> Vec<DependencySeen> {
        let clients = lock(&self.0.clients);
        let mut seen: Vec<_> =
            clients.known.values().filter_map(WeakClient::upgrade).map(|c| c.seen()).collect();
        if let Source::Consul(registry) = &self.0.source {
            seen.push(registry.client().seen());
        }
        seen
    }

    /// Follows what operators wish.
    pub(crate) fn obey(&self, wishes: Wishes) {
        let mut clients = lock(&self.0.clients);
        clients.wishes = wishes;
        self.0.steered.send_replace(true);
        for client in clients.known.values().filter_map(WeakClient::upgrade) {
            client.dependency().obey(&clients.wishes);
        }
    }

    /// Ready when operators' wishes are known, or have been asked for in vain for a second.
    pub(crate) async fn steered(&self) {
        if *self.0.steered.borrow() {
            return;
        }
        let mut steered = self.0.steered.subscribe();
        let _ = tokio::time::timeout(STEERED_WITHIN, steered.wait_for(|known| *known)).await;
        self.0.steered.send_replace(true);
    }

    pub(crate) fn downgrade(&self) -> WeakDiscovery {
        WeakDiscovery(Arc::downgrade(&self.0))
    }

    /// The healthy instances of a service, ordered by id, as they come and go. Empty before the
    /// registry's first answer, which counts as a change even where it is empty.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn watch(&self, service: &str) -> watch::Receiver<Arc<Vec<Instance>>> {
        self.watched(service).receiver()
    }

    /// All services with their tags, as they come and go. Empty before the registry's first answer,
    /// which counts as a change even where it is empty.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn watch_services(&self) -> watch::Receiver<Arc<BTreeMap<String, Vec<String>>>> {
        let mut catalog = lock(&self.0.catalog);
        let watched = catalog.get_or_insert_with(|| match &self.0.source {
            Source::Static(fixed) => fixed.catalog(),
            Source::Consul(registry) => {
                Watcher::of_services(registry.clone(), self.0.timings).start()
            }
        });
        watched.receiver()
    }

    /// The keys that begin with `prefix` (all for an empty one), by their full names, as they come
    /// and go. Empty before the registry's first answer, which counts as a change even where it is
    /// empty, and always with `static:`.
    ///
    /// What is known stays known while the registry is away. What it lists is all there is: keys
    /// outlive its restarts, so one that is gone from its answer is gone at once. Up to 12 MiB of
    /// values under a prefix are taken.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn watch_keys(&self, prefix: &str) -> watch::Receiver<Arc<BTreeMap<String, Key>>> {
        self.watched_keys(prefix).receiver()
    }

    fn watched_keys(&self, prefix: &str) -> Watched<Keys> {
        let mut keys = lock(&self.0.keys);
        if let Some(watched) = keys.get(prefix) {
            return watched.clone();
        }
        let watched = match &self.0.source {
            Source::Static(fixed) => fixed.keys(),
            Source::Consul(registry) => {
                Watcher::of_keys(registry.clone(), self.0.timings, prefix).start()
            }
        };
        keys.insert(prefix.to_owned(), watched.clone());
        watched
    }

    /// Writes keys with the operator's token: all or none, at most 64, within 5 s. Returns when
    /// they are kept for good. The same again changes nothing, so after an error it may be repeated.
    ///
    /// # Errors
    /// 403 where the registry does not take the token, 507 where it has no room; what else a call
    /// can fail of. With `static:` there is no registry to write to ([`Kind::Unknown`]).
    ///
    /// [`Kind::Unknown`]: crate::Kind::Unknown
    pub async fn write_keys(&self, token: &str, ops: Vec<KeyOp>) -> Result<(), Error> {
        match &self.0.source {
            Source::Static(_) => Err(keys::nowhere_to_write()),
            Source::Consul(registry) => registry.write_keys(token, &ops).await,
        }
    }

    /// Registers a process and keeps it registered until the drain; then takes it out, within a
    /// second, and the task ends. With `static:` there is nothing to do but to wait for the drain.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn keep_registered(
        &self,
        registration: Registration,
        drain: CancellationToken,
    ) -> JoinHandle<()> {
        match &self.0.source {
            Source::Static(_) => tokio::spawn(async move { drain.cancelled().await }),
            Source::Consul(registry) => {
                let (registry, timings) = (registry.clone(), self.0.timings);
                tokio::spawn(registration::keep(registry, registration, timings, drain))
            }
        }
    }

    pub(crate) fn watched(&self, service: &str) -> Watched<Vec<Instance>> {
        let mut services = lock(&self.0.services);
        if let Some(watched) = services.get(service) {
            return watched.clone();
        }
        let watched = match &self.0.source {
            Source::Static(fixed) => fixed.instances(service),
            Source::Consul(registry) => {
                Watcher::of_instances(registry.clone(), self.0.timings, service).start()
            }
        };
        services.insert(service.to_owned(), watched.clone());
        watched
    }

    pub(crate) fn caller(&self) -> Arc<str> {
        self.0.caller.instance.as_str().into()
    }

    pub(crate) fn refusals(&self) -> Arc<Refusals> {
        self.0.refusals.clone()
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Discovery").field(&self.0.source).finish()
    }
}
