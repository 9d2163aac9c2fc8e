//! The visible list of exceptions.

use serde::Deserialize;

use super::Finding;
use crate::Failed;

/// Where it is.
pub const FILE: &str = "xtask/tidy.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    exception: Vec<Exception>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    rule: String,
    file: String,
    /// A part of the finding's text, to except no more of the file than meant.
    #[serde(default)]
    about: String,
    reason: String,
}

impl Exception {
    fn covers(&self, finding: &Finding) -> bool {
        self.rule == finding.rule && self.file == finding.file && finding.what.contains(&self.about)
    }
}

/// Takes the excepted findings out, and adds those about the list itself. Sorted.
pub fn apply(findings: Vec<Finding>, list: &str) -> Result<Vec<Finding>, Failed> {
    let list: List = toml::from_str(list).map_err(|error| format!("{FILE}: {error}"))?;
    let about_list = |exception: &Exception, what: &str, remedy: &str| Finding {
        file: FILE.into(),
        line: 0,
        rule: "exceptions",
        what: format!("the exception of {} from '{}' {what}", exception.file, exception.rule),
        remedy: remedy.into(),
    };
    let mut left: Vec<_> =
        findings.iter().filter(|f| !list.exception.iter().any(|e| e.covers(f))).cloned().collect();
    for exception in &list.exception {
        if !findings.iter().any(|finding| exception.covers(finding)) {
            left.push(about_list(exception, "is not needed (any more)", "remove it"));
        }
        if exception.reason.trim().is_empty() {
            left.push(about_list(exception, "has no reason", "say why the rule does harm there"));
        }
    }
    left.sort();
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(file: &str, what: &str) -> Finding {
        let (what, remedy) = (what.to_owned(), String::new());
        Finding { file: file.into(), line: 1, rule: "function-length", what, remedy }
    }

    #[test]
    fn an_exception_covers_what_it_names_and_no_more() {
        let list = "[[exception]]\nrule = 'function-length'\nfile = 'a.rs'\nabout = \"'parse'\"\nreason = 'whole'";
        let found = vec![
            finding("a.rs", "'parse' is long"),
            finding("a.rs", "'x' is long"),
            finding("b.rs", "'parse' is long"),
        ];
        let left = apply(found, list).expect("a list");
        assert_eq!(left, [finding("a.rs", "'x' is long"), finding("b.rs", "'parse' is long")]);
    }

    #[test]
    fn an_exception_that_is_not_needed_or_has_no_reason_is_a_finding() {
        let list = "[[exception]]\nrule = 'header'\nfile = 'a.rs'\nreason = ' '";
        let left = apply(Vec::new(), list).expect("a list");
        assert!(left.iter().any(|f| f.what.contains("not needed")), "{left:?}");
        assert!(left.iter().any(|f| f.what.contains("no reason")), "{left:?}");
        assert!(apply(Vec::new(), "[[exception]]\nfile = 'a.rs'").is_err());
    }
}
