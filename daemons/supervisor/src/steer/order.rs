//! What the commands do with an operator's order.

use std::time::Duration;

use backline_client::{Action, Order};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::breakers::Dependency;

/// What the commands say and ask of an order, besides what it is on the wire.
pub trait Ordered {
    /// The steps of the transaction: what must hold before, the wish, and its record.
    fn steps(&self) -> Value;
    /// What is so once it is written.
    fn done(&self) -> String;
    /// Whether a breaker that it concerns shows it. `since`: for how long it may have been written.
    fn is_shown(&self, it: &Dependency, since: Duration) -> bool;
    /// Whether maintenance of the service keeps a breaker from following it.
    fn is_outranked(&self, it: &Dependency) -> bool;
}

impl Ordered for Order {
    fn steps(&self) -> Value {
        let (key, at) = (self.key(), Timestamp::now().to_string());
        let set = |key: &str, value: &[u8]| json!({ "KV": { "Verb": "set", "Key": key, "Value": STANDARD.encode(value) } });
        let step = |verb: &str| json!({ "KV": { "Verb": verb, "Key": key } });
        let mut steps = match self.value(&at) {
            Some(value) if self.action == Action::BeginMaintenance => {
                vec![step("check-not-exists"), set(&key, &value)]
            }
            Some(value) => vec![set(&key, &value)],
            // Reading what is not there fails, and with it the whole.
            None => vec![step("get"), step("delete")],
        };
        let (key, record) = self.record(&at);
        steps.push(set(&key, &record));
        steps.into()
    }

    fn done(&self) -> String {
        let service = &self.service;
        let breakers =
            format!("{}'s breakers to {service} are", self.caller.as_deref().unwrap_or("all"));
        match self.action {
            Action::BeginMaintenance => format!("maintenance of {service} has begun"),
            Action::EndMaintenance => format!("maintenance of {service} has ended"),
            Action::Open => format!("{breakers} forced open"),
            Action::Disable => format!("{breakers} disabled"),
            Action::Reset => format!("{breakers} reset"),
            Action::Release => format!("{breakers} left to themselves again"),
        }
    }

    fn is_shown(&self, it: &Dependency, since: Duration) -> bool {
        let state = it.breaker.state.as_str();
        let is_new = u128::from(it.breaker.for_ms) <= since.as_millis();
        match self.action {
            Action::BeginMaintenance => state == "forced-open",
            Action::EndMaintenance => !is_maintained(it),
            _ if is_maintained(it) => true,
            Action::Open => state == "forced-open",
            Action::Disable => state == "disabled",
            Action::Reset => state == "closed" && is_new,
            Action::Release => !matches!(state, "forced-open" | "disabled"),
        }
    }

    fn is_outranked(&self, it: &Dependency) -> bool {
        self.caller.is_some() && is_maintained(it)
    }
}

fn is_maintained(it: &Dependency) -> bool {
    let reason = it.breaker.reason.as_deref().unwrap_or_default();
    it.breaker.state == "forced-open" && reason.starts_with("maintenance")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

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
        let steps = steps(Action::BeginMaintenance, None);
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
