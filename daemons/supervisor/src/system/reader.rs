//! Reads `system.toml` by hand over the parsed tables: a derived reader stops at its first mistake.

mod gamedays;
mod limits;

use std::{ops::Range, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{DAEMONS, Mistake, Mistakes, Ports, Service, System, Variables, nearest};
use crate::programs::Programs;

const MOST_INSTANCES: u16 = 64;
/// First segments of paths and names of tools that a service would hide or be hidden by.
const RESERVED: [&str; 10] = [
    "api",
    "backline",
    "docs",
    "events",
    "health",
    "hospital",
    "metrics",
    "openapi",
    "schemas",
    "supervisor",
];
/// What the supervisor says to a child itself.
const SET_BY_US: [&str; 8] = [
    "BACKLINE_ADDRESS_FILE",
    "BACKLINE_DISCOVERY",
    "BACKLINE_ENVIRONMENT",
    "BACKLINE_INSTANCE",
    "BACKLINE_LISTEN",
    "BACKLINE_PUBLIC",
    "BACKLINE_SERVICE",
    "BACKLINE_ZONE",
];

pub fn read(file: &Path, text: &str, programs: &Programs) -> Result<System, Mistakes> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        text,
        programs,
        folder: file.parent().unwrap_or(Path::new("/")),
        mistakes: Vec::new(),
    };
    for error in errors {
        reader.syntax(&error);
    }
    let system = reader.system(&root);
    let mut list = reader.mistakes;
    if list.is_empty() {
        return Ok(system);
    }
    list.sort();
    list.dedup();
    Err(Mistakes { file: file.to_owned(), list })
}

/// A table with the dotted key that leads to it.
struct Section<'a> {
    path: String,
    span: Range<usize>,
    table: &'a DeTable<'a>,
}

impl Section<'_> {
    fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

