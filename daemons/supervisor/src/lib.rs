//! The supervisor: `backline up` and its friends.
//!
//! It reads `system.toml`, builds what needs building, starts the registry, the other daemons and
//! every service as processes of their own, waits until all are healthy, shows where they are, and
//! keeps them alive until it is told to stop. Then it leaves no process behind, and neither does
//! its own violent death: every child carries a parent-death signal.
//!
//! It talks to its children only by what every process on the machine has: environment variables,
//! signals, `/health`, and a file with an address. So a child may be written in any language.
//!
//! What it refuses to do: decide where requests go (the registry and the gateway do), judge
//! whether a process that lives does its work well (the registry's checks do), and run on more than
//! one machine (Kubernetes and systemd do).

mod backoff;
mod board;
mod breakers;
mod detach;
mod down;
mod failure;
mod gameday;
mod journal;
mod keep;
mod kill;
mod launch;
mod lock;
mod logs;
mod maintenance;
mod place;
mod plan;
mod ports;
mod probe;
mod process;
mod programs;
mod route;
mod start;
mod state;
mod status;
mod steer;
mod supervise;
mod system;
mod table;
mod terminal;
mod token;
mod up;

use std::process::ExitCode;

pub use status::Snapshot;

/// What the supervisor can be asked to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Start everything that system.toml names, and keep it alive
    Up(up::Args),
    /// Stop everything
    Down(down::Args),
    /// Show what runs, where, and how it is
    Status(status::Args),
    /// Show what the processes wrote
    Logs(logs::Args),
    /// Show the measures around all calls, and steer them
    Breakers(breakers::Args),
    /// Show which services nobody calls for a while, and change that
    Maintenance(maintenance::Args),
    /// Kill one process (SIGKILL), to see it come back
    Kill(kill::KillArgs),
    /// Stop the processes of a service one after another (SIGTERM), each coming back before the next
    Restart(kill::RestartArgs),
    /// Scenarios: what happens when something goes wrong
    #[command(subcommand)]
    Gameday(gameday::Action),
    /// Become a child of the supervisor (it calls this itself)
    #[command(hide = true)]
    ExecChild(launch::ExecChild),
}

/// Does what was asked. The exit code is 0 when that was done, 1 when it failed, 2 when
/// `system.toml` is wrong.
pub fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Up(args) => up::run(args),
        Command::Down(args) => down::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Logs(args) => logs::run(&args),
        Command::Breakers(args) => breakers::run(args),
        Command::Maintenance(args) => maintenance::run(args),
        Command::Kill(args) => kill::kill(&args),
        Command::Restart(args) => kill::restart(&args),
        Command::Gameday(action) => gameday::run(action),
        Command::ExecChild(args) => return args.exec(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::complain(&failure);
            ExitCode::from(failure.code())
        }
    }
}
