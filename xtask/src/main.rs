//! The project's own commands: `cargo verify` and `cargo xtask ...`.
//!
//! They are a program of the workspace rather than shell scripts, so that they need nothing but
//! Cargo, have tests, and say what to do when something is missing. What they refuse to do: skip
//! a check in silence, or change the machine or a file unless asked to.
#![expect(clippy::print_stdout, reason = "commands talk to whoever called them")]

mod describe;
mod json;
mod machine;
mod measure;
mod tidy;
mod verify;
mod workspace;

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};
use workspace::Workspace;

/// What goes wrong here ends the command; its text is all that is needed.
type Failed = Box<dyn Error>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that must hold before a change lands: format, lints, rules, contracts, tests
    Verify {
        /// Install the Debian packages that tests need and this machine lacks
        #[arg(long)]
        install: bool,
        /// Also measure the release build against the aims for start time and memory
        #[arg(long)]
        long: bool,
    },
    /// The written rules and invariants
    Tidy {
        /// Write docs/dependencies.txt anew instead of comparing it
        #[arg(long)]
        bless: bool,
    },
    /// Write each service's openapi.json and events.json from its code
    Describe {
        /// Compare them instead, and change nothing
        #[arg(long)]
        check: bool,
    },
    /// Start time, idle memory and binary sizes of the release build
    Measure {
        /// How many times the company is started
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
        runs: u32,
        /// Print JSON instead of tables
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let done = Workspace::load().and_then(|workspace| match Arguments::parse().command {
        Command::Verify { install, long } => verify::run(&workspace, install, long),
        Command::Tidy { bless } => tidy::run(&workspace, bless),
        Command::Describe { check } => describe::run(&workspace, check),
        Command::Measure { runs, json } => measure::run(&workspace, runs, json),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
