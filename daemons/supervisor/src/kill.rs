//! `backline kill` and `backline restart`: see a process go, and come back.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::{
    failure::Failure,
    keep::DRAIN,
    place::{Place, Var},
    process::Identity,
    state::{Instance, State},
    terminal::{human, say},
};

/// Longer than a drain and the longest backoff together.
const MOST: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(10);

/// What to kill.
#[derive(Debug, clap::Args)]
pub struct KillArgs {
    #[command(flatten)]
    place: Place,
    /// A service or daemon (its first instance that runs), or an instance such as loyalty-2
    target: String,
    /// Return at once
    #[arg(long)]
    no_wait: bool,
}

/// What to restart.
#[derive(Debug, clap::Args)]
pub struct RestartArgs {
    #[command(flatten)]
    place: Place,
    /// A service or daemon, or an instance such as loyalty-2
    target: String,
}

pub fn kill(args: &KillArgs) -> Result<(), Failure> {
    let var = args.place.var()?;
    let state = State::running(&var)?.ok_or(Failure::NotRunning)?;
    let mut named = state.named(&args.target)?.into_iter();
    let Some((instance, process)) = named.find_map(|it| Some((it, it.process?))) else {
        say(format_args!("no process of {} runs at the moment", args.target));
        return Ok(());
    };
    signal(process, Signal::KILL);
    say(format_args!("{} (pid {}) killed", instance.id, process.pid));
    if args.no_wait { Ok(()) } else { wait_back(&var, instance, process) }
}

pub fn restart(args: &RestartArgs) -> Result<(), Failure> {
    let var = args.place.var()?;
    let state = State::running(&var)?.ok_or(Failure::NotRunning)?;
    for instance in state.named(&args.target)? {
        // One that waits to be started again needs no signal.
        if let Some(process) = instance.process {
            if let Some(handle) = process.open() {
                handle.signal(Signal::TERM);
                if !handle.ended_within(DRAIN) {
                    handle.kill_group();
                    let (id, most) = (&instance.id, human(DRAIN));
                    say(format_args!("{id} did not end within {most}: killed"));
                }
            }
            wait_back(&var, instance, process)?;
        }
    }
    Ok(())
}

fn signal(process: Identity, signal: Signal) {
    if let Some(process) = process.open() {
        process.signal(signal);
    }
}

/// Waits until another process is healthy in place of `before`.
fn wait_back(var: &Var, instance: &Instance, before: Identity) -> Result<(), Failure> {
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(Failure::os("start the runtime"))?;
    runtime.block_on(async {
        while begun.elapsed() < MOST {
            let state = State::running(var)?.ok_or(Failure::NotRunning)?;
            let now = state.instance(&instance.id).filter(|now| now.ready);
            if let Some(process) = now.and_then(|now| now.process).filter(|now| *now != before) {
                let took = human(begun.elapsed());
                say(format_args!("{} is back after {took} with pid {}", instance.id, process.pid));
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        let (id, seconds) = (&instance.id, MOST.as_secs());
        Err(Failure::NotBack(format!(
            "{id} is not back after {seconds} s: see `backline logs {id}`"
        )))
    })
}
