//! Why a command could not do what it was asked, in words for the person at the terminal.

use std::{io, net::SocketAddr, path::PathBuf};

use crate::{lock, ports, programs, start, system, token};

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    System(#[from] system::Mistakes),
    #[error(
        "there is no system.toml in '{}' or above: go to its folder, or give it with --system FILE",
        .0.display()
    )]
    NoSystem(PathBuf),
    #[error("cannot {doing} '{}': {source}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot {doing}: {source}")]
    Os { doing: &'static str, source: io::Error },
    #[error("{0}")]
    Held(#[from] lock::Held),
    #[error("{0}")]
    Token(#[from] token::Exposed),
    #[error("{0}")]
    Ports(#[from] ports::Taken),
    #[error("{0}")]
    Build(#[from] programs::BuildFailed),
    #[error("{0}")]
    Start(#[from] start::Failed),
    #[error("{0}")]
    Detached(String),
    #[error("nothing runs: start it with `backline up`")]
    NotRunning,
    #[error("there is no '{asked}' here: {known}")]
    NoSuchInstance { asked: String, known: String },
    #[error("{0}")]
    NotBack(String),
    #[error("cannot {doing} keys of the registry at {registry}: {why}")]
    Registry { doing: &'static str, registry: SocketAddr, why: String },
    #[error(
        "the registry does not take the operator's token in '{}', so nothing was changed: {said}",
        path.display()
    )]
    Denied { path: PathBuf, said: String },
    #[error("{0}")]
    Steered(String),
    #[error(
        "the supervisor (pid {pid}) did not end within {seconds} s and was killed, with all its processes"
    )]
    Stubborn { pid: i32, seconds: u64 },
}

impl Failure {
    /// The process's exit code.
    pub fn code(&self) -> u8 {
        if matches!(self, Self::System(_)) { 2 } else { 1 }
    }

    /// For `map_err`: what was being done to which file.
    pub fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }

    /// For `map_err`: what was asked of the operating system.
    pub fn os(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Os { doing, source }
    }
}
