//! The written rules and invariants, checked.
//!
//! Each finding says where, what, and what to do. What a rule cannot see exactly it leaves to
//! review: a rule that is often wrong is soon ignored. Exceptions stand in `xtask/tidy.toml`, each
//! with its reason; one that is no longer needed is a finding itself.

mod code;
mod codes;
mod exceptions;
mod graph;
mod licences;
mod manifests;
mod markdown;
mod source;
mod testing;
mod text;

use std::fmt;

use crate::{Failed, workspace::Workspace};
use source::Source;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    /// From 1; 0 when it is about the whole file.
    line: usize,
    rule: &'static str,
    what: String,
    remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, rule, what, remedy } = self;
        match line {
            0 => write!(f, "{file}: {what} [{rule}]")?,
            line => write!(f, "{file}:{line}: {what} [{rule}]")?,
        }
        write!(f, "\n    remedy: {remedy}")
    }
}

/// Checks all rules and prints what is broken; with `bless` it writes the snapshot first.
pub fn run(workspace: &Workspace, bless: bool) -> Result<(), Failed> {
    if bless && graph::bless(workspace)? {
        println!("written: {}", graph::SNAPSHOT);
    }
    let findings = check(workspace)?;
    findings.iter().for_each(|finding| println!("{finding}"));
    match findings.len() {
        0 => Ok(()),
        broken => Err(format!("{broken} broken rules; exceptions go to xtask/tidy.toml").into()),
    }
}

fn check(workspace: &Workspace) -> Result<Vec<Finding>, Failed> {
    let files = workspace.files()?;
    // A picture has no text, but links lead to it.
    let text = |file: &String| workspace.read(file).unwrap_or_default();
    let texts: Vec<_> = files.iter().map(|file| (file.as_str(), text(file))).collect();
    let mut findings = Vec::new();
    let mut sources = Vec::new();
    for (file, text) in &texts {
        findings.extend(text::check(file, text));
        if file.ends_with(".rs") {
            match Source::parse(file, text) {
                Ok(source) => sources.push(source),
                Err(error) => findings.push(Finding {
                    file: (*file).to_owned(),
                    line: 0,
                    rule: "syntax",
                    what: format!("is not Rust: {error}"),
                    remedy: "make it compile".into(),
                }),
            }
        }
    }
    sources.iter().for_each(|source| findings.extend(code::check(source)));
    sources.iter().for_each(|source| findings.extend(testing::check(source)));
    findings.extend(markdown::check(&texts));
    findings.extend(markdown::readmes(workspace));
    findings.extend(code::empty_crates(workspace, &sources));
    findings.extend(codes::check(&sources, workspace.read(codes::DOCUMENT).as_deref()));
    findings.extend(graph::check(workspace));
    findings.extend(manifests::check(workspace));
    findings.extend(licences::check(workspace)?);
    exceptions::apply(findings, &workspace.read(exceptions::FILE).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_keeps_its_own_rules() {
        let workspace = Workspace::load().expect("Cargo knows the workspace");
        let findings = check(&workspace).expect("the rules can be checked");
        let text: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "broken rules:\n{}", text.join("\n"));
    }

    #[test]
    fn a_finding_says_where_what_and_what_to_do() {
        let mut finding = Finding {
            file: "a.rs".into(),
            line: 7,
            rule: "header",
            what: "is odd".into(),
            remedy: "make it even".into(),
        };
        assert_eq!(finding.to_string(), "a.rs:7: is odd [header]\n    remedy: make it even");
        finding.line = 0;
        assert!(finding.to_string().starts_with("a.rs: is odd"));
    }
}
