//! What has to be known of a statement before SQLite gets it.
//!
//! SQLite reads `$1` as a *name* and numbers names by their first appearance: in `SELECT $2, $1` it
//! would bind the first parameter to `$2` without a word. `?1` means what Postgres means by `$1`.

use crate::Error;

/// A statement as SQLite shall see it.
pub(crate) struct Statement {
    pub sql: String,
    /// Whether it is one that changes rows and counts them.
    pub changes_rows: bool,
}

/// Statements that begin, end or reach beyond a transaction.
const REFUSED: [(&str, &str); 12] = [
    ("BEGIN", TRANSACTION),
    ("START", TRANSACTION),
    ("COMMIT", TRANSACTION),
    ("END", TRANSACTION),
    ("ROLLBACK", TRANSACTION),
    ("ABORT", TRANSACTION),
    ("SAVEPOINT", TRANSACTION),
    ("RELEASE", TRANSACTION),
    ("PRAGMA", "settings are the store's own"),
    ("ATTACH", "a transaction is of one store"),
    ("DETACH", "a transaction is of one store"),
    ("VACUUM", "it cannot run inside a transaction"),
];
const TRANSACTION: &str =
    "the store begins and ends transactions; return an error to take one back";

/// A piece of SQL.
#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    /// Blanks and comments.
    Space,
    /// A keyword or a plain name.
    Word(&'a str),
    /// A string, a quoted name, a number, an operator.
    Other,
    /// `$` and what follows it.
    Dollar(&'a str),
    /// `?`, `:name`, `@name`: SQLite's other ways to write a parameter.
    Foreign(&'a str),
    Semicolon,
}

/// Checks one statement of a closure and writes its parameters SQLite's way.
pub(crate) fn read(sql: &str) -> Result<Statement, Error> {
    let refuse = |why: &str| Error::Refused { why: why.to_owned(), sql: excerpt(sql) };
    let mut rewritten = String::with_capacity(sql.len());
    let mut first: Option<String> = None;
    let mut ended = false;
    let mut rest = sql;
    while let Some((token, text, after)) = next(rest) {
        rest = after;
        if ended && !matches!(token, Token::Space | Token::Semicolon) {
            return Err(refuse("one statement at a time"));
        }
        match token {
            Token::Word(word) if first.is_none() => {
                let word = word.to_ascii_uppercase();
                if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == word) {
                    return Err(refuse(why));
                }
                first = Some(word);
            }
            Token::Dollar(digits) => {
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(refuse(&format!("'{text}' is no parameter; write $1, $2, ...")));
                }
                rewritten.push('?');
                rewritten.push_str(digits);
                continue;
            }
            Token::Foreign(_) => {
                return Err(refuse(&format!("'{text}' is no parameter; write $1, $2, ...")));
            }
            // A trigger's body has statements of its own.
            Token::Semicolon => ended = first.as_deref() != Some("CREATE"),
            _ => {}
        }
        rewritten.push_str(text);
    }
    let changing = ["INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"];
    let changes_rows = first.is_some_and(|first| changing.contains(&first.as_str()));
    Ok(Statement { sql: rewritten, changes_rows })
}

/// The word that has no place in a migration, which holds many statements and is run as one
/// transaction with all others. `END` is let through: it ends the body of a trigger.
pub(crate) fn refused_in_script(sql: &str) -> Option<(String, &'static str)> {
    let mut at_start = true;
    let mut rest = sql;
    while let Some((token, _, after)) = next(rest) {
        rest = after;
        match token {
            Token::Word(word) if at_start => {
                at_start = false;
                let word = word.to_ascii_uppercase();
                let found = REFUSED.iter().find(|(refused, _)| *refused == word && word != "END");
                if let Some((_, why)) = found {
                    return Some((word, why));
                }
            }
            Token::Space => {}
            Token::Semicolon => at_start = true,
            _ => at_start = false,
        }
    }
    None
}

