//! Waking those who wait for a change.
//!
//! Services are spread over a fixed number of bells by their name: a watcher of a service that
//! does not exist costs no memory in the registry, and one that hears the bell of another service
//! looks at its own index and goes on waiting.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use tokio::sync::Notify;

const BELLS: usize = 256;

/// What can be waited for.
#[derive(Clone, Copy, Debug)]
pub enum Topic<'a> {
    /// Instances and checks of a service.
    Service(&'a str),
    /// The names of services and their tags.
    Names,
    /// Any check.
    Checks,
    /// Never changes.
    Nodes,
}

/// What a change has touched.
#[derive(Debug, Default)]
pub(super) struct Touched {
    pub services: Vec<String>,
    pub names: bool,
    pub checks: bool,
    pub agenda: bool,
}

#[derive(Debug)]
pub(super) struct Wakes {
    services: Box<[Notify]>,
    names: Notify,
    checks: Notify,
    nodes: Notify,
    agenda: Notify,
}

impl Default for Wakes {
    fn default() -> Self {
        Self {
            services: (0..BELLS).map(|_| Notify::new()).collect(),
            names: Notify::new(),
            checks: Notify::new(),
            nodes: Notify::new(),
            agenda: Notify::new(),
        }
    }
}

impl Wakes {
    pub fn topic(&self, topic: Topic<'_>) -> &Notify {
        match topic {
            Topic::Service(name) => &self.services[bell(name)],
            Topic::Names => &self.names,
            Topic::Checks => &self.checks,
            Topic::Nodes => &self.nodes,
        }
    }

    pub fn agenda(&self) -> &Notify {
        &self.agenda
    }

    pub fn wake(&self, touched: &Touched) {
        for name in &touched.services {
            self.services[bell(name)].notify_waiters();
        }
        if touched.names {
            self.names.notify_waiters();
        }
        if touched.checks {
            self.checks.notify_waiters();
        }
        if touched.agenda {
            // One scheduler waits; it must hear of a change that came while it was busy.
            self.agenda.notify_one();
        }
    }
}

fn bell(name: &str) -> usize {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
    usize::try_from(hash % BELLS as u64).unwrap_or(0)
}
