//! A Rust file, parsed once for all rules.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{Attribute, Block, ImplItem, Item, Meta, Signature, TraitItem};

/// A parsed file.
pub struct Source {
    /// Relative to the repository's root.
    pub file: String,
    pub text: String,
    /// All functions with a body, but those within another's body.
    pub functions: Vec<Function>,
    /// All tokens, groups taken apart; comments are none, doc comments are attributes.
    pub tokens: Vec<Token>,
    /// How many items stand in it, an empty `main` not counted.
    pub items: usize,
    test_lines: Vec<RangeInclusive<usize>>,
}

/// A function with a body.
#[derive(Debug)]
pub struct Function {
    pub name: String,
    /// From its first attribute to its last brace.
    pub lines: RangeInclusive<usize>,
    /// From `fn` to its last brace.
    pub length: usize,
    pub is_test: bool,
    /// A test in which time stands still unless everybody waits.
    pub is_paused: bool,
}

/// A word, a sign, a literal or a bracket.
#[derive(Clone, Debug)]
pub struct Token {
    pub text: String,
    pub line: usize,
    pub is_literal: bool,
}

impl Source {
    pub fn parse(file: &str, text: &str) -> Result<Self, syn::Error> {
        let stream: TokenStream = text.parse()?;
        let mut tokens = Vec::new();
        flatten(stream.clone(), &mut tokens);
        let parsed: syn::File = syn::parse2(stream)?;
        let mut source = Self {
            file: file.to_owned(),
            text: text.to_owned(),
            functions: Vec::new(),
            tokens,
            items: parsed.items.iter().filter(|item| !is_empty_main(item)).count(),
            test_lines: Vec::new(),
        };
        if is_test_file(file) {
            source.test_lines.push(0..=usize::MAX);
        }
        source.visit(&parsed.items);
        Ok(source)
    }

    /// Whether the line belongs to tests only.
    pub fn is_test(&self, line: usize) -> bool {
        self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// The function around a line.
    pub fn function_at(&self, line: usize) -> Option<&Function> {
        self.functions.iter().find(|function| function.lines.contains(&line))
    }

    /// The attributes, each without its `#` and outer brackets, with its tokens.
    pub fn attributes(&self) -> impl Iterator<Item = &[Token]> {
        let tokens = &self.tokens;
        (0..tokens.len()).filter_map(move |at| {
            let text = |ahead: usize| tokens.get(at + ahead).map(|token| token.text.as_str());
            let open = match (text(0)?, text(1)?, text(2)) {
                ("#", "[", _) => at + 1,
                ("#", "!", Some("[")) => at + 2,
                _ => return None,
            };
            Some(&tokens[open + 1..closing(tokens, open)?])
        })
    }

    fn visit(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Fn(item) => self.function(&item.attrs, &item.sig, &item.block),
                Item::Mod(item) => {
                    if let Some((brace, items)) = &item.content {
                        if item.attrs.iter().any(is_cfg_test) {
                            let (first, last) = (item.mod_token.span, brace.span.close());
                            self.test_lines.push(first.start().line..=last.end().line);
                        }
                        self.visit(items);
                    }
                }
                Item::Impl(item) => item.items.iter().for_each(|item| {
                    if let ImplItem::Fn(item) = item {
                        self.function(&item.attrs, &item.sig, &item.block);
                    }
                }),
                Item::Trait(item) => item.items.iter().for_each(|item| {
                    if let TraitItem::Fn(item) = item
                        && let Some(block) = &item.default
                    {
                        self.function(&item.attrs, &item.sig, block);
                    }
                }),
                _ => {}
            }
        }
    }

    fn function(&mut self, attributes: &[Attribute], signature: &Signature, block: &Block) {
        let first = signature.fn_token.span.start().line;
        let last = block.brace_token.span.close().end().line;
        let attribute = attributes.iter().map(|a| a.pound_token.span.start().line).min();
        let lines = attribute.unwrap_or(first)..=last;
        let test = attributes.iter().find(|attribute| is_test_attribute(attribute));
        if test.is_some() {
            self.test_lines.push(lines.clone());
        }
        self.functions.push(Function {
            name: signature.ident.to_string(),
            lines,
            length: last - first + 1,
            is_test: test.is_some(),
            is_paused: test.is_some_and(|attribute| arguments(attribute).contains("start_paused")),
        });
    }
}

/// The place of the bracket that closes the one at `open`.
pub fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open).filter(|(_, token)| !token.is_literal) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Whole files of tests: integration tests, and modules that their parent takes for tests.
fn is_test_file(file: &str) -> bool {
    file.contains("/tests/") || file.ends_with("/tests.rs")
}

fn is_empty_main(item: &Item) -> bool {
    matches!(item, Item::Fn(item) if item.sig.ident == "main" && item.block.stmts.is_empty())
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && arguments(attribute) == "test"
}

fn is_test_attribute(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == "test")
}

fn arguments(attribute: &Attribute) -> String {
    match &attribute.meta {
        Meta::List(list) => list.tokens.to_string(),
        _ => String::new(),
    }
}

fn flatten(stream: TokenStream, into: &mut Vec<Token>) {
    for tree in stream {
        let mut push = |text: String, span: proc_macro2::Span, is_literal| {
            into.push(Token { text, line: span.start().line, is_literal });
        };
        match tree {
            TokenTree::Ident(ident) => push(ident.to_string(), ident.span(), false),
            TokenTree::Punct(sign) => push(sign.as_char().to_string(), sign.span(), false),
            TokenTree::Literal(literal) => push(literal.to_string(), literal.span(), true),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(open.into(), group.span_open(), false);
                flatten(group.stream(), into);
                into.push(Token {
                    text: close.into(),
                    line: group.span_close().start().line,
                    is_literal: false,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "//! Docs.\nfn one() {\n    two();\n}\nstruct S;\nimpl S {\n    fn two() {}\n}\n\
        #[cfg(test)]\nmod tests {\n    fn helper() {}\n    #[tokio::test(start_paused = true)]\n    async fn waits() {\n    }\n}\n";

    #[test]
    fn functions_are_found_with_their_lines() {
        let source = Source::parse("a/src/lib.rs", SAMPLE).expect("it parses");
        let found: Vec<_> =
            source.functions.iter().map(|f| (f.name.as_str(), f.lines.clone(), f.length)).collect();
        let expected =
            [("one", 2..=4, 3), ("two", 7..=7, 1), ("helper", 11..=11, 1), ("waits", 12..=14, 2)];
        assert_eq!(found, expected);
        let waits = source.function_at(13).expect("a function");
        assert!(waits.is_test && waits.is_paused);
        assert_eq!(source.items, 4);
    }

    #[test]
    fn lines_of_tests_are_known() {
        let source = Source::parse("a/src/lib.rs", SAMPLE).expect("it parses");
        assert!(!source.is_test(3) && source.is_test(11) && source.is_test(13));
        for file in ["a/tests/x.rs", "a/src/service/tests.rs"] {
            assert!(Source::parse(file, SAMPLE).expect("it parses").is_test(3), "{file}");
        }
    }

    #[test]
    fn an_empty_main_is_no_item() {
        let source =
            Source::parse("a/src/main.rs", "//! Docs.\nfn main() {}\n").expect("it parses");
        assert_eq!(source.items, 0);
    }
}
