//! The checks of a registration.

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{Definition, Invalid, fields::Fields, plain};
use crate::{
    check::{Kind, Probe, Spec, Status},
    duration,
    target::Target,
};

/// How many checks an instance may have.
const MAX_CHECKS: usize = 16;
const MAX_TEXT: usize = 512;
const MAX_URL: usize = 2048;
const MAX_BODY: usize = 4096;
const MAX_HEADERS: usize = 32;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter intervals, timeouts and TTLs would be load without use.
const SHORTEST: Duration = Duration::from_millis(100);
/// A timeout holds a place among the checks that run.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3_600);
const SHORTEST_DEREGISTER: Duration = Duration::from_secs(1);

/// Keys of checks that Consul runs and this registry does not.
const NOT_RUN: [(&str, &str); 13] = [
    ("Script", SCRIPTS),
    ("Args", SCRIPTS),
    ("ScriptArgs", SCRIPTS),
    ("ShellCommand", SCRIPTS),
    ("Shell", SCRIPTS),
    ("DockerContainerID", SCRIPTS),
    ("TCP", OTHERS),
    ("UDP", OTHERS),
    ("GRPC", OTHERS),
    ("H2PING", OTHERS),
    ("OSService", OTHERS),
    ("AliasNode", OTHERS),
    ("AliasService", OTHERS),
];
const SCRIPTS: &str = "scripts are never run here: whoever may register must not be able to run \
                       programs. Use an HTTP or a TTL check";
const OTHERS: &str = "this version runs HTTP and TTL checks";

/// Headers that belong to the connection, not to the check.
const NOT_SENT: [&str; 5] = ["connection", "content-length", "te", "transfer-encoding", "upgrade"];

pub(super) fn checks(fields: &Fields, service: &Definition) -> Result<Vec<Spec>, Invalid> {
    let mut wanted = fields.list("Checks")?;
    wanted.extend(fields.object("Check")?);
    wanted.retain(|check| !check.is_empty());
    if wanted.len() > MAX_CHECKS {
        return Err(Invalid(format!("{} checks: {MAX_CHECKS} at most", wanted.len())));
    }
    let several = wanted.len() > 1;
    let mut specs: Vec<Spec> = Vec::with_capacity(wanted.len());
    for (at, check) in wanted.iter().enumerate() {
        let default_id = match several {
            false => format!("service:{}", service.id),
            true => format!("service:{}:{}", service.id, at + 1),
        };
        let spec = spec(check, service, default_id)
            .map_err(|Invalid(reason)| Invalid(format!("Invalid check: {reason}")))?;
        if specs.iter().any(|other| other.id == spec.id) {
            return Err(Invalid(format!("Invalid check: two have the CheckID '{}'", spec.id)));
        }
        specs.push(spec);
    }
    Ok(specs)
}

fn spec(check: &Fields, service: &Definition, default_id: String) -> Result<Spec, Invalid> {
    for (key, reason) in NOT_RUN {
        if check.has(key) {
            return Err(Invalid(format!("{key}: {reason}")));
        }
    }
    let text = |key: &str| -> Result<Option<String>, Invalid> {
        let text = check.text(key)?.filter(|text| !text.is_empty());
        text.iter().try_for_each(|text| plain(key, text, MAX_TEXT))?;
        Ok(text)
    };
    let id = match text("CheckID")? {
        Some(id) => Some(id),
        None => text("ID")?,
    };
    let initial = match text("Status")? {
        None => Status::Critical,
        Some(status) => status.parse().map_err(Invalid)?,
    };
    let deregister_after = check.duration("DeregisterCriticalServiceAfter")?;
    let deregister_after = deregister_after.filter(|after| !after.is_zero());
    if let Some(after) = deregister_after {
        within("DeregisterCriticalServiceAfter", after, SHORTEST_DEREGISTER, LONGEST)?;
    }
    Ok(Spec {
        id: id.unwrap_or(default_id),
        name: text("Name")?.unwrap_or_else(|| format!("Service '{}' check", service.name)),
        notes: text("Notes")?.unwrap_or_default(),
        kind: kind(check)?,
        initial,
        deregister_after,
    })
}

