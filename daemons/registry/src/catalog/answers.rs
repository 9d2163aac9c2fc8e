//! What is read from the state: bodies of answers with their index.

use std::{collections::BTreeMap, sync::OnceLock};

use bytes::Bytes;
use serde::Serialize;

use super::{
    Catalog,
    state::{Check, Instance, Service, State},
};
use crate::{
    check::Status,
    wire::{AgentService, CatalogService, Entry, HealthCheck, InstanceOfService, NodeBody},
};

/// A body and the index of what it shows.
#[derive(Clone, Debug)]
pub struct Answer {
    /// At least 1.
    pub index: u64,
    /// JSON.
    pub body: Bytes,
}

/// Which instances of a service are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those all of whose checks pass.
    pub passing: bool,
    /// Only those that have all these tags, in any case.
    pub tags: Vec<String>,
}

/// A service for people.
#[derive(Debug)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Its instances.
    pub instances: Vec<FoundInstance>,
}

/// An instance for people.
#[derive(Debug)]
pub struct FoundInstance {
    /// Its ID.
    pub id: String,
    /// Where it listens.
    pub address: String,
    /// What it says of itself.
    pub meta: BTreeMap<String, String>,
    /// The worst of its checks.
    pub status: Status,
    /// What its checks last said, when not all pass.
    pub output: String,
}

/// Bodies made since a service's last change, for all who ask.
#[derive(Debug, Default)]
pub(super) struct Made {
    health: OnceLock<Bytes>,
    passing: OnceLock<Bytes>,
    catalog: OnceLock<Bytes>,
}

impl Catalog {
    /// `/v1/health/service/<name>`: instances with their checks.
    #[must_use]
    pub fn health(&self, name: &str, filter: &Filter) -> Answer {
        let state = self.read();
        let index = state.health_index(name);
        let Some(service) = state.services.get(name) else { return Answer::empty(index) };
        let make = || self.make_health(&state, service, filter);
        let body = match (filter.tags.is_empty(), filter.passing) {
            (true, true) => service.made.passing.get_or_init(make).clone(),
            (true, false) => service.made.health.get_or_init(make).clone(),
            (false, _) => make(),
        };
        Answer { index, body }
    }

    fn make_health(&self, state: &State, service: &Service, filter: &Filter) -> Bytes {
        let entries: Vec<_> = state
            .instances_of(service)
            .filter(|instance| filter.takes(state, instance))
            .map(|instance| Entry {
                node: NodeBody::of(&self.node, state.first_index),
                service: InstanceOfService::of(instance),
                checks: self.checks_of(state, instance).collect(),
            })
            .collect();
        json(&entries)
    }

    /// `/v1/catalog/service/<name>`: instances without their checks.
    #[must_use]
    pub fn instances_of(&self, name: &str, filter: &Filter) -> Answer {
        let state = self.read();
        let index = state.instances_index(name);
        let Some(service) = state.services.get(name) else { return Answer::empty(index) };
        let make = || {
            let instances: Vec<_> = state
                .instances_of(service)
                .filter(|instance| filter.takes(&state, instance))
                .map(|instance| CatalogService::of(&self.node, instance))
                .collect();
            json(&instances)
        };
        let body = match filter.tags.is_empty() {
            true => service.made.catalog.get_or_init(make).clone(),
            false => make(),
        };
        Answer { index, body }
    }

    /// `/v1/catalog/services`: names and their tags.
    #[must_use]
    pub fn names(&self) -> Answer {
        let state = self.read();
        let names: BTreeMap<&str, Vec<&String>> = state
            .services
            .iter()
            .map(|(name, service)| (name.as_str(), service.tags.keys().collect()))
            .collect();
        Answer { index: state.names_index, body: json(&names) }
    }

    /// `/v1/catalog/nodes`: this one.
    #[must_use]
    pub fn nodes(&self) -> Answer {
        let index = self.read().first_index;
        Answer { index, body: json(&[NodeBody::of(&self.node, index)]) }
    }

    /// The answer for what never was here.
    #[must_use]
    pub fn nothing(&self) -> Answer {
        Answer::empty(self.read().first_index)
    }

    /// `/v1/health/checks/<name>`: the checks of a service.
    #[must_use]
    pub fn checks(&self, name: &str) -> Answer {
        let state = self.read();
        let index = state.health_index(name);
        let Some(service) = state.services.get(name) else { return Answer::empty(index) };
        let instances = state.instances_of(service);
        let checks: Vec<_> = instances.flat_map(|i| self.checks_of(&state, i)).collect();
        Answer { index, body: json(&checks) }
    }

