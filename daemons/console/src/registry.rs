//! Following the registry: all services, also those that are not well.
//!
//! [`backline_client::Discovery`] knows the healthy instances alone, which is what callers want and
//! not what a person who looks for what is broken wants. One blocking query on the state of all
//! checks says when something changed; then everything is read again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use backline_client::{Client, Discovery, Error, InvalidUrl};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    catalog::{Health, Instance, Kind, Service},
    console::Timings,
    returning::Returning,
};

/// For everything but the blocking query.
const TIMEOUT: Duration = Duration::from_secs(2);
/// A blocking query may take this much longer than its wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How many services are read at a time.
const AT_A_TIME: usize = 8;
/// The longest of what a check says that is shown.
const OUTPUT: usize = 300;

/// What is known, and how well.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// By name; none before the registry's first answer.
    pub services: Option<Vec<Service>>,
    pub contact: Contact,
    /// When the registry last said so.
    pub confirmed: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contact {
    /// A query is open: what is known is so.
    Here,
    /// It answers again, and some have not registered again.
    Returning,
    Away,
}

impl Known {
    pub fn services(&self) -> &[Service] {
        self.services.as_deref().unwrap_or_default()
    }

    /// When what is known was true.
    pub fn as_of(&self) -> Timestamp {
        if self.contact == Contact::Away { self.confirmed } else { Timestamp::now() }
    }
}

/// Where the registry is.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// No registry: the instances that the settings list, which nobody checks.
    Listed,
    Consul {
        host: String,
        caller: String,
    },
}

impl Source {
    /// From the setting that discovery was made from.
    pub fn from_url(url: &str, caller: &str) -> Result<Self, InvalidUrl> {
        Discovery::from_url(url, caller)?;
        let host = url.strip_prefix("consul://").map(|host| host.trim_end_matches('/').to_owned());
        Ok(match host {
            Some(host) => Self::Consul { host, caller: caller.to_owned() },
            None => Self::Listed,
        })
    }

    /// Its address, for people.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Listed => None,
            Self::Consul { host, .. } => Some(host),
        }
    }

    /// Follows it until nobody wants to know any more.
    pub fn follow(&self, discovery: &Discovery, timings: Timings) -> watch::Receiver<Arc<Known>> {
        let (services, contact) = match self {
            Self::Listed => (Some(listed(discovery)), Contact::Here),
            Self::Consul { .. } => (None, Contact::Here),
        };
        let known = Known { services, contact, confirmed: Timestamp::now() };
        let (sender, receiver) = watch::channel(Arc::new(known));
        if let Self::Consul { host, caller } = self {
            let follower = Follower {
                host: host.clone(),
                caller: caller.clone(),
                timings,
                known: sender,
                returning: Returning::default(),
            };
            tokio::spawn(follower.run());
        }
        receiver
    }
}

fn listed(discovery: &Discovery) -> Vec<Service> {
    let names = discovery.watch_services().borrow().clone();
    let instance = |instance: &backline_client::Instance| Instance {
        id: instance.id.clone(),
        address: instance.address.to_string(),
        version: instance.version.clone(),
        zone: instance.zone.clone(),
        health: Health::Passing,
        started: None,
        docs: Some(format!("http://{}/docs", instance.address)),
        output: String::new(),
        awaited: false,
    };
    names
        .keys()
        .map(|name| Service {
            name: name.clone(),
            kind: Kind::Service,
            owner: String::new(),
            about: String::new(),
            version: String::new(),
            public: true,
            instances: discovery.watch(name).borrow().iter().map(instance).collect(),
        })
        .collect()
}

struct Follower {
    host: String,
    caller: String,
    timings: Timings,
    known: watch::Sender<Arc<Known>>,
    returning: Returning,
}

impl Follower {
    async fn run(mut self) {
        let closed = self.known.clone();
        tokio::select! {
            () = self.follow() => {}
            () = closed.closed() => {}
        }
    }

    async fn follow(&mut self) {
        loop {
            // A client holds an address; a name may have got another one meanwhile.
            let error = match connect(&self.host, &self.caller).await {
                Ok(client) => self.follow_with(&client).await.to_string(),
                Err(error) => error,
            };
            self.lose(&error);
            sleep(self.timings.pause).await;
        }
    }

    /// Until something fails.
    async fn follow_with(&mut self, client: &Client) -> Error {
        let mut index = 0;
        loop {
            let asked = Instant::now();
            let wait =
                self.returning.left().map_or(self.timings.wait, |left| left.min(self.timings.wait));
            let read = async {
                let changed = changed(client, index, wait.max(Duration::from_millis(10))).await?;
                Ok((changed, read(client).await?))
            };
            match read.await {
                Ok((changed, services)) => {
                    let backwards = changed < index;
                    index = if backwards { 0 } else { changed };
                    self.take(services, backwards);
                }
                Err(error) => return error,
            }
            sleep_until(asked + self.timings.quiet).await;
        }
    }

    fn lose(&self, error: &str) {
        let mut known = Known::clone(&self.known.borrow());
        if known.contact != Contact::Away {
            tracing::warn!(
                registry = self.host,
                error,
                "the registry is away: showing what is known"
            );
            known.contact = Contact::Away;
            self.known.send_replace(Arc::new(known));
        }
    }

