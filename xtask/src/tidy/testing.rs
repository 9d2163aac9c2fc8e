//! Rules about tests.

use super::{Finding, Source, source::Token};

pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(names(source));
    findings.extend(ignored(source));
    findings.extend(sleeps(source));
    findings
}

fn names(source: &Source) -> impl Iterator<Item = Finding> {
    let prefixed = source.functions.iter().filter(|f| f.is_test && f.name.starts_with("test_"));
    prefixed.map(|function| Finding {
        file: source.file.clone(),
        line: *function.lines.start(),
        rule: "test-name",
        what: format!("the test '{}' says that it is a test, not what holds", function.name),
        remedy: "name the behaviour: `a_killed_service_loses_nothing`".into(),
    })
}

fn ignored(source: &Source) -> impl Iterator<Item = Finding> {
    let is_ignore = |attribute: &&[Token]| {
        let names = |at: usize, name| attribute.get(at).is_some_and(|token| token.text == name);
        names(0, "ignore") || names(0, "cfg_attr") && attribute.iter().any(|t| t.text == "ignore")
    };
    source.attributes().filter(is_ignore).map(|attribute| Finding {
        file: source.file.clone(),
        line: attribute[0].line,
        rule: "ignored-test",
        what: "a test is skipped in silence".into(),
        remedy: "make it pass, or remove it and say in the change why".into(),
    })
}

/// A sleep makes a test slow on a fast machine and wrong on a slow one. In a test with a paused
/// clock it takes no time, and in a loop it waits for something; elsewhere `expect` on it or
/// around it gives the reason.
fn sleeps(source: &Source) -> Vec<Finding> {
    let async_tests = || source.functions.iter().filter(|f| f.is_test && f.is_paused);
    let all_paused = async_tests().next().is_some()
        && source
            .functions
            .iter()
            .filter(|f| f.is_test)
            .all(|f| f.is_paused || !sleeps_in(source, f));
    let calls = calls_of_sleep(source).filter(|&line| source.is_test(line));
    calls
        .filter(|&line| {
            let Some(function) = source.function_at(line) else { return true };
            let excused = function.is_paused || !function.is_test && all_paused;
            !excused && !is_explained(source, &function.lines)
        })
        .map(|line| Finding {
            file: source.file.clone(),
            line,
            rule: "sleeping-test",
            what: "a test sleeps".into(),
            remedy: "`wait_for` the condition, or pause the clock (`start_paused = true`)".into(),
        })
        .collect()
}

fn sleeps_in(source: &Source, function: &super::source::Function) -> bool {
    calls_of_sleep(source).any(|line| function.lines.contains(&line))
}

/// The lines of calls of `sleep`, but those right in the body of a loop: there it is the pause
/// between two questions for a condition.
fn calls_of_sleep(source: &Source) -> impl Iterator<Item = usize> {
    let mut lines = Vec::new();
    let mut blocks = Vec::new();
    let mut begins_loop = false;
    for pair in source.tokens.windows(2).filter(|pair| !pair[0].is_literal) {
        match (pair[0].text.as_str(), pair[1].text.as_str()) {
            ("while" | "loop" | "for", _) => begins_loop = true,
            ("{", _) => blocks.push(std::mem::take(&mut begins_loop)),
            ("}", _) => {
                blocks.pop();
            }
            ("sleep", "(") if blocks.last() != Some(&true) => lines.push(pair[0].line),
            _ => {}
        }
    }
    lines.into_iter()
}

fn is_explained(source: &Source, lines: &std::ops::RangeInclusive<usize>) -> bool {
    source.attributes().any(|attribute| {
        let has = |name| attribute.iter().any(|token| token.text == name);
        attribute.first().is_some_and(|first| first.text == "expect" && lines.contains(&first.line))
            && has("disallowed_methods")
            && has("reason")
    })
}

/// The rules that are broken, for the tests of all rules.
#[cfg(test)]
pub fn rules(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(file: &str, text: &str) -> Vec<&'static str> {
        rules(&check(&Source::parse(file, text).expect("it parses")))
    }

    #[test]
    fn tests_are_named_for_behaviour() {
        assert_eq!(broken("a/tests/a.rs", "#[test]\nfn test_it() {}\n"), ["test-name"]);
        assert_eq!(
            broken("a/tests/a.rs", "#[tokio::test]\nasync fn test_it() {}\n"),
            ["test-name"]
        );
        assert!(
            broken("a/tests/a.rs", "#[test]\nfn it_holds() {}\nfn test_data() {}\n").is_empty()
        );
    }

    #[test]
    fn no_test_is_ignored() {
        for attribute in ["#[ignore]", "#[ignore = \"slow\"]", "#[cfg_attr(x, ignore)]"] {
            let text = format!("#[test]\n{attribute}\nfn it_holds() {{}}\n");
            assert_eq!(broken("a/src/a.rs", &text), ["ignored-test"], "{attribute}");
        }
        assert!(broken("a/src/a.rs", "/// We ignore it.\nfn ignore() {}\n").is_empty());
    }

    #[test]
    fn a_test_does_not_sleep() {
        let sleeping = "#[test]\nfn x() {\n    std::thread::sleep(d);\n}\n";
        assert_eq!(broken("a/src/a.rs", sleeping), ["sleeping-test"]);
        let helper = "fn y() { sleep(d) }\n#[test]\nfn x() {}\n";
        assert_eq!(broken("a/tests/a.rs", helper), ["sleeping-test"]);
        let runtime = "#[tokio::test]\nasync fn x() { tokio::time::sleep(d).await }\n";
        assert_eq!(broken("a/src/a.rs", runtime), ["sleeping-test"]);
    }

    #[test]
    fn a_sleep_without_real_time_or_with_a_reason_is_fine() {
        let paused = "#[tokio::test(start_paused = true)]\nasync fn x() { sleep(d).await; y().await }\n\
            async fn y() { sleep(d).await }\n";
        assert!(broken("a/tests/a.rs", paused).is_empty());
        let explained = "#[test]\nfn x() {\n    #[expect(clippy::disallowed_methods, reason = \"r\")]\n    \
            std::thread::sleep(d);\n}\n";
        assert!(broken("a/src/a.rs", explained).is_empty());
        assert!(broken("a/src/a.rs", "fn x() { sleep(d) }\n").is_empty());
    }

    #[test]
    fn a_loop_that_waits_for_something_may_pause() {
        for polls in
            ["while !there() { sleep(d).await; }", "loop { if there() { return } sleep(d) }"]
        {
            assert!(broken("a/tests/a.rs", &format!("fn x() {{ {polls} }}\n")).is_empty());
            let after = format!("fn x() {{ {polls}\n sleep(d) }}\n");
            assert_eq!(broken("a/tests/a.rs", &after), ["sleeping-test"]);
        }
        let implemented = "impl A for B { fn x() { sleep(d) } }\n";
        assert_eq!(broken("a/tests/a.rs", implemented), ["sleeping-test"]);
    }
}
