//! `backline breakers`: the measures around the calls of all processes, and steering them.

mod seen;
mod table;

use crate::{failure::Failure, place::Place, state::State, terminal::say};
use seen::Boards;

/// What to show.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// As JSON: what each process says, and who does not
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let state = State::running(&args.place.var()?)?.ok_or(Failure::NotRunning)?;
    let boards = Boards::ask(&state, None);
    if args.json {
        let text = serde_json::to_string_pretty(&boards)
            .map_err(|error| Failure::os("write JSON")(error.into()))?;
        say(text);
    } else {
        say(table::render(&boards.read(), &boards.silent));
    }
    Ok(())
}
