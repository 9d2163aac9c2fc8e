//! Who may depend on whom, and who does: a new edge is a decision, so it shows in a change.

use std::fs;

use super::Finding;
use crate::{
    Failed,
    workspace::{Member, Need, Workspace},
};

/// The edges between the workspace's crates, as agreed.
pub const SNAPSHOT: &str = "docs/dependencies.txt";

const TESTKIT: &str = "backline-testkit";
const CHASSIS: &str = "backline-chassis";

/// Ways out of a process, or into a store, that a service has only through the chassis.
const UNGUARDED: &[&str] =
    &["hyper", "hyper-util", "reqwest", "ureq", "tonic", "rusqlite", "sqlx", "tokio-postgres"];

pub fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = forbidden(&workspace.members);
    findings.extend(drift(&snapshot(&workspace.members), workspace.read(SNAPSHOT).as_deref()));
    findings
}

/// Writes the snapshot; says whether it changed.
pub fn bless(workspace: &Workspace) -> Result<bool, Failed> {
    let path = workspace.root.join(SNAPSHOT);
    let text = snapshot(&workspace.members);
    if fs::read_to_string(&path).is_ok_and(|there| there == text) {
        return Ok(false);
    }
    fs::create_dir_all(path.parent().ok_or("the snapshot has a folder")?)?;
    fs::write(path, text)?;
    Ok(true)
}

fn forbidden(members: &[Member]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members {
        for need in &member.needs {
            let target = members.iter().find(|other| other.name == need.name);
            let why = match target {
                Some(target) => forbidden_inside(member, need, target),
                None => forbidden_outside(member, need),
            };
            findings.extend(why.map(|why| Finding {
                file: format!("{}/Cargo.toml", member.folder),
                line: 0,
                rule: "dependency-edge",
                what: format!("{} depends on {}: {why}", member.name, need.name),
                remedy: "go through the other's public interface".into(),
            }));
        }
    }
    findings
}

fn forbidden_inside(member: &Member, need: &Need, target: &Member) -> Option<&'static str> {
    if target.name == TESTKIT {
        let is_for_tests = need.dev || ["e2e", "xtask"].contains(&member.layer());
        return (!is_for_tests).then_some("it is for tests only");
    }
    match (member.layer(), target.layer()) {
        ("platform", "daemons" | "musiccorp" | "cli") => Some("the platform knows nobody above it"),
        ("daemons", "daemons") => Some("daemons reach each other by public interfaces only"),
        ("daemons" | "cli", "musiccorp") => Some("Backline knows nothing of the company"),
        ("musiccorp", "musiccorp") => Some("services share no code"),
        // War stories have services of their own, and measure them.
        ("musiccorp", "platform") if member.folder == "musiccorp/gamedays" => None,
        ("musiccorp", _) if !member.is_service() => Some("the tool uses public interfaces only"),
        ("musiccorp", _) if target.name != CHASSIS => Some("a service sees the chassis alone"),
        _ => None,
    }
}

fn forbidden_outside(member: &Member, need: &Need) -> Option<&'static str> {
    let is_unguarded = UNGUARDED.contains(&need.name.as_str());
    (member.is_service() && !need.dev && is_unguarded)
        .then_some("a service's calls and its store go through the chassis, which limits them")
}

fn snapshot(members: &[Member]) -> String {
    let mut text = String::from(
        "# Who depends on whom in this workspace. A new line is a decision: say why in the change.\n\
         # Written by `cargo xtask tidy --bless`, compared by `cargo xtask tidy`.\n",
    );
    for member in members {
        let inside = |need: &&Need| members.iter().any(|other| other.name == need.name);
        for need in member.needs.iter().filter(inside) {
            let note = if need.dev { " (tests)" } else { "" };
            text += &format!("{} -> {}{note}\n", member.name, need.name);
        }
    }
    text
}

