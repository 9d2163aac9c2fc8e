//! Keeps the routing table as discovery says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use backline_client::{Discovery, Instance};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::task::AbortOnDropHandle;

use crate::Routing;

type Services = watch::Receiver<Arc<BTreeMap<String, Vec<String>>>>;
type Instances = watch::Receiver<Arc<Vec<Instance>>>;

/// Which services have a place in the gateway's paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Public {
    /// Those that are registered with the tag `public`.
    Tagged,
    /// All: a list of addresses that somebody wrote down for this gateway (`static:`) has no tags.
    All,
}

/// Follows discovery for as long as the runtime lives.
pub fn follow(routing: Arc<Routing>, discovery: Discovery, public: Public) -> JoinHandle<()> {
    let services = discovery.watch_services();
    tokio::spawn(follow_services(routing, services, public, move |name| discovery.watch(name)))
}

async fn follow_services(
    routing: Arc<Routing>,
    mut services: Services,
    public: Public,
    watch: impl Fn(&str) -> Instances,
) {
    let mut followed: BTreeMap<String, AbortOnDropHandle<()>> = BTreeMap::new();
    let mut answered = false;
    loop {
        let wanted = named(&services.borrow_and_update(), public);
        followed.retain(|name, _| {
            let stays = wanted.contains(name);
            if !stays {
                tracing::info!(service = name, "the service is no longer public");
                routing.remove(name);
            }
            stays
        });
        for name in wanted {
            followed.entry(name).or_insert_with_key(|name| {
                tracing::info!(service = name, "the service is public");
                let instances = watch(name);
                routing.set(name, &instances.borrow());
                let follower = follow_instances(routing.clone(), name.clone(), instances);
                AbortOnDropHandle::new(tokio::spawn(follower))
            });
        }
        // Even an empty list is an answer.
        if answered {
            routing.set_known();
        }
        if services.changed().await.is_err() {
            // Discovery ends with the process; the table stays as it is until then.
            std::future::pending::<()>().await;
        }
        answered = true;
    }
}

fn named(services: &BTreeMap<String, Vec<String>>, public: Public) -> BTreeSet<String> {
    services
        .iter()
        .filter(|(_, tags)| public == Public::All || tags.iter().any(|tag| tag == "public"))
        .map(|(name, _)| name.clone())
        .collect()
}

async fn follow_instances(routing: Arc<Routing>, service: String, mut instances: Instances) {
    let mut had_some = false;
    loop {
        let now = instances.borrow_and_update().clone();
        if now.is_empty() && had_some {
            tracing::warn!(service, "the service has no healthy instance");
        }
        had_some = !now.is_empty();
        routing.update(&service, &now);
        if instances.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tags(services: &[(&str, &[&str])]) -> Arc<BTreeMap<String, Vec<String>>> {
        let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
        Arc::new(services.iter().map(|(name, t)| ((*name).to_owned(), tags(t))).collect())
    }

    fn instances(ports: &[u16]) -> Arc<Vec<Instance>> {
        let instance = |port: &u16| Instance {
            id: format!("loyalty-{port}"),
            service: "loyalty".into(),
            address: ([127, 0, 0, 1], *port).into(),
            version: String::new(),
            zone: String::new(),
            meta: BTreeMap::new(),
        };
        Arc::new(ports.iter().map(instance).collect())
    }

    struct Followed {
        routing: Arc<Routing>,
        services: watch::Sender<Arc<BTreeMap<String, Vec<String>>>>,
        instances: watch::Sender<Arc<Vec<Instance>>>,
        _follower: AbortOnDropHandle<()>,
    }

    impl Followed {
        fn start(public: Public) -> Self {
            let routing = Arc::new(Routing::default());
            let (services, watched) = watch::channel(tags(&[
                ("loyalty", &["public", "zone=local"]),
                ("ledger", &["zone=local"]),
            ]));
            let (instances, found) = watch::channel(instances(&[1]));
            let follower =
                follow_services(routing.clone(), watched, public, move |_| found.clone());
            let follower = AbortOnDropHandle::new(tokio::spawn(follower));
            Self { routing, services, instances, _follower: follower }
        }

        /// Where a request would go once the changes are through: paused time stands still until
        /// there is nothing left to do.
        async fn port(&self) -> Option<u16> {
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.routing.of("loyalty")?.pick(&[]).map(|upstream| upstream.address.port())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_services_with_the_tag_are_public() {
        let followed = Followed::start(Public::Tagged);
        assert_eq!(followed.port().await, Some(1));
        assert!(followed.routing.of("ledger").is_none());

        let everything = Followed::start(Public::All);
        assert_eq!(everything.port().await, Some(1));
        assert!(everything.routing.of("ledger").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn instances_come_and_go() {
        let followed = Followed::start(Public::Tagged);
        assert_eq!(followed.port().await, Some(1));
        followed.instances.send_replace(instances(&[2]));
        assert_eq!(followed.port().await, Some(2));
        followed.instances.send_replace(instances(&[]));
        assert_eq!(followed.port().await, None);
        assert!(followed.routing.of("loyalty").is_some(), "public, and nobody is healthy");
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_is_public_no_more_has_no_route() {
        let followed = Followed::start(Public::Tagged);
        assert_eq!(followed.port().await, Some(1));
        followed.services.send_replace(tags(&[("loyalty", &["zone=local"])]));
        assert_eq!(followed.port().await, None);
        assert!(followed.routing.of("loyalty").is_none());
        followed.services.send_replace(tags(&[("loyalty", &["public"])]));
        assert_eq!(followed.port().await, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_registry_is_told_from_one_that_has_not_answered() {
        let routing = Arc::new(Routing::default());
        let (services, watched) = watch::channel(tags(&[]));
        let (_instances, found) = watch::channel(instances(&[]));
        let watch = move |_: &str| found.clone();
        let follower = follow_services(routing.clone(), watched, Public::Tagged, watch);
        let _follower = AbortOnDropHandle::new(tokio::spawn(follower));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(!routing.known());
        services.send_replace(tags(&[]));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(routing.known());
    }

    #[tokio::test(start_paused = true)]
    async fn a_written_list_is_followed_as_it_is() {
        let routing = Arc::new(Routing::default());
        let discovery = Discovery::from_url("static:loyalty=127.0.0.1:7", "gateway-1");
        let following = follow(routing.clone(), discovery.expect("a list"), Public::All);
        tokio::time::sleep(Duration::from_millis(1)).await;
        let route = routing.of("loyalty").expect("it is on the list");
        assert_eq!(route.pick(&[]).map(|upstream| upstream.address.port()), Some(7));
        following.abort();
    }
}
