//! `backline breakers`: the measures around the calls of all processes, and steering them.

mod seen;
mod table;

#[cfg(test)]
pub use seen::Silent;
pub use seen::{Boards, Dependency};

use crate::{
    failure::Failure,
    place::Place,
    state::State,
    steer::{Action, By, Order, carry_out, told},
    terminal::say,
};

/// What to show, or what to change.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// As JSON: what each process says, and who does not
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    action: Option<Change>,
}

/// What to change. It stays so, over all restarts, until it is released.
#[derive(Debug, clap::Subcommand)]
enum Change {
    /// The caller does not call the other any more
    Open(Whose),
    /// Forget what was seen, and close
    Reset(Whose),
    /// Let all calls through, whatever they come to
    Disable(Whose),
    /// Take back what was wished
    Release(Whose),
}

/// Whose breakers: those of all instances of the caller.
#[derive(Debug, clap::Args)]
struct Whose {
    #[command(flatten)]
    place: Place,
    /// The service that calls
    caller: String,
    /// The service that is called
    dependency: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", value_parser = told)]
    reason: Option<String>,
    #[command(flatten)]
    by: By,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let (action, whose) = match args.action {
        None => return show(&args.place, args.json),
        Some(Change::Open(whose)) => (Action::Open, whose),
        Some(Change::Reset(whose)) => (Action::Reset, whose),
        Some(Change::Disable(whose)) => (Action::Disable, whose),
        Some(Change::Release(whose)) => (Action::Release, whose),
    };
    let order = Order {
        action,
        caller: Some(whose.caller),
        service: whose.dependency,
        by: whose.by.by,
        reason: whose.reason.unwrap_or_default(),
    };
    carry_out(&whose.place.var()?, &order)
}

fn show(place: &Place, json: bool) -> Result<(), Failure> {
    let state = State::running(&place.var()?)?.ok_or(Failure::NotRunning)?;
    let boards = Boards::ask(&state, None);
    if json {
        let text = serde_json::to_string_pretty(&boards)
            .map_err(|error| Failure::os("write JSON")(error.into()))?;
        say(text);
    } else {
        say(table::render(&boards.read(), &boards.silent));
    }
    Ok(())
}
