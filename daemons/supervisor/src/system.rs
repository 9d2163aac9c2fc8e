//! `system.toml`: the whole estate on one screen.

mod mistakes;
mod reader;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub use mistakes::{Mistake, Mistakes, nearest};

use crate::{failure::Failure, programs::Programs};

/// The platform's own processes, in the order in which they are shown.
pub const DAEMONS: [&str; 4] = ["registry", "gateway", "monitor", "console"];

/// Environment variables of a process.
pub type Variables = BTreeMap<String, String>;

/// An estate as its file describes it, without mistakes.
#[derive(Clone, Debug, PartialEq)]
pub struct System {
    pub name: String,
    pub environment: String,
    pub zone: String,
    /// What a newcomer may type first; `{gateway}` in it stands for the gateway's address.
    pub hint: Option<String>,
    pub ports: Ports,
    /// The folder with the process declarations for the monitor, absolute.
    pub processes: Option<PathBuf>,
    /// What the gateway is told of the limits of calls.
    pub gateway: Variables,
    /// In the order of the file.
    pub services: Vec<Service>,
    /// Scenarios that are run on demand, in the order of the file.
    pub gamedays: Vec<Gameday>,
    /// The folder of the file.
    pub folder: PathBuf,
}

/// A scenario: what happens when something goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Gameday {
    pub name: String,
    /// One sentence for people.
    pub about: String,
    /// The program that runs it.
    pub run: String,
    /// Further programs that it starts.
    pub needs: Vec<String>,
}

/// The three addresses that people know by heart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    pub gateway: u16,
    pub console: u16,
    pub registry: u16,
}

/// A service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub name: String,
    /// The program: the name of a binary, or a path (with a `/`) from the file's folder.
    pub run: String,
    pub instances: u16,
    /// Whether the gateway may route to it.
    pub public: bool,
    /// Its own settings, and the limits of calls.
    pub env: Variables,
}

impl System {
    /// The programs of all services.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        self.services.iter().map(|service| service.run.as_str())
    }

    /// Reads the file.
    ///
    /// # Errors
    /// All its mistakes together.
    pub fn read(file: &Path, programs: &Programs) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file).map_err(Failure::file("read", file))?;
        Ok(reader::read(file, &text, programs)?)
    }
}