    /// `/v1/health/state/<state>` and `/v1/health/node/<this>`: checks of all services.
    #[must_use]
    pub fn checks_in(&self, status: Option<Status>) -> Answer {
        let state = self.read();
        let wanted = |check: &&Check| status.is_none_or(|status| check.status == status);
        let checks: Vec<_> = state
            .services
            .values()
            .flat_map(|service| state.instances_of(service))
            .flat_map(|i| state.checks_of(i).filter(wanted).map(|c| self.check_body(c, i)))
            .collect();
        Answer { index: state.checks_index, body: json(&checks) }
    }

    /// `/v1/agent/services`.
    #[must_use]
    pub fn agent_services(&self) -> Bytes {
        let state = self.read();
        let services: BTreeMap<_, _> = state
            .instances
            .iter()
            .map(|(id, instance)| (id, AgentService::of(&self.node, instance)))
            .collect();
        json(&services)
    }

    /// `/v1/agent/service/<id>`, with its hash.
    #[must_use]
    pub fn agent_service(&self, id: &str) -> Option<(Bytes, String)> {
        let state = self.read();
        let mut service = AgentService::of(&self.node, state.instances.get(id)?);
        let hash = crate::wire::hash(&json(&service));
        service.content_hash = Some(hash.clone());
        Some((json(&service), hash))
    }

    /// `/v1/agent/checks`.
    #[must_use]
    pub fn agent_checks(&self) -> Bytes {
        let state = self.read();
        let checks: BTreeMap<_, _> = state
            .instances
            .values()
            .flat_map(|i| state.checks_of(i).map(move |check| (&check.spec.id, (check, i))))
            .map(|(id, (check, instance))| (id, self.check_body(check, instance)))
            .collect();
        json(&checks)
    }

    /// Everything, for people.
    #[must_use]
    pub fn overview(&self) -> Vec<Found> {
        let state = self.read();
        let found = |instance: &Instance| {
            let failing: Vec<_> =
                state.checks_of(instance).filter(|c| c.status != Status::Passing).collect();
            let said = failing.iter().find_map(|check| {
                [&check.output, &check.spec.notes].into_iter().find(|text| !text.is_empty())
            });
            FoundInstance {
                id: instance.definition.id.clone(),
                address: self.address_of(instance),
                meta: instance.definition.meta.clone(),
                status: failing.iter().map(|c| c.status).max().unwrap_or(Status::Passing),
                output: said.cloned().unwrap_or_default(),
            }
        };
        let services = state.services.iter().map(|(name, service)| Found {
            name: name.clone(),
            instances: state.instances_of(service).map(found).collect(),
        });
        services.collect()
    }

    fn address_of(&self, instance: &Instance) -> String {
        let definition = &instance.definition;
        let host = match definition.address.as_str() {
            "" => &self.node.address,
            address => address,
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.contains(':') {
            true => format!("[{bare}]:{}", definition.port),
            false => format!("{bare}:{}", definition.port),
        }
    }

    fn checks_of<'a>(
        &'a self,
        state: &'a State,
        instance: &'a Instance,
    ) -> impl Iterator<Item = HealthCheck<'a>> {
        state.checks_of(instance).map(|check| self.check_body(check, instance))
    }

    fn check_body<'a>(&'a self, check: &'a Check, instance: &'a Instance) -> HealthCheck<'a> {
        HealthCheck::of(&self.node, check, instance)
    }
}

impl Answer {
    fn empty(index: u64) -> Self {
        Self { index, body: Bytes::from_static(b"[]") }
    }
}

impl Filter {
    fn takes(&self, state: &State, instance: &Instance) -> bool {
        let tags = &instance.definition.tags;
        self.tags.iter().all(|wanted| tags.iter().any(|tag| tag.eq_ignore_ascii_case(wanted)))
            && (!self.passing
                || state.checks_of(instance).all(|check| check.status == Status::Passing))
    }
}

impl State {
    fn instances_of<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = &'a Instance> {
        service.ids.iter().filter_map(|id| self.instances.get(id))
    }

    fn checks_of<'a>(&'a self, instance: &'a Instance) -> impl Iterator<Item = &'a Check> {
        instance.checks.iter().filter_map(|id| self.checks.get(id))
    }
}

fn json(value: &impl Serialize) -> Bytes {
    // Maps with text keys and plain fields: nothing here can fail to be written.
    serde_json::to_vec(value).map(Bytes::from).unwrap_or_default()
}
