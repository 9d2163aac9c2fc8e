//! `backline maintenance`: services that nobody shall call for a while.

use comfy_table::{ContentArrangement, Table, presets};

use crate::{
    failure::Failure,
    place::Place,
    state::State,
    steer::{Action, By, Keys, MAINTENANCE, Order, carry_out, told},
    terminal::{plain, say},
};

/// What is under maintenance, or what shall be.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    action: Option<Change>,
}

/// What to change.
#[derive(Debug, clap::Subcommand)]
enum Change {
    /// Nobody calls the service any more, until that is ended: it may be stopped then
    Begin(Begin),
    /// It is called again
    End(End),
}

#[derive(Debug, clap::Args)]
struct Begin {
    #[command(flatten)]
    place: Place,
    /// The service
    service: String,
    /// Why, for the record and for all who see the breakers
    #[arg(long, value_name = "TEXT", value_parser = told)]
    reason: String,
    #[command(flatten)]
    by: By,
}

#[derive(Debug, clap::Args)]
struct End {
    #[command(flatten)]
    place: Place,
    /// The service
    service: String,
    #[command(flatten)]
    by: By,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let (place, order) = match args.action {
        None => return list(&args.place),
        Some(Change::Begin(it)) => {
            (it.place, order(Action::BeginMaintenance, it.service, it.by, it.reason))
        }
        Some(Change::End(it)) => {
            (it.place, order(Action::EndMaintenance, it.service, it.by, String::new()))
        }
    };
    carry_out(&place.var()?, &order)
}

fn order(action: Action, service: String, by: By, reason: String) -> Order {
    Order { action, caller: None, service, by: by.by, reason }
}

fn list(place: &Place) -> Result<(), Failure> {
    let state = State::running(&place.var()?)?.ok_or(Failure::NotRunning)?;
    let keys = Keys::at(state.addresses.registry).under(MAINTENANCE)?;
    if keys.is_empty() {
        say("nothing is under maintenance");
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["SERVICE", "BY", "SINCE", "WHY"]);
    for key in &keys {
        let written = key.written();
        let service = key.name.strip_prefix(MAINTENANCE).unwrap_or(&key.name);
        table.add_row([service, &written.by, &written.at, &written.reason].map(plain));
    }
    say(table);
    Ok(())
}
