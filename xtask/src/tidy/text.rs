//! Rules about every text file.

use super::Finding;

/// Marks of unfinished work, taken apart so that this file has none.
const MARKS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Folders of one person's or one machine's workplace.
const WORKPLACES: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

pub fn check(file: &str, text: &str) -> Vec<Finding> {
    // Made by tools, or other people's words.
    if file == "Cargo.lock" || file.starts_with("LICENSE") || file.contains("/assets/vendor/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let found = |rule, what: String, remedy: &str| Finding {
            file: file.to_owned(),
            line: at + 1,
            rule,
            what,
            remedy: remedy.into(),
        };
        for mark in MARKS.iter().filter(|mark| is_word_in(mark, line)) {
            let what = format!("unfinished work is marked with {mark}");
            findings.push(found("unfinished", what, "finish it, or file it as an issue"));
        }
        for place in WORKPLACES.iter().filter(|place| begins_path_in(place, line)) {
            let what = format!("a path of one machine: {place}");
            findings.push(found("workplace", what, "use a path relative to the repository"));
        }
    }
    findings
}

fn is_word_in(word: &str, line: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !joins(before) && !joins(after)
    })
}

/// Whether a path in the line begins so: the same folder within a longer path is no absolute one.
fn begins_path_in(folder: &str, line: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-}>)".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::rules;

    fn broken(text: &str) -> Vec<&'static str> {
        rules(&check("docs/a.md", text))
    }

    #[test]
    fn unfinished_work_is_not_committed() {
        for mark in MARKS {
            assert_eq!(broken(&format!("fine\n// {mark}: later")), ["unfinished"], "{mark}");
            assert!(broken(&format!("{mark}S and a{mark}")).is_empty());
        }
    }

    #[test]
    fn paths_of_one_machine_are_not_committed() {
        for place in WORKPLACES {
            assert_eq!(broken(&format!("see {place}x")), ["workplace"], "{place}");
            assert!(broken(&format!("the links ..{place}x and docs{place}x")).is_empty());
        }
    }
}
