//! Rules about Rust sources: header, size, lints, pure domains, empty crates.

use super::{Finding, Source};
use crate::workspace::Workspace;

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 60;

/// What a domain must not know: the wire, the store, the clock, the platform.
const IMPURE: &[&str] = &[
    "axum",
    "http",
    "hyper",
    "reqwest",
    "ureq",
    "lettre",
    "rusqlite",
    "tokio",
    "SystemTime",
    "Instant",
    "Timestamp",
];

pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(header(source));
    findings.extend(file_length(source));
    findings.extend(function_lengths(source));
    findings.extend(allow_attributes(source));
    findings.extend(pure_domain(source));
    findings
}

fn header(source: &Source) -> Option<Finding> {
    let is_root = ["/lib.rs", "/main.rs"].iter().any(|name| source.file.ends_with(name));
    (is_root && !source.text.starts_with("//!")).then(|| Finding {
        file: source.file.clone(),
        line: 1,
        rule: "header",
        what: "does not open with `//!`".into(),
        remedy: "say what this is, why it exists, what it refuses to do".into(),
    })
}

fn file_length(source: &Source) -> Option<Finding> {
    let lines = source.text.lines().count();
    (lines > MAX_FILE_LINES).then(|| Finding {
        file: source.file.clone(),
        line: 0,
        rule: "file-length",
        what: format!("has {lines} lines, more than {MAX_FILE_LINES}"),
        remedy: "split it by what changes together".into(),
    })
}

fn function_lengths(source: &Source) -> impl Iterator<Item = Finding> {
    let long = source.functions.iter().filter(|function| function.length > MAX_FUNCTION_LINES);
    long.map(|function| Finding {
        file: source.file.clone(),
        line: *function.lines.start(),
        rule: "function-length",
        what: format!(
            "'{}' has {} lines, more than {MAX_FUNCTION_LINES}",
            function.name, function.length
        ),
        remedy: "give its parts names".into(),
    })
}

/// `allow` stays silent when it is no longer needed; `expect` does not.
fn allow_attributes(source: &Source) -> impl Iterator<Item = Finding> {
    let allows = source.attributes().filter_map(|attribute| {
        let is_lint =
            |pair: &&[super::source::Token]| pair[0].text == "allow" && pair[1].text == "(";
        attribute.windows(2).find(is_lint).map(|pair| pair[0].line)
    });
    allows.map(|line| Finding {
        file: source.file.clone(),
        line,
        rule: "allow-attribute",
        what: "a lint is switched off with `allow`".into(),
        remedy: "`#[expect(lint, reason = \"...\")]`".into(),
    })
}

/// DESIGN: invariant 2. The business's rules can be tested without anything around them.
fn pure_domain(source: &Source) -> Vec<Finding> {
    let is_domain = source.file.starts_with("musiccorp/")
        && (source.file.ends_with("/src/domain.rs") || source.file.contains("/src/domain/"));
    if !is_domain {
        return Vec::new();
    }
    let impure = source.tokens.iter().filter(|token| {
        !token.is_literal
            && (IMPURE.contains(&token.text.as_str()) || token.text.starts_with("backline"))
    });
    impure
        .map(|token| Finding {
            file: source.file.clone(),
            line: token.line,
            rule: "pure-domain",
            what: format!("the domain knows '{}'", token.text),
            remedy: "pass what it needs (such as the time) as a value of its own types".into(),
        })
        .collect()
}

/// A crate that holds nothing is a promise; the layout keeps none of those.
pub fn empty_crates(workspace: &Workspace, sources: &[Source]) -> Vec<Finding> {
    let empty = workspace.members.iter().filter(|member| {
        let folder = format!("{}/", member.folder);
        !sources.iter().any(|source| source.file.starts_with(&folder) && source.items > 0)
    });
    empty
        .map(|member| Finding {
            file: format!("{}/Cargo.toml", member.folder),
            line: 0,
            rule: "empty-crate",
            what: format!("the crate {} is empty", member.name),
            remedy: "leave it out until there is something to put into it".into(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{tidy::testing::rules, workspace::Member};

    fn broken(file: &str, text: &str) -> Vec<&'static str> {
        rules(&check(&Source::parse(file, text).expect("it parses")))
    }

    #[test]
    fn roots_open_with_what_they_are() {
        assert_eq!(broken("a/src/lib.rs", "mod x;\n"), ["header"]);
        assert_eq!(broken("a/src/main.rs", "// x\n//! y\n"), ["header"]);
        assert!(broken("a/src/lib.rs", "//! This.\n").is_empty());
        assert!(broken("a/src/other.rs", "mod x;\n").is_empty());
    }

    #[test]
    fn files_and_functions_are_short() {
        let long = format!("fn x() {{\n{}}}\n", "    y();\n".repeat(MAX_FUNCTION_LINES - 1));
        assert_eq!(broken("a/src/a.rs", &long), ["function-length"]);
        let short = format!("fn x() {{\n{}}}\n", "    y();\n".repeat(MAX_FUNCTION_LINES - 2));
        assert!(broken("a/src/a.rs", &short).is_empty());
        assert_eq!(broken("a/src/a.rs", &"struct X;\n".repeat(401)), ["file-length"]);
        assert!(broken("a/src/a.rs", &"struct X;\n".repeat(400)).is_empty());
    }

    #[test]
    fn lints_are_expected_not_allowed() {
        for attribute in ["#[allow(x)]", "#![allow(x)]", "#[cfg_attr(test, allow(x))]"] {
            assert_eq!(
                broken("a/src/a.rs", &format!("{attribute}\nfn y() {{}}\n")),
                ["allow-attribute"]
            );
        }
        let fine = "#[expect(x, reason = \"allow(y)\")]\n/// `allow(x)`\nfn allow() { allow(); }\n";
        assert!(broken("a/src/a.rs", fine).is_empty());
    }

    #[test]
    fn a_domain_knows_neither_wire_nor_clock_nor_platform() {
        for line in [
            "use axum::Json;",
            "use backline_chassis::Problem;",
            "fn x(t: std::time::SystemTime) {}",
        ] {
            assert_eq!(broken("musiccorp/a/src/domain.rs", line), ["pure-domain"], "{line}");
            assert_eq!(broken("musiccorp/a/src/domain/b.rs", line), ["pure-domain"], "{line}");
            assert!(broken("musiccorp/a/src/api.rs", line).is_empty());
        }
        assert!(broken("musiccorp/a/src/domain.rs", "fn x() { y(\"http\") }").is_empty());
    }

    #[test]
    fn no_crate_is_empty() {
        let member = |name: &str| Member {
            name: name.into(),
            folder: format!("platform/{name}"),
            needs: Vec::new(),
            binaries: Vec::new(),
        };
        let workspace = Workspace {
            root: "/".into(),
            target: "/".into(),
            members: vec![member("full"), member("empty")],
            external: Vec::new(),
        };
        let sources = [
            Source::parse("platform/full/src/lib.rs", "//! A.\nstruct X;\n").expect("it parses"),
            Source::parse("platform/empty/src/lib.rs", "//! B.\n").expect("it parses"),
        ];
        let findings = empty_crates(&workspace, &sources);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].file, "platform/empty/Cargo.toml");
    }
}
