//! `backline gameday`: scenarios that show what happens when something goes wrong.
//!
//! A scenario is a program of the company's own, named in `system.toml`; it starts what it needs,
//! apart from the running estate, and says by its exit code whether what it promises held.

use std::{ffi::OsString, os::unix::process::CommandExt as _, process::Command};

use crate::{
    failure::Failure,
    place::Place,
    programs::Programs,
    system::{Gameday, System},
    terminal::say,
};

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Show the scenarios that system.toml names
    List(List),
    /// Run one
    Run(Run),
}

/// Which estate.
#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    place: Place,
}

/// Which scenario, and how.
#[derive(Debug, clap::Args)]
pub struct Run {
    #[command(flatten)]
    place: Place,
    /// Build and run the optimised programs: for figures to compare
    #[arg(long)]
    release: bool,
    /// Run the programs that are there
    #[arg(long)]
    no_build: bool,
    /// The scenario
    name: String,
    /// Arguments of its own, after `--`; `--help` shows them
    #[arg(last = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

pub fn run(action: Action) -> Result<(), Failure> {
    match action {
        Action::List(list) => {
            let system = list.place.system()?;
            let programs = Programs::find(&system, false, true)?;
            for gameday in System::read(&system, &programs)?.gamedays {
                say(format_args!("{:16} {}", gameday.name, gameday.about));
            }
            Ok(())
        }
        Action::Run(run) => run.run(),
    }
}

impl Run {
    fn run(self) -> Result<(), Failure> {
        let file = self.place.system()?;
        let programs = Programs::find(&file, self.release, !self.no_build)?;
        let system = System::read(&file, &programs)?;
        let gameday = named(&system.gamedays, &self.name)?;
        let needed = gameday.needs.iter().chain([&gameday.run]);
        programs.build(needed.map(String::as_str))?;
        let program = programs.path(&gameday.run, &system.folder);
        let error = Command::new(&program).args(&self.arguments).exec();
        Err(Failure::file("run", program)(error))
    }
}

fn named<'a>(gamedays: &'a [Gameday], name: &str) -> Result<&'a Gameday, Failure> {
    gamedays.iter().find(|gameday| gameday.name == name).ok_or_else(|| {
        let names: Vec<_> = gamedays.iter().map(|gameday| gameday.name.as_str()).collect();
        let known = match names.as_slice() {
            [] => "system.toml names no game days".to_owned(),
            names => format!("game days are {}", names.join(", ")),
        };
        Failure::NoSuchInstance { asked: name.to_owned(), known }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scenario_is_told_what_there_is() {
        let cascade = Gameday {
            name: "cascade".into(),
            about: String::new(),
            run: "cascade".into(),
            needs: Vec::new(),
        };
        assert!(named(std::slice::from_ref(&cascade), "cascade").is_ok());
        let error = named(&[cascade], "flood").expect_err("unknown").to_string();
        assert!(error.contains("'flood'") && error.contains("cascade"), "{error}");
    }
}
