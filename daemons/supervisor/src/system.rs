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
    /// In the order of the file.
    pub services: Vec<Service>,
    /// The folder of the file.
    pub folder: PathBuf,
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
    pub env: BTreeMap<String, String>,
}

impl System {
    /// Reads the file.
    ///
    /// # Errors
    /// All its mistakes together.
    pub fn read(file: &Path, programs: &Programs) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file).map_err(Failure::file("read", file))?;
        Ok(reader::read(file, &text, programs)?)
    }
}
