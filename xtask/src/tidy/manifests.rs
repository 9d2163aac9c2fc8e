//! Rules about the members' manifests: what stands once for all is inherited by each.

use toml::{Table, Value};

use super::Finding;
use crate::workspace::Workspace;

const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];

pub fn check(workspace: &Workspace) -> Vec<Finding> {
    let files = workspace.members.iter().map(|member| format!("{}/Cargo.toml", member.folder));
    files.flat_map(|file| manifest(&file, &workspace.read(&file).unwrap_or_default())).collect()
}

fn manifest(file: &str, text: &str) -> Vec<Finding> {
    let finding = |what: String, remedy: String| Finding {
        file: file.to_owned(),
        line: 0,
        rule: "manifest",
        what,
        remedy,
    };
    // Cargo itself reports what is no TOML.
    let Ok(table) = text.parse::<Table>() else { return Vec::new() };
    let is_inherited = |value: Option<&Value>| {
        value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
    };
    let package = table.get("package");
    let mut findings: Vec<_> = INHERITED
        .iter()
        .filter(|key| !is_inherited(package.and_then(|package| package.get(key))))
        .map(|key| {
            finding(format!("'{key}' is not the workspace's"), format!("`{key}.workspace = true`"))
        })
        .collect();
    if !is_inherited(table.get("lints")) {
        findings.push(finding(
            "the lints are not the workspace's".into(),
            "`[lints]` with `workspace = true`".into(),
        ));
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let needs = table.get(section).and_then(Value::as_table).into_iter().flatten();
        findings.extend(needs.filter(|(_, need)| !is_inherited(Some(need))).map(|(name, _)| {
            finding(
                format!("the version of '{name}' is not the workspace's"),
                format!(
                    "name it in the root's [workspace.dependencies], here `{name}.workspace = true`"
                ),
            )
        }));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = 'a'\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n\
        [dependencies]\nserde.workspace = true\nsyn = { workspace = true, features = ['visit'] }\n\
        [lints]\nworkspace = true\n";

    #[test]
    fn what_stands_once_is_inherited() {
        assert_eq!(manifest("a/Cargo.toml", GOOD), []);
        for (good, bad) in [
            ("license.workspace = true\n", "license = 'MIT'\n"),
            ("edition.workspace = true\n", ""),
            ("[lints]\nworkspace = true\n", ""),
            ("serde.workspace = true\n", "serde = '1'\n"),
        ] {
            assert_eq!(manifest("a/Cargo.toml", &GOOD.replace(good, bad)).len(), 1, "{bad}");
        }
    }
}
