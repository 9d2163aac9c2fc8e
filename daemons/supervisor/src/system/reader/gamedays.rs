//! The part of `system.toml` that names game days.

use std::ops::Range;

use toml::{Spanned, de::DeValue};

use super::{Reader, Section, is_name};
use crate::system::Gameday;

impl<'a> Reader<'a> {
    /// In the order of the file.
    pub(super) fn gamedays(&mut self, root: &Section<'a>) -> Vec<Gameday> {
        let Some(all) = self.section(root, "gamedays") else { return Vec::new() };
        let mut found: Vec<(usize, Gameday)> = Vec::new();
        for (key, value) in all.table {
            let (name, span) = (key.get_ref().as_ref(), key.span());
            if !is_name(name) {
                let remedy =
                    "a game day's name is made of a-z, 0-9 and '-', and starts with a letter";
                self.wrong(span.start, all.key(name), remedy.into());
            }
            let Some(section) = self.as_section(all.key(name), value) else { continue };
            self.only(&section, &["run", "about", "needs"]);
            let about = self.string(&section, "about").map_or("", |(about, _)| about);
            let mut needs = Vec::new();
            for (program, span) in self.strings(&section, "needs") {
                if let Err(remedy) = self.programs.check(program, self.folder) {
                    self.wrong_value(&span, &section.key("needs"), &remedy);
                }
                needs.push(program.to_owned());
            }
            let run = self.run(&section, name, span.start);
            let (name, about) = (name.to_owned(), about.to_owned());
            found.push((span.start, Gameday { name, about, run, needs }));
        }
        found.sort_by_key(|(at, _)| *at);
        found.into_iter().map(|(_, gameday)| gameday).collect()
    }

    fn strings(&mut self, section: &Section<'a>, name: &str) -> Vec<(&'a str, Range<usize>)> {
        let Some(value) = section.table.get(name) else { return Vec::new() };
        let text = |value: &'a Spanned<DeValue<'a>>| match value.get_ref() {
            DeValue::String(text) => Some((text.as_ref(), value.span())),
            _ => None,
        };
        let texts = match value.get_ref() {
            DeValue::Array(list) => list.iter().map(text).collect::<Option<Vec<_>>>(),
            _ => None,
        };
        texts.unwrap_or_else(|| {
            let remedy = "give a list of texts: [\"a\", \"b\"]";
            self.wrong_value(&value.span(), &section.key(name), remedy);
            Vec::new()
        })
    }
}
