//! `backline down`

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::{
    failure::Failure,
    place::Place,
    process::Identity,
    state::State,
    terminal::{human, say},
};

/// Longer than all turns of a stop take together.
const MOST: Duration = Duration::from_secs(20);

/// What to stop.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let var = args.place.var()?;
    let Some(state) = State::read(&var)? else {
        say("nothing runs");
        return Ok(());
    };
    let Some(supervisor) = state.supervisor.open() else {
        match state.end_leftovers() {
            0 => say("nothing runs"),
            ended => say(format_args!(
                "the supervisor was gone already; ended {ended} processes that it left"
            )),
        }
        return State::clear(&var);
    };
    let begun = Instant::now();
    let running: Vec<Identity> = state.instances().filter_map(|(_, it)| it.process).collect();
    supervisor.signal(Signal::TERM);
    if supervisor.ended_within(MOST) {
        let (system, took) = (&state.system, human(begun.elapsed()));
        say(format_args!("{system} is down: {} processes ended in {took}", running.len()));
        return Ok(());
    }
    // What it has started dies with it.
    supervisor.signal(Signal::KILL);
    supervisor.ended_within(MOST);
    State::read(&var)?.map(|state| state.end_leftovers());
    State::clear(&var)?;
    Err(Failure::Stubborn { pid: state.supervisor.pid, seconds: MOST.as_secs() })
}