fn drift(now: &str, agreed: Option<&str>) -> Vec<Finding> {
    let finding = |line, what| Finding {
        file: SNAPSHOT.into(),
        line,
        rule: "dependency-snapshot",
        what,
        remedy: "if it is meant: `cargo xtask tidy --bless`, and say why in the change".into(),
    };
    let Some(agreed) = agreed else { return vec![finding(0, "does not exist".into())] };
    let is_edge = |line: &&str| !line.starts_with('#');
    let new = now.lines().filter(is_edge).filter(|edge| !agreed.lines().any(|line| line == *edge));
    let new = new.map(|edge| finding(0, format!("a new edge: {edge}")));
    let gone = agreed.lines().enumerate().filter(|(_, line)| is_edge(line));
    let gone = gone.filter(|(_, edge)| !now.lines().any(|line| line == *edge));
    let mut findings: Vec<_> = new
        .chain(gone.map(|(at, edge)| finding(at + 1, format!("an edge is gone: {edge}"))))
        .collect();
    if findings.is_empty() && now != agreed {
        findings.push(finding(0, "is in another form than it is written in".into()));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(folder: &str, needs: &[&str]) -> Member {
        let short = folder.rsplit('/').next().unwrap_or(folder);
        let prefix = if folder.starts_with("musiccorp") { "musiccorp" } else { "backline" };
        let needs = needs.iter().map(|need| match need.strip_prefix("dev:") {
            Some(name) => Need { name: name.into(), dev: true },
            None => Need { name: (*need).into(), dev: false },
        });
        let name = format!("{prefix}-{short}");
        Member { name, folder: folder.into(), needs: needs.collect(), binaries: Vec::new() }
    }

    fn with(folder: &str, needs: &[&str]) -> usize {
        let mut members: Vec<_> = [
            "platform/chassis",
            "platform/client",
            "platform/testkit",
            "daemons/registry",
            "musiccorp/customers",
        ]
        .map(|folder| member(folder, &[]))
        .into();
        members.push(member(folder, needs));
        forbidden(&members).len()
    }

    #[test]
    fn edges_that_break_the_layers_are_found() {
        for (folder, need) in [
            ("platform/events", "backline-registry"),
            ("platform/events", "musiccorp-customers"),
            ("platform/events", "dev:backline-registry"),
            ("platform/events", "backline-testkit"),
            ("daemons/gateway", "backline-registry"),
            ("daemons/gateway", "musiccorp-customers"),
            ("cli", "musiccorp-customers"),
            ("musiccorp/loyalty", "musiccorp-customers"),
            ("musiccorp/loyalty", "backline-client"),
            ("musiccorp/loyalty", "ureq"),
            ("musiccorp/loyalty", "rusqlite"),
            ("musiccorp/loyalty", "backline-testkit"),
            ("musiccorp/tool", "backline-chassis"),
        ] {
            assert_eq!(with(folder, &[need]), 1, "{folder} -> {need}");
        }
    }

    #[test]
    fn edges_along_the_layers_are_fine() {
        for (folder, need) in [
            ("platform/events", "backline-client"),
            ("platform/events", "dev:backline-testkit"),
            ("daemons/gateway", "backline-client"),
            ("cli", "backline-registry"),
            ("musiccorp/loyalty", "backline-chassis"),
            ("musiccorp/loyalty", "dev:backline-testkit"),
            ("musiccorp/loyalty", "dev:ureq"),
            ("musiccorp/tool", "ureq"),
            ("e2e", "backline-testkit"),
        ] {
            assert_eq!(with(folder, &[need]), 0, "{folder} -> {need}");
        }
    }

    #[test]
    fn a_new_edge_and_one_that_is_gone_are_found() {
        let before =
            snapshot(&[member("platform/a", &["backline-b"]), member("platform/b", &["serde"])]);
        assert!(drift(&before, Some(&before)).is_empty());
        let after =
            snapshot(&[member("platform/a", &[]), member("platform/b", &["dev:backline-a"])]);
        let said: Vec<_> = drift(&after, Some(&before)).into_iter().map(|f| f.what).collect();
        let expected = [
            "a new edge: backline-b -> backline-a (tests)",
            "an edge is gone: backline-a -> backline-b",
        ];
        assert_eq!(said, expected);
        assert_eq!(drift(&after, None).len(), 1);
        assert_eq!(drift(&after, Some(&format!("# old\n{after}"))).len(), 1);
    }
}
