//! The data behind the lock.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use tokio::time::Instant;

use super::{
    agenda::{Agenda, Entry},
    answers::Made,
    wakes::Touched,
};
use crate::{
    check::{Spec, Status},
    registration::Definition,
};

/// How many services that are gone are remembered, for their index.
const MAX_GONE: usize = 4_096;

#[derive(Debug)]
pub(super) struct State {
    /// Grows with every change.
    pub index: u64,
    /// The index of what never was, or was forgotten.
    pub floor: u64,
    /// Last change of the set of services and their tags.
    pub names_index: u64,
    /// Last change of any check.
    pub checks_index: u64,
    /// The counter's start.
    pub first_index: u64,
    pub instances: HashMap<String, Instance>,
    pub services: BTreeMap<String, Service>,
    pub checks: HashMap<String, Check>,
    /// Services without instances: the index at which the last one left.
    pub gone: HashMap<String, u64>,
    pub agenda: Agenda,
    pub last_ticket: u64,
    pub touched: Touched,
}

/// An instance of a service.
#[derive(Debug)]
pub(crate) struct Instance {
    pub definition: Definition,
    pub checks: Vec<String>,
    pub created: u64,
    pub modified: u64,
}

/// A service with at least one instance.
#[derive(Debug)]
pub(super) struct Service {
    pub ids: BTreeSet<String>,
    /// How many instances have each tag.
    pub tags: BTreeMap<String, usize>,
    /// Last change of an instance.
    pub instances_index: u64,
    /// Last change of an instance or a check.
    pub health_index: u64,
    /// Answers that were made since the last change.
    pub made: Arc<Made>,
}

/// A check and its state.
#[derive(Debug)]
pub(crate) struct Check {
    pub spec: Spec,
    pub instance: String,
    pub status: Status,
    pub output: String,
    pub created: u64,
    pub modified: u64,
    /// Tells this registration of the check from an earlier one.
    pub ticket: u64,
    pub slow: bool,
    /// When it runs or expires.
    pub timer: Option<Entry>,
    /// When its instance goes, if it stays critical.
    pub reaper: Option<Entry>,
    pub critical_since: Option<Instant>,
}

impl State {
    pub fn new(first_index: u64) -> Self {
        Self {
            index: first_index,
            floor: first_index,
            names_index: first_index,
            checks_index: first_index,
            first_index,
            instances: HashMap::new(),
            services: BTreeMap::new(),
            checks: HashMap::new(),
            gone: HashMap::new(),
            agenda: Agenda::default(),
            last_ticket: 0,
            touched: Touched::default(),
        }
    }

    pub fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// The number of the change that happens now.
    pub fn next_index(&mut self) -> u64 {
        self.index += 1;
        self.index
    }

    /// The index of a service's checks and instances, or of its absence.
    pub fn health_index(&self, name: &str) -> u64 {
        self.services.get(name).map_or_else(|| self.absent_index(name), |s| s.health_index)
    }

    /// The index of a service's instances, or of its absence.
    pub fn instances_index(&self, name: &str) -> u64 {
        self.services.get(name).map_or_else(|| self.absent_index(name), |s| s.instances_index)
    }

    fn absent_index(&self, name: &str) -> u64 {
        self.gone.get(name).copied().unwrap_or(self.floor)
    }

    /// Notes that an instance of the service changed.
    pub fn instance_changed(&mut self, name: &str, at: u64) {
        if let Some(service) = self.services.get_mut(name) {
            service.instances_index = at;
        }
        self.checks_changed(name, at);
    }

    /// Notes that a check of the service changed.
    pub fn checks_changed(&mut self, name: &str, at: u64) {
        if let Some(service) = self.services.get_mut(name) {
            service.health_index = at;
            service.made = Arc::default();
        }
        self.checks_index = at;
        self.touched.checks = true;
        self.touched.services.push(name.to_owned());
    }

    /// Puts an instance under its service.
    pub fn enlist(&mut self, definition: &Definition, at: u64) {
        self.gone.remove(&definition.name);
        let mut changed = false;
        let service = self.services.entry(definition.name.clone()).or_insert_with(|| {
            changed = true;
            Service {
                ids: BTreeSet::new(),
                tags: BTreeMap::new(),
                instances_index: at,
                health_index: at,
                made: Arc::default(),
            }
        });
        service.ids.insert(definition.id.clone());
        changed |= service.add_tags(&definition.tags);
        if changed {
            self.names_changed(at);
        }
    }

    /// Gives an instance that stays with its service other tags.
    pub fn retag(&mut self, name: &str, old: &[String], new: &[String], at: u64) {
        let Some(service) = self.services.get_mut(name) else { return };
        let added = service.add_tags(new);
        let removed = service.remove_tags(old);
        if added || removed {
            self.names_changed(at);
        }
    }

    /// Takes an instance from its service.
    pub fn delist(&mut self, definition: &Definition, at: u64) {
        let Some(service) = self.services.get_mut(&definition.name) else { return };
        service.ids.remove(&definition.id);
        let mut changed = service.remove_tags(&definition.tags);
        if service.ids.is_empty() {
            changed = true;
            self.services.remove(&definition.name);
            if self.gone.len() >= MAX_GONE {
                // Forgotten together, they share the present index: nobody who waits for one of
                // them with an older index misses that it went.
                self.gone.clear();
                self.floor = at;
            }
            self.gone.insert(definition.name.clone(), at);
        }
        if changed {
            self.names_changed(at);
        }
    }

    fn names_changed(&mut self, at: u64) {
        self.names_index = at;
        self.touched.names = true;
    }
}

impl Service {
    /// Tells whether a tag is new.
    fn add_tags(&mut self, tags: &[String]) -> bool {
        let mut new = false;
        for tag in tags.iter().collect::<BTreeSet<_>>() {
            let count = self.tags.entry(tag.clone()).or_insert(0);
            new |= *count == 0;
            *count += 1;
        }
        new
    }

    /// Tells whether a tag has gone.
    fn remove_tags(&mut self, tags: &[String]) -> bool {
        let before = self.tags.len();
        for tag in tags.iter().collect::<BTreeSet<_>>() {
            if let Some(count) = self.tags.get_mut(tag) {
                *count -= 1;
            }
        }
        self.tags.retain(|_, count| *count > 0);
        self.tags.len() < before
    }
}
