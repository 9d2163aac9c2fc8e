//! Enough of a reader of HTML to see what a browser would make of a page of ours.

use std::collections::BTreeSet;

/// A tag with its attributes.
#[derive(Debug)]
pub struct Tag {
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

impl Tag {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }
}

/// The tags of a page as a browser sees them. The text of the style and the script is passed over.
pub fn tags(page: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let (tag, behind) = tag(rest);
        rest = behind;
        if matches!(&*tag.name, "style" | "script") {
            let end = format!("</{}>", tag.name);
            rest = &rest[rest.find(&end).expect("an end") + end.len()..];
        }
        tags.push(tag);
    }
    tags
}

fn tag(text: &str) -> (Tag, &str) {
    let end = text.find([' ', '>', '\n']).expect("a tag ends");
    let mut tag = Tag { name: text[..end].to_owned(), attributes: Vec::new() };
    let mut rest = text[end..].trim_start();
    while let Some(end) = rest.find(['=', '>', ' ']) {
        let (name, behind) = (rest[..end].to_owned(), &rest[end..]);
        if let Some(quoted) = behind.strip_prefix("=\"") {
            let (value, behind) = quoted.split_once('"').expect("a value ends");
            tag.attributes.push((name, value.to_owned()));
            rest = behind.trim_start();
            continue;
        }
        assert!(!behind.starts_with('='), "an attribute without quotes: {text:.80}");
        if !name.is_empty() {
            tag.attributes.push((name, String::new()));
        }
        match behind.strip_prefix('>') {
            Some(behind) => return (tag, behind),
            None => rest = behind.trim_start(),
        }
    }
    panic!("a tag does not end: {text:.80}");
}

/// Which attributes which tags have.
pub fn kinds(page: &str) -> BTreeSet<(String, String)> {
    let kinds = tags(page).into_iter().flat_map(|tag| {
        let names = tag.attributes.into_iter().map(|(name, _)| name).chain([String::new()]);
        names.map(move |attribute| (tag.name.clone(), attribute)).collect::<Vec<_>>()
    });
    kinds.collect()
}

/// The text between tags, in lines.
pub fn text(page: &str) -> String {
    let body = page.split_once("</style>").expect("a style").1;
    let body = body.split_once("<script>").expect("a script").0;
    let mut text = String::new();
    for part in body.split('<') {
        let part = part.split_once('>').map_or(part, |(_, text)| text).trim();
        if !part.is_empty() {
            text.push_str(part);
            text.push('\n');
        }
    }
    text
}
