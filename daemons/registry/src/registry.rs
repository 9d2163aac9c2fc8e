//! The parts, put together.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use axum::Router;
use backline_chassis::OperatorToken;
use jiff::Timestamp;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{self, Shared},
    catalog::{Catalog, Node},
    kv::Keys,
    page,
    registration::{Definition, Registration},
    scheduler,
};

/// What a registry needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of this process, which is the one node of its answers.
    pub node: String,
    /// The name of the datacenter.
    pub datacenter: String,
    /// What it runs for: `dev`.
    pub environment: String,
    /// The address listened on.
    pub address: SocketAddr,
    /// Where the index starts, at least 1. Another number at each start keeps a client from taking
    /// the state after a restart for the one that it knows.
    pub first_index: u64,
    /// Where keys are kept: `sqlite:<path>`.
    pub store: String,
    /// Who has it may write keys; without it nobody may.
    pub operator: Option<OperatorToken>,
    /// Cancelled at the end: blocking queries are answered, checks stop.
    pub drain: CancellationToken,
}

/// A registry at work; clones share it.
#[derive(Clone)]
pub struct Registry {
    shared: Shared,
}

impl Registry {
    /// A registry that knows only itself, and the keys that it was told.
    ///
    /// # Errors
    /// When the keys' store cannot be opened.
    pub async fn open(config: Config) -> Result<Self, backline_store::Error> {
        let keys = Keys::open(&config.store, config.first_index).await?;
        let ip = match config.address.ip() {
            ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
            ip => ip.to_string(),
        };
        let own = own_entry(&config, &ip);
        let (name, datacenter) = (config.node.clone(), config.datacenter.clone());
        let node = Node { name, datacenter, address: ip };
        let catalog = Catalog::new(node, config.first_index);
        if let Err(refused) = catalog.register(own, true) {
            tracing::warn!(%refused, "the registry does not show itself");
        }
        let address = config.address.to_string();
        let Config { operator, drain, .. } = config;
        Ok(Self { shared: Shared { catalog: Arc::new(catalog), keys, operator, drain, address } })
    }

    /// Its routes: Consul's API and the page.
    pub fn router(&self) -> Router {
        api::routes().merge(page::routes()).with_state(self.shared.clone())
    }

    /// Runs checks until the drain.
    pub async fn run_checks(self) {
        scheduler::run(self.shared.catalog, self.shared.drain).await;
    }
}

/// As Consul lists its servers, this lists itself: without a check, for who asks gets an answer.
fn own_entry(config: &Config, ip: &str) -> Registration {
    let version = env!("CARGO_PKG_VERSION");
    let meta = [
        ("kind", "daemon"),
        ("version", version),
        ("zone", &config.datacenter),
        ("environment", &config.environment),
        ("owner", ""),
        ("about", crate::ABOUT),
        ("started", &Timestamp::now().to_string()),
    ];
    Registration {
        service: Definition {
            id: config.node.clone(),
            name: "registry".into(),
            address: ip.to_owned(),
            port: config.address.port(),
            tags: vec![
                format!("zone={}", config.datacenter),
                format!("environment={}", config.environment),
                format!("version={version}"),
            ],
            meta: meta.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            tagged_addresses: BTreeMap::new(),
            weights: (1, 1),
            enable_tag_override: false,
        },
        checks: Vec::new(),
    }
}

/// Milliseconds since 1970: higher at each start than the index could grow to before, as long as
/// there are fewer than a thousand changes a second, and exact in a JavaScript number.
pub(crate) fn index_of_this_start() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(1)
}

/// Every watcher holds a connection open, and the usual limit of 1,024 descriptors is for programs
/// that still use select(2).
pub(crate) fn allow_many_connections() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the number of open connections stays limited");
    }
}