fn kind(check: &Fields) -> Result<Kind, Invalid> {
    let url = check.text("HTTP")?.filter(|url| !url.is_empty());
    let ttl = check.duration("TTL")?.filter(|ttl| !ttl.is_zero());
    let interval = check.duration("Interval")?.filter(|interval| !interval.is_zero());
    match (url, ttl, interval) {
        (_, Some(_), Some(_)) => Err(Invalid("Interval and TTL cannot both be specified".into())),
        (Some(_), Some(_), None) => Err(Invalid("HTTP and TTL cannot both be specified".into())),
        (Some(_), None, None) => Err(Invalid("Interval must be > 0 for HTTP checks".into())),
        (None, None, _) => Err(Invalid("TTL must be > 0 for TTL checks; or give HTTP".into())),
        (None, Some(ttl), None) => {
            within("TTL", ttl, SHORTEST, LONGEST)?;
            Ok(Kind::Ttl(ttl))
        }
        (Some(url), None, Some(interval)) => Ok(Kind::Http(Arc::new(probe(check, url, interval)?))),
    }
}

fn probe(check: &Fields, url: String, interval: Duration) -> Result<Probe, Invalid> {
    plain("HTTP", &url, MAX_URL)?;
    within("Interval", interval, SHORTEST, LONGEST)?;
    let timeout = check.duration("Timeout")?.filter(|timeout| !timeout.is_zero());
    let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
    within("Timeout", timeout, SHORTEST, LONGEST_TIMEOUT)?;
    let body = check.text("Body")?.unwrap_or_default();
    if body.len() > MAX_BODY {
        return Err(Invalid(format!("Body is {} bytes long: {MAX_BODY} at most", body.len())));
    }
    Ok(Probe {
        target: Target::parse(&url).map_err(|reason| Invalid(format!("HTTP: {reason}")))?,
        url,
        method: method(check)?,
        headers: headers(check)?,
        body: body.into(),
        interval,
        timeout,
    })
}

fn method(check: &Fields) -> Result<Method, Invalid> {
    let name = check.text("Method")?.unwrap_or_default().to_ascii_uppercase();
    match name.as_str() {
        "" | "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "OPTIONS" => Ok(Method::OPTIONS),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        other => Err(Invalid(format!(
            "Method '{other}': checks are sent with GET, HEAD, OPTIONS, POST or PUT"
        ))),
    }
}

fn headers(check: &Fields) -> Result<HeaderMap, Invalid> {
    let mut headers = HeaderMap::new();
    for (name, values) in check.lists("Header")? {
        let invalid = |what: &str| Invalid(format!("Header '{name}': {what}"));
        let parsed: HeaderName = name.parse().map_err(|_| invalid("not a header's name"))?;
        if NOT_SENT.contains(&parsed.as_str()) {
            return Err(invalid("it belongs to the connection and cannot be set"));
        }
        for value in values {
            plain("Header", &value, MAX_TEXT)?;
            let value =
                HeaderValue::try_from(value).map_err(|_| invalid("not a header's value"))?;
            headers.append(parsed.clone(), value);
        }
    }
    if headers.len() > MAX_HEADERS {
        return Err(Invalid(format!("Header has {} values: {MAX_HEADERS} at most", headers.len())));
    }
    Ok(headers)
}

fn within(field: &str, given: Duration, least: Duration, most: Duration) -> Result<(), Invalid> {
    if (least..=most).contains(&given) {
        return Ok(());
    }
    Err(Invalid(format!(
        "{field} is {}: give {} to {}",
        duration::format(given),
        duration::format(least),
        duration::format(most)
    )))
}
