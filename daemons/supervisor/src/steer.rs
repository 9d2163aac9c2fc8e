//! What operators wish of breakers: written to the registry together with its record, then looked
//! for at the breakers themselves (docs/wire/breakers.md).

mod keys;
mod order;

use std::time::{Duration, Instant};

pub use backline_client::{Action, MAINTENANCE, Order};
pub use keys::Keys;
pub use order::Ordered;

use crate::{
    breakers::Boards,
    failure::Failure,
    place::Var,
    state::State,
    terminal::{plain, say},
    token,
};

/// Breakers follow within a second; a process that restarts right now may take longer.
const MOST: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

/// In whose name something is changed.
#[derive(Debug, clap::Args)]
pub struct By {
    /// Who does this, for the record
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true, value_parser = told)]
    pub by: String,
}

/// Names and reasons as others will read them: in one line, and not endless.
pub fn told(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("it is empty: say it in a few words".to_owned()),
        201.. => Err("it has more than 200 characters".to_owned()),
        _ if text.chars().any(char::is_control) => Err("it is more than one line".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// Writes the order, and waits until all whom it concerns follow it.
pub fn carry_out(var: &Var, order: &Order) -> Result<(), Failure> {
    let state = State::running(var)?.ok_or(Failure::NotRunning)?;
    // What is taken back may concern a service that is no longer part of the estate.
    if order.action.sets() {
        order.names().try_for_each(|name| state.service(name).map(drop))?;
    }
    let path = var.operator_token();
    let keys = Keys::at(state.addresses.registry);
    let begun = Instant::now();
    if !keys.change(&token::read(&path)?, &path, order.steps())? {
        return Err(refused(order, &state, &keys));
    }
    let followed = wait(var, order, begun)?;
    say(format_args!("{}{}", order.done(), followed.told(order)));
    Ok(())
}

/// Why the keys that are there forbid it.
fn refused(order: &Order, state: &State, keys: &Keys) -> Failure {
    if let Some(unknown) = order.names().find_map(|name| state.service(name).err()) {
        return unknown;
    }
    let there = keys.under(&order.key()).unwrap_or_default();
    let there = there.into_iter().find(|key| key.name == order.key());
    Failure::Steered(match (order.action, there) {
        (Action::BeginMaintenance, Some(key)) => {
            format!("{} is under maintenance already: {}", order.service, key.written().told())
        }
        (Action::BeginMaintenance, None) => {
            format!("maintenance of {} has just ended", order.service)
        }
        (Action::EndMaintenance, _) => format!(
            "{} is not under maintenance: `backline maintenance` lists what is",
            order.service
        ),
        _ => format!("no wish holds for {}: there is nothing to release", order.subject()),
    })
}

/// How far the breakers follow.
#[derive(Debug, Default, PartialEq, Eq)]
struct Followed {
    by: Vec<String>,
    not_yet: Vec<String>,
    /// Maintenance keeps them from it.
    outranked: bool,
}

fn wait(var: &Var, order: &Order, begun: Instant) -> Result<Followed, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(Failure::os("start the runtime"))?;
    runtime.block_on(async {
        loop {
            let state = State::running(var)?.ok_or(Failure::NotRunning)?;
            let boards = Boards::ask(&state, order.caller.as_deref());
            let followed = Followed::judge(order, &boards, begun.elapsed());
            if followed.not_yet.is_empty() {
                return Ok(followed);
            }
            if begun.elapsed() >= MOST {
                let (done, who) = (order.done(), followed.not_yet.join("; "));
                return Err(Failure::Steered(format!(
                    "{done}: that is written and stays so, but not everybody follows yet: {who}"
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    })
}

impl Followed {
    /// `since`: for how long it may have been written.
    fn judge(order: &Order, boards: &Boards, since: Duration) -> Self {
        let mut followed = Self::default();
        for board in boards.read() {
            let mut concerned = board
                .dependencies
                .iter()
                .filter(|it| it.to == order.service && it.purpose != "operations")
                .peekable();
            if concerned.peek().is_none() {
                continue;
            }
            let instance = plain(&board.instance);
            let mut follows = true;
            for it in concerned {
                followed.outranked |= order.is_outranked(it);
                if !order.is_shown(it, since) {
                    let (purpose, state) = (plain(&it.purpose), plain(&it.breaker.state));
                    followed.not_yet.push(format!("{instance} ({purpose}: {state})"));
                    follows = false;
                }
            }
            if follows {
                followed.by.push(instance);
            }
        }
        // The service that is called may be away: that is what maintenance is for.
        let silent = boards.silent.iter().filter(|it| it.service != order.service);
        let silent = silent.map(|it| format!("{} ({})", it.instance, plain(&it.why)));
        followed.not_yet.extend(silent);
        followed
    }

    fn told(&self, order: &Order) -> String {
        let service = &order.service;
        if self.outranked {
            return format!(", but {service} is under maintenance, which wins until it ends");
        }
        match self.by.as_slice() {
            [] => format!("; no process calls {service} at present"),
            by => format!(", as the breakers of {} show", by.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::breakers::Silent;

    fn order(action: Action, caller: Option<&str>) -> Order {
        Order {
            action,
            caller: caller.map(str::to_owned),
            service: "customers".into(),
            by: "ada".into(),
            reason: String::new(),
        }
    }

    fn boards(state: &str, reason: Option<&str>, for_ms: u64) -> Boards {
        let breaker = json!({ "state": state, "reason": reason, "for_ms": for_ms });
        let to = |to: &str, purpose: &str, breaker: &serde_json::Value| json!({ "to": to, "purpose": purpose, "breaker": breaker });
        let closed = json!({ "state": "closed", "for_ms": 90_000 });
        let silent = |service: &str| Silent {
            instance: format!("{service}-1"),
            service: service.into(),
            why: "it does not run at the moment".into(),
        };
        Boards {
            processes: vec![
                json!({ "instance": "email-1", "dependencies": [
                    to("customers", "feed", &breaker), to("loyalty", "feed", &closed),
                ] }),
                json!({ "instance": "console-1", "dependencies": [
                    to("customers", "operations", &closed),
                ] }),
            ],
            silent: vec![silent("customers")],
        }
    }

    fn judged(action: Action, state: &str, reason: Option<&str>, for_ms: u64) -> Followed {
        let caller = (!matches!(action, Action::BeginMaintenance | Action::EndMaintenance))
            .then_some("email");
        let boards = boards(state, reason, for_ms);
        Followed::judge(&order(action, caller), &boards, Duration::from_millis(700))
    }

    #[test]
    fn maintenance_is_followed_by_all_but_consoles_and_the_service_itself() {
        let begun = judged(Action::BeginMaintenance, "forced-open", Some("maintenance"), 9);
        assert_eq!((begun.by, begun.not_yet), (vec!["email-1".to_owned()], vec![]));
        let not_yet = judged(Action::BeginMaintenance, "closed", None, 9).not_yet;
        assert_eq!(not_yet, ["email-1 (feed: closed)"]);
        assert!(judged(Action::EndMaintenance, "closed", None, 9).not_yet.is_empty());
        assert_eq!(
            judged(Action::EndMaintenance, "forced-open", Some("maintenance"), 9).by.len(),
            0
        );
    }

    #[test]
    fn a_caller_that_is_silent_does_not_follow_yet() {
        let mut boards = boards("forced-open", Some("maintenance"), 9);
        boards.silent[0].service = "postal".into();
        let followed = Followed::judge(&order(Action::BeginMaintenance, None), &boards, MOST);
        assert_eq!(followed.not_yet, ["customers-1 (it does not run at the moment)"]);
    }

    #[test]
    fn a_reset_is_seen_by_how_long_the_breaker_has_been_closed() {
        assert!(judged(Action::Reset, "closed", None, 600).not_yet.is_empty());
        assert_eq!(judged(Action::Reset, "closed", None, 800).not_yet.len(), 1);
        assert_eq!(judged(Action::Release, "disabled", None, 600).not_yet.len(), 1);
    }

    #[test]
    fn maintenance_wins_over_a_wish_for_one_caller_and_that_is_told() {
        let followed = judged(Action::Disable, "forced-open", Some("maintenance: x"), 90_000);
        assert!(followed.not_yet.is_empty());
        let told = followed.told(&order(Action::Disable, Some("email")));
        assert!(told.contains("under maintenance, which wins"), "{told}");
    }

    #[test]
    fn a_name_is_one_line_that_says_something() {
        assert_eq!(told(" ada "), Ok("ada".to_owned()));
        for wrong in ["", "  ", "a\nb", "a\u{1b}[2J", &"x".repeat(201)] {
            assert!(told(wrong).is_err(), "{wrong:?}");
        }
    }
}
