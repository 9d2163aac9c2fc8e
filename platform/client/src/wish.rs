//! Operators' wishes: which breakers stay open, as keys in the registry say.
//!
//! The keys are part of the wire (docs/wire/breakers.md): `backline/maintenance/<service>` stops
//! everybody's calls to a service, `backline/breakers/<caller>/<service>` concerns one caller.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Under it, one key for each service that nobody shall call.
pub const MAINTENANCE: &str = "backline/maintenance/";
/// Under it, one key for each caller and service.
pub(crate) const BREAKERS: &str = "backline/breakers/";

/// What an operator wants of a breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Let nothing through.
    Stop {
        /// For people, in errors and on the board.
        reason: String,
    },
    /// Let everything through.
    Disable,
    /// Forget what was seen, and close. Each new wish counts once.
    Reset { index: u64 },
}

/// A key's value, as far as it matters here.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    wish: String,
    #[serde(default)]
    by: String,
    #[serde(default)]
    reason: String,
}

impl Written {
    fn read(value: &[u8]) -> Self {
        // A key is a wish even if what it says cannot be read.
        serde_json::from_slice(value).unwrap_or_else(|_| Self {
            wish: String::new(),
            by: String::new(),
            reason: String::new(),
        })
    }

    fn told(&self, what: &str) -> String {
        let mut text = what.to_owned();
        if !self.reason.is_empty() {
            text.push_str(": ");
            text.push_str(&crate::error::excerpt(&self.reason));
        }
        if !self.by.is_empty() {
            text.push_str(&format!(" (by {})", crate::error::excerpt(&self.by)));
        }
        text
    }
}

/// All wishes that concern one caller, by the service that is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes(BTreeMap<String, Wish>);

impl Wishes {
    /// From the keys below the two prefixes: names without the prefix, values, and when they were
    /// written. Maintenance of a service wins over what is wished for one caller.
    pub fn read<'a>(
        maintenance: impl Iterator<Item = (&'a str, &'a [u8])>,
        breakers: impl Iterator<Item = (&'a str, &'a [u8], u64)>,
    ) -> Self {
        let mut wishes = BTreeMap::new();
        for (service, value, index) in breakers {
            let written = Written::read(value);
            let wish = match written.wish.as_str() {
                "open" => Wish::Stop { reason: written.told("opened by hand") },
                "disabled" => Wish::Disable,
                "reset" => Wish::Reset { index },
                other => {
                    tracing::warn!(service, wish = other, "an unknown wish for a breaker");
                    continue;
                }
            };
            wishes.insert(service.to_owned(), wish);
        }
        for (service, value) in maintenance {
            let reason = Written::read(value).told("maintenance");
            wishes.insert(service.to_owned(), Wish::Stop { reason });
        }
        Self(wishes)
    }

    pub fn of(&self, service: &str) -> Option<Wish> {
        self.0.get(service).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maintenance_wins_and_says_why() {
        let wishes = Wishes::read(
            [("loyalty", br#"{"by":"ada","reason":"new disk"}"#.as_slice())].into_iter(),
            [
                ("loyalty", br#"{"wish":"disabled"}"#.as_slice(), 7),
                ("email", br#"{"wish":"reset"}"#.as_slice(), 8),
                ("postal", br#"{"wish":"open"}"#.as_slice(), 9),
            ]
            .into_iter(),
        );
        let reason = "maintenance: new disk (by ada)".to_owned();
        assert_eq!(wishes.of("loyalty"), Some(Wish::Stop { reason }));
        assert_eq!(wishes.of("email"), Some(Wish::Reset { index: 8 }));
        assert_eq!(wishes.of("postal"), Some(Wish::Stop { reason: "opened by hand".into() }));
        assert_eq!(wishes.of("catalog"), None);
    }

    #[test]
    fn a_key_stands_for_maintenance_whatever_it_says_and_an_unknown_wish_for_nothing() {
        let wishes = Wishes::read(
            [("loyalty", b"\xff".as_slice())].into_iter(),
            [("email", b"{\"wish\":\"dance\"}".as_slice(), 1)].into_iter(),
        );
        assert_eq!(wishes.of("loyalty"), Some(Wish::Stop { reason: "maintenance".into() }));
        assert_eq!(wishes.of("email"), None);
    }
}
