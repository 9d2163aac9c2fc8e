//! Rules about documents: local links lead somewhere; a service's README answers four questions.

use std::collections::BTreeSet;

use super::Finding;
use crate::workspace::Workspace;

/// What a reader asks of a service.
const HEADINGS: [&str; 4] = ["Owns", "Calls", "Emits", "Reacts to"];

/// Checks the links of all Markdown files among `texts`, which are all files of the project.
pub fn check(texts: &[(&str, String)]) -> Vec<Finding> {
    let mut paths = BTreeSet::from([""]);
    for (file, _) in texts {
        paths.insert(file);
        paths.extend(file.match_indices('/').map(|(at, _)| &file[..at]));
    }
    let documents = texts.iter().filter(|(file, _)| file.ends_with(".md"));
    let mut findings = Vec::new();
    for (file, text) in documents {
        for (line, link) in links(text) {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { (*file).to_owned() } else { resolve(file, path) };
            let there = texts.iter().find(|(other, _)| *other == target).map(|(_, text)| text);
            let wrong = if !paths.contains(target.as_str()) {
                format!("the link leads nowhere: {link}")
            } else if !anchor.is_empty()
                && target.ends_with(".md")
                && !there.is_some_and(|text| anchors(text).contains(anchor))
            {
                format!("the link's heading does not exist: {link}")
            } else {
                continue;
            };
            findings.push(Finding {
                file: (*file).to_owned(),
                line,
                rule: "links",
                what: wrong,
                remedy: "correct the path, relative to this file".into(),
            });
        }
    }
    findings
}

/// Each service answers the four questions.
pub fn readmes(workspace: &Workspace) -> Vec<Finding> {
    let services = workspace.services().map(|service| format!("{}/README.md", service.folder));
    services
        .flat_map(|file| {
            let text = workspace.read(&file).unwrap_or_default();
            missing_headings(&text)
                .map(|heading| Finding {
                    file: file.clone(),
                    line: 0,
                    rule: "service-readme",
                    what: format!("has no heading '{heading}'"),
                    remedy: format!("add `## {heading}`; where there is nothing, say so"),
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

fn missing_headings(text: &str) -> impl Iterator<Item = &'static str> {
    let there: Vec<_> = headings(text).collect();
    HEADINGS.into_iter().filter(move |heading| !there.iter().any(|other| other == heading))
}

fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        (!fenced && !is_fence).then_some((at + 1, line))
    })
}

fn headings(text: &str) -> impl Iterator<Item = String> {
    prose(text).filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len() && title.starts_with(' ')).then(|| title.trim().to_owned())
    })
}

/// The anchors that hosts of repositories give to headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let slug = |title: String| {
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
    };
    headings(text).map(slug).collect()
}

/// Targets of inline links and images, and of link definitions, that are local; with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in prose(text) {
        let plain: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        let inline = plain.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let definition = plain
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]: "))
            .map(|(_, target)| target);
        for target in inline.chain(definition) {
            let target = target.split(' ').next().unwrap_or_default().trim_matches(['<', '>']);
            let is_local = !target.is_empty() && !target.contains(':') && !target.starts_with("//");
            if is_local {
                found.push((at, target.to_owned()));
            }
        }
    }
    found
}

/// A link's path from the root. Like a host of repositories, takes a leading slash for the root.
fn resolve(file: &str, link: &str) -> String {
    let mut parts: Vec<_> = match link.starts_with('/') {
        true => Vec::new(),
        false => file.split('/').collect(),
    };
    parts.pop();
    for part in link.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            if parts.pop().is_none() {
                return format!("outside:{link}");
            }
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        let texts = [
            ("docs/guide/a.md", text.to_owned()),
            ("docs/wire/events.md", "# Events\n## Long poll, and `more`\n".into()),
            ("README.md", String::new()),
        ];
        check(&texts).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        let fine = "# Here\n[a](../wire/events.md) [b](../wire/events.md#long-poll-and-more) [c](/README.md)\n\
            [d](../../README.md) [e](https://x.example/y) [f](#here) ![g](../wire) `[h](nowhere.md)`\n\
            ```\n[i](nowhere.md)\n```\n[j]: ../wire/events.md\n";
        assert_eq!(said(fine), [""; 0]);
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        for link in ["[a](nowhere.md)", "[a]: nowhere.md", "![a](nowhere.md \"title\")"] {
            assert_eq!(said(link), ["the link leads nowhere: nowhere.md"], "{link}");
        }
        assert_eq!(said("[a](../../../shared/x.md)").len(), 1);
        let heading = "../wire/events.md#short-poll";
        assert_eq!(
            said(&format!("[a]({heading})")),
            [format!("the link's heading does not exist: {heading}")]
        );
    }

    #[test]
    fn a_service_answers_four_questions() {
        let full = "# Loyalty\n## Owns\n## Calls\nNobody.\n## Emits\n## Reacts to\n";
        assert_eq!(missing_headings(full).count(), 0);
        let poor: Vec<_> =
            missing_headings("# Loyalty\nOwns accounts.\n## Calls\n## Emits\n").collect();
        assert_eq!(poor, ["Owns", "Reacts to"]);
    }
}
