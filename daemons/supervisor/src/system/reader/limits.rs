//! The part of `system.toml` that sets limits: of the requests at work, and of calls.

use backline_client::Limits;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Reader, Section, is_name};
use crate::system::{Variables, nearest};

const LIMIT: &str = "BACKLINE_LIMIT";
const CALLS: &str = "BACKLINE_CALLS_";

/// The key of a service, or of the gateway, that sets this variable.
pub(super) fn key_of(variable: &str) -> String {
    match variable.strip_prefix(CALLS) {
        Some(service) => {
            format!("the table 'calls.{}'", service.to_ascii_lowercase().replace('_', "-"))
        }
        None => "the key 'limit'".to_owned(),
    }
}

/// The names of all services, right or wrong.
pub(super) fn service_names<'a>(root: &Section<'a>) -> Vec<&'a str> {
    let all = root.table.get("services").and_then(|all| all.get_ref().as_table());
    all.into_iter().flat_map(DeTable::keys).map(|key| key.get_ref().as_ref()).collect()
}

impl<'a> Reader<'a> {
    /// What `[gateway]` says.
    pub(super) fn gateway(&mut self, root: &Section<'a>) -> Variables {
        let Some(section) = self.section(root, "gateway") else { return Variables::new() };
        self.only(&section, &["calls"]);
        self.calls(&section, &service_names(root))
    }

    /// What a service's keys `limit` and `calls` say; `services` are the names of all.
    pub(super) fn limits(&mut self, section: &Section<'a>, services: &[&str]) -> Variables {
        let mut vars = self.calls(section, services);
        if let Some(value) = section.table.get("limit") {
            let limit = self.text_of(value);
            if !is_limit(&limit) {
                let remedy = "give a number from 1 to 65535, \"adaptive\" or \"adaptive:MIN-MAX\"";
                self.wrong_value(&value.span(), &section.key("limit"), remedy);
            }
            vars.insert(LIMIT.to_owned(), limit);
        }
        vars
    }

    fn calls(&mut self, section: &Section<'a>, services: &[&str]) -> Variables {
        let mut vars = Variables::new();
        let Some(all) = self.section(section, "calls") else { return vars };
        for (key, value) in all.table {
            let name = key.get_ref().as_ref();
            self.called(&all, name, key.span().start, services);
            let Some(calls) = self.as_section(all.key(name), value) else { continue };
            let variable = format!("{CALLS}{}", name.to_ascii_uppercase().replace('-', "_"));
            vars.insert(variable, self.entries(&calls));
        }
        vars
    }

    /// There must be such a service to call.
    fn called(&mut self, all: &Section<'a>, name: &str, at: usize, services: &[&str]) {
        let remedy = if !is_name(name) {
            "a service's name is made of a-z, 0-9 and '-', starts with a letter and has at most 40 characters".to_owned()
        } else if services.contains(&name) {
            return;
        } else if let Some(meant) = nearest(name, services.iter().copied()) {
            format!("no such service: did you mean '{meant}'?")
        } else {
            "there is no such service in this file".to_owned()
        };
        self.wrong(at, all.key(name), remedy);
    }

    /// Each entry is read on its own, so that one mistake hides no other: none of them is right
    /// or wrong because of another.
    fn entries(&mut self, calls: &Section<'a>) -> String {
        let mut entries = Vec::new();
        for (key, value) in calls.table {
            let name = key.get_ref().as_ref();
            // A space would begin another entry; no name or value has '_', so it stays a mistake.
            let text = self.text_of(value).replace(char::is_whitespace, "_");
            let entry = format!("{}={text}", name.replace(char::is_whitespace, "_"));
            if let Err(mistake) = Limits::from_text(&entry) {
                let mistake = mistake.to_string();
                let seen = format!("'{name}' is '{text}': ");
                let remedy = mistake.strip_prefix(&seen).unwrap_or(&mistake);
                self.wrong_value(&value.span(), &calls.key(name), remedy);
            }
            entries.push((key.span().start, entry));
        }
        entries.sort();
        entries.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>().join(" ")
    }

    /// A text or a whole number; another value as it is written, which no limit looks like.
    fn text_of(&self, value: &Spanned<DeValue<'a>>) -> String {
        let written = match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .ok()
                .map(|number| number.to_string()),
            _ => None,
        };
        written.unwrap_or_else(|| self.text[value.span()].to_owned())
    }
}

