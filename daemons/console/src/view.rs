//! What pages show: plain values made from what is known, and their templates.
//!
//! Askama escapes every value. What it cannot decide is where a link leads: all `href`s are made
//! here, from references within the estate ([`is_local`]) or addresses
//! ([`crate::catalog::base`]).

mod breakers;
mod correlated;
mod flow;
mod overview;
mod processes;
mod recorded;
mod text;

pub(crate) use breakers::breakers;
pub(crate) use correlated::correlated;
pub(crate) use overview::overview;
pub(crate) use processes::processes;
pub(crate) use recorded::Recorded;
pub(crate) use text::{clock, is_local, segment};

use jiff::Timestamp;
use text::Moment;

use crate::processes::{State, StepState};

/// The main part of a page.
#[derive(Debug)]
pub(crate) struct Main {
    pub html: String,
    pub title: String,
    pub found: bool,
}

/// What a person should know before reading on.
#[derive(Debug)]
pub(crate) struct Banner {
    alarm: bool,
    text: &'static str,
    at: Option<Moment>,
}

impl Banner {
    pub fn alarm(text: &'static str, at: Option<Timestamp>) -> Self {
        Self { alarm: true, text, at: at.map(Moment::alone) }
    }

    pub fn calm(text: &'static str, at: Option<Timestamp>) -> Self {
        Self { alarm: false, text, at: at.map(Moment::alone) }
    }
}

/// A state as it is shown: never by its colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sign {
    class: &'static str,
    symbol: &'static str,
    word: &'static str,
}

const DONE: Sign = Sign { class: "good", symbol: "✓", word: "done" };
const WAITING: Sign = Sign { class: "idle", symbol: "○", word: "waiting" };
const LATE: Sign = Sign { class: "bad", symbol: "!", word: "late" };
const MISSING: Sign = Sign { class: "bad", symbol: "✕", word: "missing" };

impl From<StepState> for Sign {
    fn from(state: StepState) -> Self {
        match state {
            StepState::Done => DONE,
            StepState::Waiting => WAITING,
            StepState::Late => LATE,
            StepState::Missing => MISSING,
        }
    }
}

impl From<State> for Sign {
    fn from(state: State) -> Self {
        match state {
            State::Running => Self { class: "idle", symbol: "○", word: "running" },
            State::Complete => Self { class: "good", symbol: "✓", word: "complete" },
            State::Late => LATE,
        }
    }
}

/// A reference within the estate as a link through the gateway.
fn through(gateway: Option<&str>, reference: &str) -> Option<String> {
    is_local(reference).then(|| Some(format!("{}{reference}", gateway?))).flatten()
}

/// `1 service`, `2 services`.
fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