/// The first line or so of a statement, for messages.
pub(crate) fn excerpt(sql: &str) -> String {
    const LONGEST: usize = 120;
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// The next token, its text, and what follows.
fn next(sql: &str) -> Option<(Token<'_>, &str, &str)> {
    let start = sql.chars().next()?;
    let two = sql.get(..2).unwrap_or_default();
    let named = |from: usize| from + length(&sql[from..], is_name);
    let (end, token): (usize, fn(&str) -> Token<'_>) = match start {
        _ if start.is_ascii_whitespace() => {
            (length(sql, |c| c.is_ascii_whitespace()), |_| Token::Space)
        }
        '-' if two == "--" => (sql.find('\n').unwrap_or(sql.len()), |_| Token::Space),
        '/' if two == "/*" => {
            (sql[2..].find("*/").map_or(sql.len(), |at| at + 4), |_| Token::Space)
        }
        '\'' | '"' | '`' => (quoted(sql, start), |_| Token::Other),
        '[' => (sql.find(']').map_or(sql.len(), |at| at + 1), |_| Token::Other),
        ';' => (1, |_| Token::Semicolon),
        '$' => (named(1), |text| Token::Dollar(&text[1..])),
        '?' => (named(1), |text| Token::Foreign(text)),
        ':' | '@' if named(1) > 1 => (named(1), |text| Token::Foreign(text)),
        _ if start.is_ascii_digit() => (named(0), |_| Token::Other),
        _ if is_name(start) => (named(0), |text| Token::Word(text)),
        _ => (start.len_utf8(), |_| Token::Other),
    };
    let (text, rest) = sql.split_at(end);
    Some((token(text), text, rest))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

/// How many bytes of `sql` are characters that `belongs` takes.
fn length(sql: &str, belongs: impl Fn(char) -> bool) -> usize {
    sql.find(|c| !belongs(c)).unwrap_or(sql.len())
}

/// The end of a quoted piece; the quote itself is written twice inside.
fn quoted(sql: &str, quote: char) -> usize {
    let mut from = 1;
    while let Some(at) = sql[from..].find(quote) {
        from += at + 1;
        if !sql[from..].starts_with(quote) {
            return from;
        }
        from += 1;
    }
    sql.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(sql: &str) -> String {
        read(sql).expect(sql).sql
    }

    #[test]
    fn parameters_are_written_the_way_that_counts() {
        assert_eq!(rewritten("SELECT $2, $1, $12"), "SELECT ?2, ?1, ?12");
        assert_eq!(rewritten("VALUES($1,$1)"), "VALUES(?1,?1)");
    }

    #[test]
    fn what_only_looks_like_a_parameter_is_left() {
        for sql in [
            "SELECT '$1', 'it''s $2'",
            "SELECT \"$1\", \"a\"\"$1\", `$1`, [$1]",
            "SELECT 1 -- costs $1\n + 2",
            "SELECT /* $1 ? :x */ 1",
            "SELECT a$1 FROM t",
            "SELECT 'open $1",
            "SELECT /* open $1",
            "SELECT -- open $1",
            "SELECT 'naïve $1' AS größe",
            "SELECT data ->> '$.name' FROM t",
        ] {
            assert_eq!(rewritten(sql), sql);
        }
        assert_eq!(rewritten("SELECT 'a'$1"), "SELECT 'a'?1");
        assert_eq!(rewritten("SELECT x-$1--$2\n/$3"), "SELECT x-?1--$2\n/?3");
    }

    #[test]
    fn other_ways_to_write_parameters_are_refused() {
        for sql in ["SELECT ?", "SELECT ?1", "SELECT :a", "SELECT @a", "SELECT $a", "SELECT $1a"] {
            assert!(read(sql).is_err(), "{sql} was taken");
        }
    }

    #[test]
    fn one_statement_is_taken_and_two_are_not() {
        assert!(read("SELECT 1; -- the end\n;").is_ok());
        assert!(read("SELECT ';'").is_ok());
        assert!(read("SELECT 1; SELECT 2").is_err());
        assert!(read("CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END").is_ok());
    }

    #[test]
    fn words_of_transactions_are_refused_at_the_start_only() {
        assert!(read("  /* x */ -- y\n rollback TO x").is_err());
        assert!(read("SELECT 1 AS \"commit\"").is_ok());
        assert!(read("INSERT INTO \"begin\" VALUES (1)").is_ok());
        assert!(refused_in_script("SELECT 1;\n-- x\n COMMIT;").is_some());
        assert!(refused_in_script("SELECT 'a; COMMIT;';").is_none());
    }

    #[test]
    fn long_statements_are_shortened_in_messages() {
        let sql = format!("SELECT\n   {}", "ä, ".repeat(200));
        let short = excerpt(&sql);
        assert!(short.starts_with("SELECT ä, ä") && short.ends_with("..."));
        assert_eq!(short.chars().count(), 123);
    }
}
