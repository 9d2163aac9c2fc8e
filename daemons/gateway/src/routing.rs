//! Where requests go: the public services and their healthy instances.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use backline_client::Instance;

use crate::{target, upstream::Upstream};

/// The routing table. Read for every request without a lock, replaced as a whole at a change.
#[derive(Default)]
pub struct Routing {
    table: ArcSwap<BTreeMap<String, Arc<Route>>>,
    changing: Mutex<()>,
    known: AtomicBool,
}

impl Routing {
    /// Makes `service` public, with these healthy instances. Instances that stay keep their
    /// connections. A service whose name cannot stand in a path is left out.
    pub fn set(&self, service: &str, instances: &[Instance]) {
        if !target::can_be_routed(service) {
            tracing::warn!(
                service,
                "no route for a service of this name: letters, digits, '-' and '_' only, and not the name of an operational path"
            );
            return;
        }
        self.change(|table| {
            let old = table.get(service).map(Arc::as_ref);
            let new = Route::new(instances, old);
            table.insert(service.to_owned(), Arc::new(new));
        });
    }

    /// Like [`Routing::set`], for a service that has a route: one that was taken away meanwhile
    /// does not come back by late news of its instances.
    pub(crate) fn update(&self, service: &str, instances: &[Instance]) {
        self.change(|table| {
            if let Some(route) = table.get_mut(service) {
                *route = Arc::new(Route::new(instances, Some(route)));
            }
        });
    }

    /// Takes `service` away.
    pub fn remove(&self, service: &str) {
        self.change(|table| {
            table.remove(service);
        });
    }

    /// Says that what is not in the table does not exist. Until then, or until the first service is
    /// set, nobody knows.
    pub fn set_known(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    pub(crate) fn known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    pub(crate) fn of(&self, service: &str) -> Option<Arc<Route>> {
        self.table.load().get(service).cloned()
    }

    /// The public services, each with what it is about as far as an instance says it.
    pub(crate) fn services(&self) -> Vec<(String, Option<String>)> {
        let about = |route: &Route| route.upstreams.iter().find_map(|u| u.about.clone());
        self.table.load().iter().map(|(name, route)| (name.clone(), about(route))).collect()
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Arc<Route>>)) {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = BTreeMap::clone(&self.table.load());
        change(&mut table);
        self.table.store(Arc::new(table));
        self.set_known();
    }
}

/// The instances of one service.
pub(crate) struct Route {
    upstreams: Vec<Arc<Upstream>>,
    next: AtomicUsize,
}

impl Route {
    fn new(instances: &[Instance], old: Option<&Self>) -> Self {
        let known = |instance: &Instance| {
            old?.upstreams
                .iter()
                .find(|u| u.id == instance.id && u.address == instance.address)
                .cloned()
        };
        let upstreams = instances
            .iter()
            .filter_map(|i| known(i).or_else(|| Upstream::new(i).map(Arc::new)))
            .collect();
        let next = old.map_or(0, |old| old.next.load(Ordering::Relaxed));
        Self { upstreams, next: AtomicUsize::new(next) }
    }

    /// The instance with the fewest outstanding requests that was not tried yet; in turn among
    /// equals.
    pub fn pick(&self, tried: &[Arc<Upstream>]) -> Option<Arc<Upstream>> {
        let count = self.upstreams.len();
        // A second choice takes nobody's turn: otherwise, of two instances, the one that fails
        // would have the first turn every time.
        let start = if tried.is_empty() {
            self.next.fetch_add(1, Ordering::Relaxed)
        } else {
            self.next.load(Ordering::Relaxed)
        };
        (0..count)
            .filter_map(|offset| self.upstreams.get(start.wrapping_add(offset) % count))
            .filter(|upstream| !tried.iter().any(|tried| Arc::ptr_eq(tried, upstream)))
            .min_by_key(|upstream| upstream.outstanding())
            .cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(id: &str, port: u16) -> Instance {
        Instance {
            id: id.into(),
            service: "loyalty".into(),
            address: ([127, 0, 0, 1], port).into(),
            version: "0.1.0".into(),
            zone: "local".into(),
            meta: BTreeMap::from([("about".to_owned(), "Points".to_owned())]),
        }
    }

    fn picks(routing: &Routing, count: usize) -> Vec<String> {
        let route = routing.of("loyalty").expect("it is public");
        (0..count).filter_map(|_| route.pick(&[])).map(|upstream| upstream.id.clone()).collect()
    }

    #[test]
    fn idle_instances_take_turns() {
        let routing = Routing::default();
        routing.set("loyalty", &[instance("a", 1), instance("b", 2), instance("c", 3)]);
        assert_eq!(picks(&routing, 6), ["a", "b", "c", "a", "b", "c"]);
    }

    #[test]
    fn what_was_tried_is_not_picked_again() {
        let routing = Routing::default();
        routing.set("loyalty", &[instance("a", 1), instance("b", 2)]);
        let route = routing.of("loyalty").expect("it is public");
        let mut tried = vec![route.pick(&[]).expect("one of two")];
        tried.push(route.pick(&tried).expect("the other"));
        assert_ne!(tried[0].id, tried[1].id);
        assert!(route.pick(&tried).is_none());
    }

    #[test]
    fn a_second_choice_does_not_move_the_turns() {
        let routing = Routing::default();
        routing.set("loyalty", &[instance("a", 1), instance("b", 2)]);
        let route = routing.of("loyalty").expect("it is public");
        let first = route.pick(&[]).expect("one of two");
        route.pick(std::slice::from_ref(&first)).expect("the other");
        assert_ne!(route.pick(&[]).expect("one of two").id, first.id);
    }

    #[test]
    fn an_instance_that_stays_keeps_its_connections_and_one_that_moved_does_not() {
        let routing = Routing::default();
        let all = || routing.of("loyalty").expect("it is public").upstreams.clone();
        routing.set("loyalty", &[instance("a", 1), instance("b", 2)]);
        let before = all();
        routing.set("loyalty", &[instance("a", 1), instance("b", 9)]);
        let after = all();
        assert!(Arc::ptr_eq(&before[0], &after[0]));
        assert!(!Arc::ptr_eq(&before[1], &after[1]));
        routing.set("loyalty", &[]);
        drop(after);
        assert_eq!(Arc::strong_count(&before[0]), 1, "nobody else holds an instance that is gone");
    }

    #[test]
    fn a_service_that_was_taken_away_has_no_route() {
        let routing = Routing::default();
        routing.set("loyalty", &[instance("a", 1)]);
        assert_eq!(routing.services(), [("loyalty".to_owned(), Some("Points".to_owned()))]);
        routing.remove("loyalty");
        routing.update("loyalty", &[instance("a", 1)]);
        assert!(routing.of("loyalty").is_none());
    }

    #[test]
    fn operational_paths_cannot_be_taken_by_a_service() {
        let routing = Routing::default();
        for name in ["health", "metrics", "", "a/b", ".."] {
            routing.set(name, &[instance("a", 1)]);
        }
        assert!(routing.services().is_empty());
    }
}
