//! The shapes of Consul's answers.
//!
//! Lists and maps without entries are `[]` and `{}`, never null: every client reads that, and
//! Consul's own answers differ between endpoints. Fields of the mesh (Proxy, Connect, Kind) are
//! absent.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
};

use serde::Serialize;

use crate::{
    catalog::{Check, Instance, Node},
    check::Kind,
    duration,
    registration::Definition,
};

/// An address for another network.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TaggedAddress<'a> {
    address: &'a str,
    port: u16,
}

/// An instance's share of the requests.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Weights {
    passing: u64,
    warning: u64,
}

/// A node.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeBody<'a> {
    #[serde(rename = "ID")]
    id: String,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: BTreeMap<&'static str, &'a str>,
    meta: BTreeMap<&'static str, &'static str>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> NodeBody<'a> {
    pub fn of(node: &'a Node, index: u64) -> Self {
        Self {
            id: node_id(node),
            node: &node.name,
            address: &node.address,
            datacenter: &node.datacenter,
            tagged_addresses: node_addresses(node),
            meta: BTreeMap::new(),
            create_index: index,
            modify_index: index,
        }
    }
}

fn node_addresses(node: &Node) -> BTreeMap<&'static str, &str> {
    [("lan", node.address.as_str()), ("wan", node.address.as_str())].into()
}

/// A UUID that is the same for the same node at every start.
pub(crate) fn node_id(node: &Node) -> String {
    let part = |salt: &str| {
        BuildHasherDefault::<DefaultHasher>::default().hash_one((
            salt,
            &node.datacenter,
            &node.name,
        ))
    };
    let (high, low) = (part("high"), part("low"));
    format!(
        "{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

/// A hash of a body, for the header X-Consul-ContentHash.
pub(crate) fn hash(body: &[u8]) -> String {
    format!("{:016x}", BuildHasherDefault::<DefaultHasher>::default().hash_one(body))
}

/// An instance as the health endpoints show it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct InstanceOfService<'a> {
    #[serde(flatten)]
    common: Common<'a>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> InstanceOfService<'a> {
    pub fn of(instance: &'a Instance) -> Self {
        Self {
            common: Common::of(&instance.definition),
            create_index: instance.created,
            modify_index: instance.modified,
        }
    }
}

/// An instance as the agent shows it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AgentService<'a> {
    #[serde(flatten)]
    common: Common<'a>,
    datacenter: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_hash: Option<String>,
}

impl<'a> AgentService<'a> {
    pub fn of(node: &'a Node, instance: &'a Instance) -> Self {
        Self {
            common: Common::of(&instance.definition),
            datacenter: &node.datacenter,
            content_hash: None,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Common<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: &'a [String],
    meta: &'a BTreeMap<String, String>,
    port: u16,
    address: &'a str,
    tagged_addresses: BTreeMap<&'a str, TaggedAddress<'a>>,
    weights: Weights,
    enable_tag_override: bool,
}

impl<'a> Common<'a> {
    fn of(definition: &'a Definition) -> Self {
        Self {
            id: &definition.id,
            service: &definition.name,
            tags: &definition.tags,
            meta: &definition.meta,
            port: definition.port,
            address: &definition.address,
            tagged_addresses: tagged_addresses(definition),
            weights: weights(definition),
            enable_tag_override: definition.enable_tag_override,
        }
    }
}

fn tagged_addresses(definition: &Definition) -> BTreeMap<&str, TaggedAddress<'_>> {
    definition
        .tagged_addresses
        .iter()
        .map(|(tag, (address, port))| (tag.as_str(), TaggedAddress { address, port: *port }))
        .collect()
}

fn weights(definition: &Definition) -> Weights {
    let (passing, warning) = definition.weights;
    Weights { passing, warning }
}

/// A check.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HealthCheck<'a> {
    node: &'a str,
    #[serde(rename = "CheckID")]
    check_id: &'a str,
    name: &'a str,
    status: &'static str,
    notes: &'a str,
    output: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: &'a [String],
    #[serde(rename = "Type")]
    kind: &'static str,
    interval: String,
    timeout: String,
    definition: BTreeMap<&'static str, &'static str>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> HealthCheck<'a> {
    pub fn of(node: &'a Node, check: &'a Check, instance: &'a Instance) -> Self {
        let (interval, timeout) = match &check.spec.kind {
            Kind::Http(probe) => {
                (duration::format(probe.interval), duration::format(probe.timeout))
            }
            Kind::Ttl(_) | Kind::Maintenance => Default::default(),
        };
        Self {
            node: &node.name,
            check_id: &check.spec.id,
            name: &check.spec.name,
            status: check.status.as_str(),
            notes: &check.spec.notes,
            output: &check.output,
            service_id: &instance.definition.id,
            service_name: &instance.definition.name,
            service_tags: &instance.definition.tags,
            kind: check.spec.kind.name(),
            interval,
            timeout,
            definition: BTreeMap::new(),
            create_index: check.created,
            modify_index: check.modified,
        }
    }
}

/// An instance with its node and its checks.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Entry<'a> {
    pub node: NodeBody<'a>,
    pub service: InstanceOfService<'a>,
    pub checks: Vec<HealthCheck<'a>>,
}

/// An instance as the catalog shows it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CatalogService<'a> {
    #[serde(rename = "ID")]
    id: String,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: BTreeMap<&'static str, &'a str>,
    node_meta: BTreeMap<&'static str, &'static str>,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: &'a [String],
    service_address: &'a str,
    service_tagged_addresses: BTreeMap<&'a str, TaggedAddress<'a>>,
    service_weights: Weights,
    service_meta: &'a BTreeMap<String, String>,
    service_port: u16,
    service_enable_tag_override: bool,
    create_index: u64,
    modify_index: u64,
}

impl<'a> CatalogService<'a> {
    pub fn of(node: &'a Node, instance: &'a Instance) -> Self {
        let definition = &instance.definition;
        Self {
            id: node_id(node),
            node: &node.name,
            address: &node.address,
            datacenter: &node.datacenter,
            tagged_addresses: node_addresses(node),
            node_meta: BTreeMap::new(),
            service_id: &definition.id,
            service_name: &definition.name,
            service_tags: &definition.tags,
            service_address: &definition.address,
            service_tagged_addresses: tagged_addresses(definition),
            service_weights: weights(definition),
            service_meta: &definition.meta,
            service_port: definition.port,
            service_enable_tag_override: definition.enable_tag_override,
            create_index: instance.created,
            modify_index: instance.modified,
        }
    }
}
