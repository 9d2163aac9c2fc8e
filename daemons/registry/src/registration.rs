//! What a registration may say: Consul's JSON, checked and bounded.
//!
//! Clients write keys as they like (`EnableTagOverride`, `enable_tag_override`,
//! `enabletagoverride`), and Consul takes them all, so keys are compared without case and
//! underscores. Keys of later Consul versions are passed over; checks that this version does not
//! run are refused, because a service whose check never runs would look healthy or dead for ever.

mod checks;
mod fields;

use std::collections::BTreeMap;

use checks::checks;
use fields::Fields;

use crate::check::Spec;

/// The longest name of a service and the longest ID, in bytes.
const MAX_NAME: usize = 256;
const MAX_TAGS: usize = 64;
const MAX_TAG: usize = 255;
const MAX_META: usize = 64;
const MAX_META_KEY: usize = 128;
const MAX_META_VALUE: usize = 512;

/// A registration that was not accepted, with the reason.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// One instance of a service, as it was registered.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Unique in the registry.
    pub id: String,
    /// The service.
    pub name: String,
    /// Where it listens; empty means the registry's own address.
    pub address: String,
    /// Where it listens.
    pub port: u16,
    /// What it says of itself, for filters.
    pub tags: Vec<String>,
    /// What it says of itself, by key.
    pub meta: BTreeMap<String, String>,
    /// Its addresses for other networks.
    pub tagged_addresses: BTreeMap<String, (String, u16)>,
    /// Its share of the requests while passing and while warning.
    pub weights: (u64, u64),
    /// Kept and shown; nothing here overrides tags.
    pub enable_tag_override: bool,
}

/// An instance with its checks.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// The instance.
    pub service: Definition,
    /// Its checks.
    pub checks: Vec<Spec>,
}

impl Registration {
    /// Reads the body of `PUT /v1/agent/service/register`.
    ///
    /// # Errors
    /// With the field and the reason, for a body that is not JSON, misses its name, is too large
    /// in some way, or asks for a check that is not run here.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        let json = serde_json::from_slice(body)
            .map_err(|error| Invalid(format!("Request decode failed: {error}")))?;
        let fields = Fields::of(json, "the service")?;
        let service = definition(&fields)?;
        let checks = checks(&fields, &service)?;
        Ok(Self { service, checks })
    }
}

fn definition(fields: &Fields) -> Result<Definition, Invalid> {
    let name = fields.text("Name")?.unwrap_or_default();
    if name.is_empty() {
        return Err(Invalid("Missing service name".into()));
    }
    plain("Name", &name, MAX_NAME)?;
    let id = fields.text("ID")?.filter(|id| !id.is_empty()).unwrap_or_else(|| name.clone());
    plain("ID", &id, MAX_NAME)?;
    let address = fields.text("Address")?.unwrap_or_default();
    usable_address(&address)?;
    let tags = fields.texts("Tags")?;
    if tags.len() > MAX_TAGS {
        return Err(Invalid(format!("Tags has {} entries: {MAX_TAGS} at most", tags.len())));
    }
    tags.iter().try_for_each(|tag| plain("Tags", tag, MAX_TAG))?;
    let meta = fields.map("Meta")?;
    check_meta(&meta)?;
    let weights = match fields.object("Weights")? {
        None => (1, 1),
        Some(weights) => {
            let weight = |key| weights.number(key, u64::from(u16::MAX)).map(|w| w.unwrap_or(1));
            (weight("Passing")?, weight("Warning")?)
        }
    };
    Ok(Definition {
        id,
        name,
        address,
        port: fields.port("Port")?,
        tags,
        meta,
        tagged_addresses: tagged_addresses(fields)?,
        weights,
        enable_tag_override: fields.flag("EnableTagOverride")?,
    })
}

fn tagged_addresses(fields: &Fields) -> Result<BTreeMap<String, (String, u16)>, Invalid> {
    let mut addresses = BTreeMap::new();
    for (tag, entry) in fields.objects("TaggedAddresses")? {
        let address = entry.text("Address")?.unwrap_or_default();
        plain("TaggedAddresses", &tag, MAX_TAG)?;
        usable_address(&address)?;
        addresses.insert(tag, (address, entry.port("Port")?));
    }
    if addresses.len() > MAX_TAGS {
        return Err(Invalid(format!("TaggedAddresses has more than {MAX_TAGS} entries")));
    }
    Ok(addresses)
}

/// Refuses what is too long or would break a log line, a header or a page.
fn plain(field: &str, text: &str, longest: usize) -> Result<(), Invalid> {
    if text.len() > longest {
        return Err(Invalid(format!("{field} is {} bytes long: {longest} at most", text.len())));
    }
    if text.chars().any(char::is_control) {
        return Err(Invalid(format!("{field} contains control characters")));
    }
    Ok(())
}

fn usable_address(address: &str) -> Result<(), Invalid> {
    plain("Address", address, 255)?;
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    let unspecified = bare.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_unspecified());
    if unspecified || address.contains([' ', '/', '?', '#', '@', '"', '<', '>']) {
        return Err(Invalid(format!(
            "Invalid service address '{address}': give the IP address or host name that clients use"
        )));
    }
    Ok(())
}

/// Consul's own rules for metadata.
fn check_meta(meta: &BTreeMap<String, String>) -> Result<(), Invalid> {
    let invalid = |reason: String| Err(Invalid(format!("Invalid Service Meta: {reason}")));
    if meta.len() > MAX_META {
        return invalid(format!("{} pairs: {MAX_META} at most", meta.len()));
    }
    for (key, value) in meta {
        let word = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if key.is_empty() || key.len() > MAX_META_KEY || !word {
            return invalid(format!(
                "'{}': a key has 1 to {MAX_META_KEY} letters, digits, - and _",
                key.chars().take(40).collect::<String>()
            ));
        }
        if value.len() > MAX_META_VALUE {
            return invalid(format!(
                "'{key}' is {} bytes long: {MAX_META_VALUE} at most",
                value.len()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
