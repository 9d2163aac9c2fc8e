//! Licences, bans and origins of the crates from outside, after `deny.toml`.

use serde::Deserialize;

use super::Finding;
use crate::{
    Failed,
    workspace::{External, Workspace},
};

/// The lists, in cargo-deny's form.
const FILE: &str = "deny.toml";
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Deserialize)]
struct Lists {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

pub fn check(workspace: &Workspace) -> Result<Vec<Finding>, Failed> {
    let text = workspace.read(FILE).ok_or_else(|| format!("{FILE} is missing"))?;
    let lists: Lists = toml::from_str(&text).map_err(|error| format!("{FILE}: {error}"))?;
    let lock = workspace.read("Cargo.lock").unwrap_or_default();
    Ok(workspace.external.iter().flat_map(|found| judge(found, &lists, &lock)).collect())
}

fn judge(found: &External, lists: &Lists, lock: &str) -> Vec<Finding> {
    let entry = format!("name = \"{}\"", found.name);
    let line = lock.lines().position(|line| line == entry).map_or(0, |at| at + 1);
    let finding = |rule, what| Finding {
        file: "Cargo.lock".into(),
        line,
        rule,
        what,
        remedy: format!("find who brings it with `cargo tree -i {}`, and do without", found.name),
    };
    let mut findings = Vec::new();
    if let Some(ban) = lists.bans.deny.iter().find(|ban| ban.name == found.name) {
        findings.push(finding("banned-crate", format!("{} is banned: {}", found.name, ban.reason)));
    }
    let licence = found.licence.as_deref().unwrap_or("none");
    if !is_allowed(licence, &lists.licenses.allow) {
        let what = format!("the licence of {} is not on the list of {FILE}: {licence}", found.name);
        findings.push(finding("licence", what));
    }
    if found.source != CRATES_IO {
        findings.push(finding("origin", format!("{} comes from {}", found.name, found.source)));
    }
    findings
}

/// Whether an SPDX expression can be met with the licences of the list. Older crates write a slash
/// for OR. An expression that cannot be read is not met.
fn is_allowed(expression: &str, list: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<_> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(&mut rest, list) == Some(true) && rest.is_empty()
}

fn any(rest: &mut &[&str], list: &[String]) -> Option<bool> {
    let mut met = all(rest, list)?;
    while take(rest, "OR") {
        met |= all(rest, list)?;
    }
    Some(met)
}

fn all(rest: &mut &[&str], list: &[String]) -> Option<bool> {
    let mut met = one(rest, list)?;
    while take(rest, "AND") {
        met &= one(rest, list)?;
    }
    Some(met)
}

fn one(rest: &mut &[&str], list: &[String]) -> Option<bool> {
    if take(rest, "(") {
        let met = any(rest, list)?;
        return take(rest, ")").then_some(met);
    }
    let (name, after) = rest.split_first()?;
    *rest = after;
    let mut licence = (*name).to_owned();
    if take(rest, "WITH") {
        let (exception, after) = rest.split_first()?;
        *rest = after;
        licence = format!("{licence} WITH {exception}");
    }
    Some(list.contains(&licence))
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    match rest.split_first() {
        Some((first, after)) if *first == word => {
            *rest = after;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::rules;

    fn lists() -> Lists {
        let text = "licenses.allow = ['MIT', 'Zlib']\n[bans]\ndeny = [{ crate = 'openssl-sys', reason = 'r' }]";
        toml::from_str(text).expect("lists")
    }

    fn broken(name: &str, licence: Option<&str>, source: &str) -> Vec<&'static str> {
        let licence = licence.map(str::to_owned);
        rules(&judge(&External { name: name.into(), licence, source: source.into() }, &lists(), ""))
    }

    #[test]
    fn banned_crates_foreign_licences_and_origins_are_found() {
        assert!(broken("serde", Some("MIT OR Apache-2.0"), CRATES_IO).is_empty());
        assert_eq!(broken("openssl-sys", Some("MIT"), CRATES_IO), ["banned-crate"]);
        assert_eq!(broken("x", Some("AGPL-3.0"), CRATES_IO), ["licence"]);
        assert_eq!(broken("x", None, CRATES_IO), ["licence"]);
        assert_eq!(broken("x", Some("MIT"), "git+https://x.example/y"), ["origin"]);
    }

    #[test]
    fn licence_expressions_are_understood() {
        let list = lists().licenses.allow;
        for met in
            ["MIT", "A OR MIT", "A/MIT", "(A OR MIT) AND Zlib", "A WITH B OR MIT", "MIT AND Zlib"]
        {
            assert!(is_allowed(met, &list), "{met}");
        }
        for unmet in
            ["A", "MIT AND A", "(A OR B) AND MIT", "MIT WITH B", "", "MIT OR", "(MIT", "MIT Zlib"]
        {
            assert!(!is_allowed(unmet, &list), "{unmet}");
        }
    }
}
