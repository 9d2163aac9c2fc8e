//! The `backline` binary: the supervisor's commands, and the daemons as subcommands.
//!
//! One program, so that an installation is one file and all parts are of one version. It only
//! dispatches; what a command does stands in its crate under `daemons/`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Services without a platform team: registry, gateway, monitor and console in one program.
#[derive(Debug, Parser)]
#[command(name = "backline", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Supervisor(backline_supervisor::Command),
    /// Send requests at a steady rate, and measure
    Load(backline_load::Args),
    /// Make the network to a server bad: slow, narrow, cut, silent
    Fault(backline_fault::Args),
    /// Run the registry (`up` does this)
    Registry(backline_registry::Args),
    /// Run the gateway (`up` does this)
    Gateway(backline_gateway::Args),
    /// Run the monitor (`up` does this)
    Monitor(backline_monitor::Args),
    /// Run the console (`up` does this)
    Console(backline_console::Args),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Supervisor(command) => backline_supervisor::run(command),
        Command::Load(args) => backline_load::command(args),
        Command::Fault(args) => backline_fault::command(args),
        Command::Registry(args) => backline_registry::run(args),
        Command::Gateway(args) => backline_gateway::run(args),
        Command::Monitor(args) => backline_monitor::run(args),
        Command::Console(args) => backline_console::run(args),
    }
}