struct Reader<'a> {
    text: &'a str,
    programs: &'a Programs,
    folder: &'a Path,
    mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    fn system(&mut self, root: &'a Spanned<DeTable<'a>>) -> System {
        let root = Section { path: String::new(), span: 0..0, table: root.get_ref() };
        self.only(&root, &["system", "ports", "gateway", "monitor", "services", "gamedays"]);
        let (mut name, mut hint) = (String::new(), None);
        let (mut environment, mut zone) = ("dev".to_owned(), "local".to_owned());
        if let Some(about) = self.section(&root, "system") {
            self.only(&about, &["name", "environment", "zone", "hint"]);
            match self.name(&about, "name") {
                Some(given) => name = given,
                None if !about.table.contains_key("name") => self.wrong(
                    about.span.start,
                    "system".into(),
                    "the key 'name' is missing: add name = \"...\"".into(),
                ),
                None => {}
            }
            environment = self.name(&about, "environment").unwrap_or(environment);
            zone = self.name(&about, "zone").unwrap_or(zone);
            hint = self.string(&about, "hint").map(|(hint, _)| hint.to_owned());
        } else if !root.table.contains_key("system") {
            self.wrong(
                0,
                "system".into(),
                "this table is missing: add [system] with name = \"...\"".into(),
            );
        }
        let processes = self.section(&root, "monitor").and_then(|monitor| {
            self.only(&monitor, &["processes"]);
            let (path, span) = self.string(&monitor, "processes")?;
            let folder = self.folder.join(path);
            if !folder.is_dir() {
                self.wrong_value(
                    &span,
                    "monitor.processes",
                    "no such folder (the path starts at system.toml's own folder)",
                );
            }
            Some(folder)
        });
        System {
            name,
            environment,
            zone,
            hint,
            ports: self.ports(&root),
            processes,
            gateway: self.gateway(&root),
            services: self.services(&root),
            gamedays: self.gamedays(&root),
            folder: self.folder.to_owned(),
        }
    }

    fn ports(&mut self, root: &Section<'a>) -> Ports {
        let mut ports = Ports { gateway: 8080, console: 8070, registry: 8500 };
        let section = self.section(root, "ports");
        if let Some(section) = &section {
            self.only(section, &["gateway", "console", "registry"]);
            for (name, port) in [
                ("gateway", &mut ports.gateway),
                ("console", &mut ports.console),
                ("registry", &mut ports.registry),
            ] {
                let remedy =
                    "give a port from 1 to 65535 (`backline up --ports auto` takes free ones)";
                if let Some((given, _)) = self.number(section, name, 1..=u16::MAX, remedy) {
                    *port = given;
                }
            }
        }
        let at = section.map_or(0, |section| section.span.start);
        for (a, b, name, other) in [
            (ports.gateway, ports.console, "console", "gateway"),
            (ports.gateway, ports.registry, "registry", "gateway"),
            (ports.console, ports.registry, "registry", "console"),
        ] {
            if a == b {
                let remedy = format!("the {other} has this port too: give each its own");
                self.wrong(at, format!("ports.{name} = {b}"), remedy);
            }
        }
        ports
    }

    fn services(&mut self, root: &Section<'a>) -> Vec<Service> {
        let Some(all) = self.section(root, "services") else { return Vec::new() };
        let names = limits::service_names(root);
        let mut found: Vec<(usize, Service)> = Vec::new();
        for (key, value) in all.table {
            let (name, span) = (key.get_ref().as_ref(), key.span());
            self.service_name(name, span.start);
            let Some(section) = self.as_section(all.key(name), value) else { continue };
            self.only(&section, &["run", "instances", "public", "limit", "calls", "env"]);
            let limits = self.limits(&section, &names);
            let run = self.run(&section, name, span.start);
            let remedy = format!("give a number from 0 to {MOST_INSTANCES}");
            let instances = self.number(&section, "instances", 0..=MOST_INSTANCES, &remedy);
            found.push((
                span.start,
                Service {
                    name: name.to_owned(),
                    run,
                    instances: instances.map_or(1, |(n, _)| n),
                    public: self.boolean(&section, "public").unwrap_or(false),
                    env: self.env(&section, limits),
                },
            ));
        }
        found.sort_by_key(|(at, _)| *at);
        found.into_iter().map(|(_, service)| service).collect()
    }

    fn service_name(&mut self, name: &str, at: usize) {
        let remedy = if DAEMONS.contains(&name) || RESERVED.contains(&name) {
            "this name is the platform's own: choose another".to_owned()
        } else if !is_name(name) {
            "a service's name is made of a-z, 0-9 and '-', starts with a letter and has at most 40 characters".to_owned()
        } else if name
            .rsplit_once('-')
            .is_some_and(|(_, end)| end.bytes().all(|b| b.is_ascii_digit()))
        {
            format!("'{name}' looks like the name of an instance: don't end it with a number")
        } else {
            return;
        };
        self.wrong(at, format!("services.{name}"), remedy);
    }

    fn run(&mut self, section: &Section<'a>, name: &str, at: usize) -> String {
        let (run, seen, at) = match self.string(section, "run") {
            Some((run, span)) => {
                (run, format!("{} = {}", section.key("run"), &self.text[span.clone()]), span.start)
            }
            None if section.table.contains_key("run") => return String::new(),
            None => (name, format!("services.{name} (runs '{name}', as it has no key 'run')"), at),
        };
        if let Err(remedy) = self.programs.check(run, self.folder) {
            self.wrong(at, seen, remedy);
        }
        run.to_owned()
    }

    /// The service's own settings, and those that other keys have set.
    fn env(&mut self, section: &Section<'a>, mut vars: Variables) -> Variables {
        let Some(env) = self.section(section, "env") else { return vars };
        for key in env.table.keys() {
            let name = key.get_ref().as_ref();
            let fits =
                name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
            if !fits || name.starts_with(|c: char| c.is_ascii_digit()) {
                self.wrong(
                    key.span().start,
                    env.key(name),
                    "a variable's name is made of A-Z, 0-9 and '_'".into(),
                );
            } else if SET_BY_US.contains(&name) {
                self.wrong(
                    key.span().start,
                    env.key(name),
                    "`backline up` sets this itself: remove the line".into(),
                );
            } else if vars.contains_key(name) {
                let remedy = format!("{} sets this too: remove one", limits::key_of(name));
                self.wrong(key.span().start, env.key(name), remedy);
            } else if let Some((value, _)) = self.string(&env, name) {
                vars.insert(name.to_owned(), value.to_owned());
            }
        }
        vars
    }

    // What follows knows TOML, not estates.

    fn section(&mut self, parent: &Section<'a>, name: &str) -> Option<Section<'a>> {
        let value = parent.table.get(name)?;
        self.as_section(parent.key(name), value)
    }

    fn as_section(&mut self, path: String, value: &'a Spanned<DeValue<'a>>) -> Option<Section<'a>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Section { path, span: value.span(), table }),
            _ => {
                self.wrong_value(&value.span(), &path, &format!("this is a table: write [{path}]"));
                None
            }
        }
    }

    fn only(&mut self, section: &Section<'a>, known: &[&str]) {
        for key in section.table.keys() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let remedy = match nearest(name, known.iter().copied()) {
                Some(meant) => format!("unknown key: did you mean '{meant}'?"),
                None => format!("unknown key: here are known {}", known.join(", ")),
            };
            self.wrong(key.span().start, section.key(name), remedy);
        }
    }

    fn string(&mut self, section: &Section<'a>, name: &str) -> Option<(&'a str, Range<usize>)> {
        let value = section.table.get(name)?;
        match value.get_ref() {
            DeValue::String(text) => Some((text.as_ref(), value.span())),
            _ => {
                self.wrong_value(
                    &value.span(),
                    &section.key(name),
                    "give a text in quotation marks",
                );
                None
            }
        }
    }

    fn name(&mut self, section: &Section<'a>, key: &str) -> Option<String> {
        let (name, span) = self.string(section, key)?;
        if !is_name(name) {
            let remedy = "give a name made of a-z, 0-9 and '-' that starts with a letter, of at most 40 characters";
            self.wrong_value(&span, &section.key(key), remedy);
            return None;
        }
        Some(name.to_owned())
    }

    fn boolean(&mut self, section: &Section<'a>, name: &str) -> Option<bool> {
        let value = section.table.get(name)?;
        let known = value.get_ref().as_bool();
        if known.is_none() {
            self.wrong_value(
                &value.span(),
                &section.key(name),
                "give true or false, without quotation marks",
            );
        }
        known
    }

    fn number(
        &mut self,
        section: &Section<'a>,
        name: &str,
        range: std::ops::RangeInclusive<u16>,
        remedy: &str,
    ) -> Option<(u16, Range<usize>)> {
        let value = section.table.get(name)?;
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|number| u16::from_str_radix(number.as_str(), number.radix()).ok())
            .filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong_value(&value.span(), &section.key(name), remedy);
        }
        Some((number?, value.span()))
    }

    fn syntax(&mut self, error: &toml::de::Error) {
        let at = error.span().map_or(0, |span| span.start);
        let line = self.text[..at].rfind('\n').map_or(0, |end| end + 1);
        let seen = self.text[line..].lines().next().unwrap_or_default().trim();
        let message = error.message();
        let remedy = if message == "duplicate key" {
            "this stands twice: remove one".to_owned()
        } else {
            format!("not TOML: {message}")
        };
        self.wrong(at, seen.to_owned(), remedy);
    }

    fn wrong_value(&mut self, span: &Range<usize>, key: &str, remedy: &str) {
        let value = self.text[span.clone()].lines().next().unwrap_or_default();
        self.wrong(span.start, format!("{key} = {value}"), remedy.to_owned());
    }

    fn wrong(&mut self, at: usize, seen: String, remedy: String) {
        let line = self.text[..at].matches('\n').count() + 1;
        self.mistakes.push(Mistake { line, seen, remedy });
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= 40
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
