//! `backline up`

use clap::ValueEnum;

use crate::{
    detach, failure::Failure, lock::Lock, place::Place, ports, programs::Programs,
    supervise::Estate, system::System,
};

/// How to start.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub place: Place,
    /// Run in the background: return when all is healthy
    #[arg(short, long)]
    detach: bool,
    /// Where the fixed ports come from
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = WhichPorts::File)]
    ports: WhichPorts,
    /// Build and run the optimised programs
    #[arg(long)]
    release: bool,
    /// Start the programs that are there
    #[arg(long)]
    no_build: bool,
    /// The supervisor itself, in the background (`--detach` starts it)
    #[arg(long, hide = true)]
    background: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WhichPorts {
    /// Those of system.toml
    File,
    /// Free ones
    Auto,
}

pub fn run(args: Args) -> Result<(), Failure> {
    if args.background {
        rustix::process::setsid()
            .map_err(|error| Failure::os("leave the session")(error.into()))?;
    }
    let file = args.place.system()?;
    let var = args.place.var()?;
    // What can be known before minutes of building is said before them.
    Lock::check(&var)?;
    let programs = Programs::find(&file, args.release, !args.no_build)?;
    let system = System::read(&file, &programs)?;
    let free_ports = args.ports == WhichPorts::Auto;
    if !free_ports {
        ports::fixed(system.ports)?;
    }
    programs.build(system.programs())?;
    programs.become_asked_profile()?;
    let estate = Estate { system, programs, var, free_ports, on_terminal: !args.background };
    if args.detach { detach::run(&estate, &file) } else { estate.run() }
}