/// As the chassis reads `BACKLINE_LIMIT`.
fn is_limit(text: &str) -> bool {
    let number = |text: &str| text.parse::<u16>().ok().filter(|number| *number > 0);
    match text.strip_prefix("adaptive") {
        None => number(text).is_some(),
        Some("") => true,
        Some(bounds) => bounds
            .strip_prefix(':')
            .and_then(|bounds| bounds.split_once('-'))
            .and_then(|(min, max)| Some(number(min)? <= number(max)?))
            .unwrap_or(false),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        programs::Programs,
        system::{System, reader::read},
    };

    fn system(text: &str) -> Result<System, Vec<String>> {
        let text = format!("[system]\nname = \"shop\"\n{text}");
        let programs = Programs::of(&["email", "old-ads"]);
        read(Path::new("/estate/system.toml"), &text, &programs).map_err(|mistakes| {
            mistakes.to_string().lines().skip(1).map(|line| line.trim().to_owned()).collect()
        })
    }

    fn told(vars: &Variables) -> Vec<String> {
        vars.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn limits_become_variables_of_the_service_and_of_the_gateway() {
        let text = r#"
            [gateway.calls.old-ads]
            window = "10s"
            [services.old-ads]
            limit = "adaptive:20-200"
            [services.email]
            limit = 2_56
            [services.email.calls.old-ads]
            timeout = "2s"
            connections = 0x20
            tries = "1"
            failures = "50%"
            window = 100
            [services.email.env]
            EMAIL_SMTP = "smtp://h"
            BACKLINE_CALLS_EMAIL = "tries=1"
        "#;
        let system = system(text).expect("no mistakes");
        assert_eq!(told(&system.gateway), ["BACKLINE_CALLS_OLD_ADS=window=10s"]);
        assert_eq!(told(&system.services[0].env), ["BACKLINE_LIMIT=adaptive:20-200"]);
        assert_eq!(
            told(&system.services[1].env),
            [
                "BACKLINE_CALLS_EMAIL=tries=1",
                "BACKLINE_CALLS_OLD_ADS=timeout=2s connections=32 tries=1 failures=50% window=100",
                "BACKLINE_LIMIT=256",
                "EMAIL_SMTP=smtp://h",
            ]
        );
    }

    #[test]
    fn all_wrong_limits_are_told_together_with_what_would_be_right() {
        let text = r#"[gateway]
limit = 5
calls.emial.tries = 1
[services.old-ads]
limit = "adaptive:200-20"
calls.Postal.tries = 1
calls.postal.tries = 1
[services.email]
limit = 0
[services.email.calls.old-ads]
timeout = 2
connections = 1.5
tries = 11
failures = "0%"
window = "10s tries=9"
pause = "1s"
wait = { ms = 5 }
[services.email.env]
BACKLINE_LIMIT = "5"
BACKLINE_CALLS_OLD_ADS = "tries=1"
"#;
        let name = "a service's name is made of a-z, 0-9 and '-', starts with a letter and has at most 40 characters";
        let names = "timeout, connections, wait, tries, retries, failures, slow, slow-rate, window, minimum, open, probes";
        let email = "services.email.calls.old-ads";
        let expected = [
            "4: gateway.limit: unknown key: here are known calls".to_owned(),
            "5: gateway.calls.emial: no such service: did you mean 'email'?".into(),
            "7: services.old-ads.limit = \"adaptive:200-20\": give a number from 1 to 65535, \"adaptive\" or \"adaptive:MIN-MAX\"".into(),
            format!("8: services.old-ads.calls.Postal: {name}"),
            "9: services.old-ads.calls.postal: there is no such service in this file".into(),
            "11: services.email.limit = 0: give a number from 1 to 65535, \"adaptive\" or \"adaptive:MIN-MAX\"".into(),
            format!("13: {email}.timeout = 2: give a time such as 250ms or 2s, within its range"),
            format!("14: {email}.connections = 1.5: give a whole number from 1, within its range"),
            format!("15: {email}.tries = 11: give a number of tries from 1 to 10"),
            format!("16: {email}.failures = \"0%\": failure_rate is 0.0; it must be above 0, at most 1"),
            format!("17: {email}.window = \"10s tries=9\": give a number of calls from 1 to 10000, or a time from 1s to 1h"),
            format!("18: {email}.pause = \"1s\": give one of {names}"),
            format!("19: {email}.wait = {{ ms = 5 }}: give a time such as 250ms or 2s, within its range"),
            "21: services.email.env.BACKLINE_LIMIT: the key 'limit' sets this too: remove one".into(),
            "22: services.email.env.BACKLINE_CALLS_OLD_ADS: the table 'calls.old-ads' sets this too: remove one".into(),
        ];
        let expected: Vec<_> = expected.iter().map(|line| format!("system.toml:{line}")).collect();
        assert_eq!(system(text).expect_err("mistakes"), expected);
    }

    #[test]
    fn an_entry_smuggles_no_other_in() {
        for entry in ["timeout = \"2s tries=9\"", "\"tries=1 timeout\" = \"2s\"", "timeout = \"\""]
        {
            let text = format!("[services.old-ads]\n[services.email.calls.old-ads]\n{entry}\n");
            assert_eq!(system(&text).expect_err(entry).len(), 1, "{entry}");
        }
    }

    #[test]
    fn a_limit_is_what_the_chassis_reads() {
        for right in ["1", "65535", "adaptive", "adaptive:8-64", "adaptive:8-8"] {
            assert!(is_limit(right), "{right}");
        }
        for wrong in ["0", "-1", "65536", "many", "adaptive:", "adaptive:9", "adaptive:64-8"] {
            assert!(!is_limit(wrong), "{wrong}");
        }
    }
}
