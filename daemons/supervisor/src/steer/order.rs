//! One wish of an operator, as keys.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::breakers::Dependency;

/// What is wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Begin,
    End,
    Open,
    Disable,
    Reset,
    Release,
}

impl Action {
    /// Whether it makes a key; the others take one away.
    pub fn sets(self) -> bool {
        !matches!(self, Self::End | Self::Release)
    }

    fn recorded(self) -> &'static str {
        match self {
            Self::Begin => "maintenance.begin",
            Self::End => "maintenance.end",
            Self::Open => "breaker.open",
            Self::Disable => "breaker.disable",
            Self::Reset => "breaker.reset",
            Self::Release => "breaker.release",
        }
    }

    fn wish(self) -> Option<&'static str> {
        match self {
            Self::Open => Some("open"),
            Self::Disable => Some("disabled"),
            Self::Reset => Some("reset"),
            Self::Begin | Self::End | Self::Release => None,
        }
    }
}

/// A wish, by whom, and why.
#[derive(Clone, Debug)]
pub struct Order {
    pub action: Action,
    /// None for maintenance: it concerns all callers.
    pub caller: Option<String>,
    pub service: String,
    pub by: String,
    /// Empty where none is given.
    pub reason: String,
}

impl Order {
    /// The services it names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.caller.as_deref().into_iter().chain([self.service.as_str()])
    }

    pub fn key(&self) -> String {
        match &self.caller {
            Some(caller) => format!("backline/breakers/{caller}/{}", self.service),
            None => format!("{}{}", super::keys::MAINTENANCE, self.service),
        }
    }

    pub fn subject(&self) -> String {
        self.names().collect::<Vec<_>>().join(" ")
    }

    /// The steps of the transaction: what must hold before, the wish, and its record.
    pub fn steps(&self) -> Value {
        let (key, at) = (self.key(), Timestamp::now().to_string());
        let set = |key: &str, value: &Value| {
            let value = STANDARD.encode(value.to_string());
            json!({ "KV": { "Verb": "set", "Key": key, "Value": value } })
        };
        let step = |verb: &str| json!({ "KV": { "Verb": verb, "Key": key } });
        let mut value = json!({ "by": self.by, "reason": self.reason, "at": at });
        let mut steps = match (self.action, self.action.wish()) {
            (Action::Begin, _) => vec![step("check-not-exists"), set(&key, &value)],
            (_, Some(wish)) => {
                value["wish"] = wish.into();
                vec![set(&key, &value)]
            }
            // Reading what is not there fails, and with it the whole.
            (_, None) => vec![step("get"), step("delete")],
        };
        let record = json!({
            "at": at, "by": self.by, "action": self.action.recorded(),
            "subject": self.subject(), "reason": self.reason,
        });
        steps.push(set(&format!("backline/audit/{}", Uuid::now_v7()), &record));
        steps.into()
    }

    /// What is so once it is written.
    pub fn done(&self) -> String {
        let service = &self.service;
        let breakers =
            format!("{}'s breakers to {service} are", self.caller.as_deref().unwrap_or("all"));
        match self.action {
            Action::Begin => format!("maintenance of {service} has begun"),
            Action::End => format!("maintenance of {service} has ended"),
            Action::Open => format!("{breakers} forced open"),
            Action::Disable => format!("{breakers} disabled"),
            Action::Reset => format!("{breakers} reset"),
            Action::Release => format!("{breakers} left to themselves again"),
        }
    }

    /// Whether a breaker that it concerns shows it. `since`: for how long it may have been written.
    pub fn is_shown(&self, it: &Dependency, since: Duration) -> bool {
        let state = it.breaker.state.as_str();
        let is_new = u128::from(it.breaker.for_ms) <= since.as_millis();
        match self.action {
            Action::Begin => state == "forced-open",
            Action::End => !is_maintained(it),
            _ if is_maintained(it) => true,
            Action::Open => state == "forced-open",
            Action::Disable => state == "disabled",
            Action::Reset => state == "closed" && is_new,
            Action::Release => !matches!(state, "forced-open" | "disabled"),
        }
    }

    /// Whether maintenance of the service keeps a breaker from following it.
    pub fn is_outranked(&self, it: &Dependency) -> bool {
        self.caller.is_some() && is_maintained(it)
    }
}

fn is_maintained(it: &Dependency) -> bool {
    let reason = it.breaker.reason.as_deref().unwrap_or_default();
    it.breaker.state == "forced-open" && reason.starts_with("maintenance")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(action: Action, caller: Option<&str>) -> Vec<(String, String, Value)> {
        let order = Order {
            action,
            caller: caller.map(str::to_owned),
            service: "customers".into(),
            by: "ada".into(),
            reason: "new disk".into(),
        };
        let read = |step: &Value| {
            let text = |name: &str| step["KV"][name].as_str().unwrap_or_default().to_owned();
            let value = STANDARD.decode(text("Value")).expect("base64");
            (text("Verb"), text("Key"), serde_json::from_slice(&value).unwrap_or_default())
        };
        order.steps().as_array().expect("steps").iter().map(read).collect()
    }

    #[test]
    fn maintenance_begins_once_and_is_recorded_in_the_same_transaction() {
        let steps = steps(Action::Begin, None);
        let verbs: Vec<_> =
            steps.iter().map(|(verb, key, _)| (verb.as_str(), key.as_str())).collect();
        let key = "backline/maintenance/customers";
        assert_eq!(verbs[..2], [("check-not-exists", key), ("set", key)]);
        assert_eq!(
            (steps[1].2["by"].as_str(), steps[1].2["reason"].as_str()),
            (Some("ada"), Some("new disk"))
        );
        let (verb, key, record) = &steps[2];
        let id = key.strip_prefix("backline/audit/").expect("an audit key");
        assert_eq!(
            (verb.as_str(), Uuid::parse_str(id).expect("an id").get_version_num()),
            ("set", 7)
        );
        assert_eq!(
            (&record["action"], &record["subject"]),
            (&"maintenance.begin".into(), &"customers".into())
        );
        assert_eq!(record["at"], steps[1].2["at"]);
    }

    #[test]
    fn only_what_is_there_is_taken_back() {
        let steps = steps(Action::Release, Some("email"));
        let verbs: Vec<_> =
            steps.iter().map(|(verb, key, _)| (verb.as_str(), key.as_str())).collect();
        let key = "backline/breakers/email/customers";
        assert_eq!(verbs[..2], [("get", key), ("delete", key)]);
        assert_eq!(steps[2].2["subject"], "email customers");
    }

    #[test]
    fn a_wish_for_one_caller_says_which() {
        for (action, wish) in
            [(Action::Open, "open"), (Action::Disable, "disabled"), (Action::Reset, "reset")]
        {
            assert_eq!(steps(action, Some("email"))[0].2["wish"], wish);
        }
    }
}
