//! Error codes: each problem that a program can answer with has its row in the error pages, and
//! each row a problem.

use std::collections::BTreeSet;

use super::{
    Finding, Source,
    source::{Token, closing},
};

/// Where they are documented.
pub const DOCUMENT: &str = "docs/errors/README.md";

pub fn check(sources: &[Source], document: Option<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let rows = documented(document.unwrap_or_default());
    let mut literals = BTreeSet::new();
    for source in sources.iter().filter(|source| is_product(&source.file)) {
        literals
            .extend(source.tokens.iter().filter(|t| is_product_code(source, t)).filter_map(word));
        for used in problems(source) {
            match used {
                Used::Code(line, code) if !rows.iter().any(|(_, row)| *row == code) => {
                    findings.push(undocumented(source, line, &code));
                }
                Used::Code(..) => {}
                Used::Unknown(line) => findings.push(unknown(source, line)),
            }
        }
    }
    let unused = rows.iter().filter(|(_, row)| !literals.contains(row));
    findings.extend(unused.map(|(line, row)| Finding {
        file: DOCUMENT.into(),
        line: *line,
        rule: "error-codes",
        what: format!("no program answers with '{row}'"),
        remedy: "remove the row, or correct the code".into(),
    }));
    findings
}

enum Used {
    Code(usize, String),
    Unknown(usize),
}

/// The codes given to `Problem::new(status, code, title)`. Where the code is a variable, the
/// function's literals that look like codes are taken for its values.
fn problems(source: &Source) -> Vec<Used> {
    let tokens = &source.tokens;
    let calls = (0..tokens.len()).filter(|&at| {
        let text = |ahead: usize| tokens.get(at + ahead).map(|token| token.text.as_str());
        let path = [Some("Problem"), Some(":"), Some(":"), Some("new"), Some("(")];
        (0..path.len()).all(|ahead| text(ahead) == path[ahead])
            && is_product_code(source, &tokens[at])
    });
    let mut used = Vec::new();
    for at in calls {
        let Some(close) = closing(tokens, at + 4) else { continue };
        let line = tokens[at].line;
        let argument = second_argument(&tokens[at + 5..close]);
        match argument {
            [only] if only.is_literal => {
                used.extend(word(only).map(|code| Used::Code(only.line, code)));
            }
            _ => {
                let lines = source.function_at(line).map(|function| function.lines.clone());
                let near =
                    tokens.iter().filter(|t| lines.as_ref().is_some_and(|l| l.contains(&t.line)));
                let mut near = near.filter_map(|t| Some(Used::Code(t.line, code(t)?))).peekable();
                if near.peek().is_none() {
                    used.push(Used::Unknown(line));
                }
                used.extend(near);
            }
        }
    }
    used
}

fn second_argument(arguments: &[Token]) -> &[Token] {
    let mut depth = 0_i32;
    let mut begin = None;
    for (at, token) in arguments.iter().enumerate().filter(|(_, token)| !token.is_literal) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            "," if depth == 0 => match begin {
                None => begin = Some(at + 1),
                Some(begin) => return &arguments[begin..at],
            },
            _ => {}
        }
    }
    begin.map_or(&[], |begin| &arguments[begin..])
}

/// A literal that can be a code: lower-case words joined by hyphens.
fn word(token: &Token) -> Option<String> {
    let text = token.text.strip_prefix('"')?.strip_suffix('"')?;
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    (token.is_literal && text.split('-').all(is_word)).then(|| text.to_owned())
}

/// A literal that is hardly anything but a code.
fn code(token: &Token) -> Option<String> {
    word(token).filter(|text| text.contains('-'))
}

fn documented(document: &str) -> Vec<(usize, String)> {
    let rows = document.lines().enumerate().filter_map(|(at, line)| {
        let (code, _) = line.trim_start().strip_prefix("| `")?.split_once('`')?;
        Some((at + 1, code.to_owned()))
    });
    rows.collect()
}

fn is_product(file: &str) -> bool {
    !["xtask/", "e2e/", "platform/testkit/"].iter().any(|folder| file.starts_with(folder))
}

fn is_product_code(source: &Source, token: &Token) -> bool {
    !source.is_test(token.line)
}

fn undocumented(source: &Source, line: usize, code: &str) -> Finding {
    Finding {
        file: source.file.clone(),
        line,
        rule: "error-codes",
        what: format!("the code '{code}' is not documented"),
        remedy: format!("add a row `| `{code}` | ...` to {DOCUMENT}"),
    }
}

fn unknown(source: &Source, line: usize) -> Finding {
    Finding {
        file: source.file.clone(),
        line,
        rule: "error-codes",
        what: "the problem's code is not a literal of this function".into(),
        remedy: "write the code as a literal where the problem is made".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: &str, document: &str) -> Vec<String> {
        let source = Source::parse("daemons/a/src/a.rs", code).expect("it parses");
        check(&[source], Some(document)).into_iter().map(|finding| finding.what).collect()
    }

    const ROW: &str = "| `no-route` | There is no such service |";

    #[test]
    fn each_code_has_a_row() {
        let code = "fn x() { Problem::new(status(1, 2), \"no-route\", \"No, none\") }";
        assert!(said(code, ROW).is_empty());
        let one_word = "fn x() { Problem::new(S, \"misdirected\", \"t\") }";
        assert!(said(one_word, "| `misdirected` | For another process |").is_empty());
        assert_eq!(said(one_word, ""), ["the code 'misdirected' is not documented"]);
        assert!(
            said(code, "no-route").iter().any(|what| what.contains("'no-route' is not documented"))
        );
    }

    #[test]
    fn each_row_has_a_code() {
        assert_eq!(said("fn x() {}", ROW), ["no program answers with 'no-route'"]);
        let only_tested =
            format!("#[test]\nfn x() {{ Problem::new(S, \"{}\", \"t\") }}", "no-route");
        assert_eq!(said(&only_tested, ROW), ["no program answers with 'no-route'"]);
    }

    #[test]
    fn a_code_in_a_variable_is_found_in_its_function_or_reported() {
        let code = "fn x() { let c = if y { \"no-route\" } else { \"no-instance\" };\n Problem::new(S, c, \"t\") }";
        assert_eq!(said(code, ROW), ["the code 'no-instance' is not documented"]);
        let far = "fn x(c: &str) { Problem::new(S, c, \"t\") }";
        assert_eq!(said(far, ""), ["the problem's code is not a literal of this function"]);
    }
}