    fn take(&mut self, listed: Vec<Service>, restarted: bool) {
        let before = self.known.borrow().clone();
        if restarted || before.contact == Contact::Away {
            self.returning.begin(before.services(), self.timings.grace);
        }
        if before.contact == Contact::Away {
            tracing::info!(registry = self.host, "the registry is back");
        }
        let services = self.returning.complete(listed);
        let contact = match self.returning.left() {
            Some(_) => Contact::Returning,
            None => Contact::Here,
        };
        let known = Known { services: Some(services), contact, confirmed: Timestamp::now() };
        self.known.send_if_modified(|last| {
            let changed = last.services != known.services || last.contact != known.contact;
            *last = Arc::new(known);
            changed
        });
    }
}

pub(crate) async fn connect(host: &str, caller: &str) -> Result<Client, String> {
    let mut addresses = tokio::net::lookup_host(host).await.map_err(|error| error.to_string())?;
    let address = addresses.next().ok_or("its name has no address")?;
    Discovery::from_url(&format!("static:registry={address}"), caller)
        .map(|discovery| discovery.client("registry"))
        .map_err(|error| error.to_string())
}

/// The index of all checks, once it is another than `index` or the wait is over.
async fn changed(client: &Client, index: u64, wait: Duration) -> Result<u64, Error> {
    let path = format!("/v1/health/state/any?index={index}&wait={}ms", wait.as_millis());
    let answer = client.get(&path).timeout(wait + ANSWER_WITHIN).send().await?;
    Ok(answer.header("x-consul-index").and_then(|index| index.parse().ok()).unwrap_or(0))
}

async fn read(client: &Client) -> Result<Vec<Service>, Error> {
    let names = client.get("/v1/catalog/services").timeout(TIMEOUT).send().await?;
    let names: BTreeMap<String, Option<Vec<String>>> = names.json()?;
    let services = stream::iter(names.into_keys().map(|name| {
        let client = client.clone();
        async move {
            let path = format!("/v1/health/service/{}", crate::view::segment(&name));
            let entries = client.get(&path).timeout(TIMEOUT).send().await?.json()?;
            Ok::<_, Error>(service(name, entries))
        }
    }));
    let services: Vec<Service> = services.buffered(AT_A_TIME).try_collect().await?;
    // One that left between the two questions.
    Ok(services.into_iter().filter(|service| !service.instances.is_empty()).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    node: Option<Node>,
    service: Registered,
    checks: Option<Vec<Check>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Registered {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    address: String,
    port: u16,
    /// Consul writes null for none.
    tags: Option<Vec<String>>,
    meta: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    status: String,
    #[serde(default)]
    output: String,
}

fn service(name: String, mut entries: Vec<Entry>) -> Service {
    entries.sort_by(|a, b| a.service.id.cmp(&b.service.id));
    let said = |key: &str| {
        let values = entries.iter().filter_map(|entry| entry.service.meta.as_ref()?.get(key));
        values.into_iter().find(|value| !value.is_empty()).cloned().unwrap_or_default()
    };
    let kind = if said("kind") == "daemon" { Kind::Daemon } else { Kind::Service };
    let (owner, about) = (said("owner"), said("about"));
    let public =
        entries.iter().any(|entry| entry.service.tags.iter().flatten().any(|tag| tag == "public"));
    let instances: Vec<_> = entries.into_iter().map(instance).collect();
    let mut versions: Vec<&str> = instances.iter().map(|instance| &*instance.version).collect();
    versions.retain(|version| !version.is_empty());
    versions.sort_unstable();
    versions.dedup();
    let version = versions.join(", ");
    Service { name, kind, owner, about, version, public, instances }
}

fn instance(entry: Entry) -> Instance {
    let Entry { node, service, checks } = entry;
    let meta = service.meta.unwrap_or_default();
    let tags = service.tags.unwrap_or_default();
    let said = |key: &str| {
        let tagged = || tags.iter().find_map(|tag| tag.strip_prefix(key)?.strip_prefix('='));
        meta.get(key).map(String::as_str).or_else(tagged).unwrap_or_default().to_owned()
    };
    // Without an address of its own, a service is where its node is.
    let host = match (service.address, node) {
        (host, Some(node)) if host.is_empty() => node.address,
        (host, _) => host,
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let address = format!("{host}:{}", service.port);
    let base = crate::catalog::base(&address);
    let docs = meta.get("docs").filter(|path| crate::view::is_local(path));
    let docs = docs.and_then(|path| Some(format!("{}{path}", base.as_ref()?)));
    let (health, output) = state(&checks.unwrap_or_default());
    Instance {
        id: service.id,
        version: said("version"),
        zone: said("zone"),
        started: Some(said("started")).filter(|started| !started.is_empty()),
        address,
        health,
        docs,
        output,
        awaited: false,
    }
}

/// The worst state, and what the checks that are in it say.
fn state(checks: &[Check]) -> (Health, String) {
    let health = |check: &Check| match check.status.as_str() {
        "passing" => Health::Passing,
        "warning" => Health::Warning,
        // Also `maintenance`, and what a later version may say.
        _ => Health::Critical,
    };
    let worst = checks.iter().map(health).max().unwrap_or(Health::Passing);
    if worst == Health::Passing {
        return (worst, String::new());
    }
    let said =
        checks.iter().filter(|check| health(check) == worst).map(|check| check.output.trim());
    let said: Vec<_> = said.filter(|said| !said.is_empty()).collect();
    (worst, said.join("; ").chars().take(OUTPUT).collect())
}
