//! Where an estate is: its `system.toml`, and the folder `var` with all that it writes.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// Which estate is meant.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// The file that describes the estate [default: system.toml here or in a folder above]
    #[arg(long, value_name = "FILE")]
    system: Option<PathBuf>,
    /// The folder for state, logs and stores [default: var beside system.toml]
    #[arg(long, value_name = "DIR")]
    var: Option<PathBuf>,
}

impl Place {
    /// The absolute path of `system.toml`.
    pub fn system(&self) -> Result<PathBuf, Failure> {
        if let Some(file) = &self.system {
            return std::path::absolute(file).map_err(Failure::file("find", file));
        }
        let here = std::env::current_dir().map_err(Failure::os("find the current folder"))?;
        here.ancestors()
            .map(|folder| folder.join("system.toml"))
            .find(|file| file.is_file())
            .ok_or(Failure::NoSystem(here))
    }

    /// The folder `var`. With `--var` no `system.toml` is needed.
    pub fn var(&self) -> Result<Var, Failure> {
        let root = match &self.var {
            Some(var) => std::path::absolute(var).map_err(Failure::file("find", var))?,
            None => self.system()?.with_file_name("var"),
        };
        Ok(Var { root })
    }
}

/// The folder `var`.
#[derive(Clone, Debug)]
pub struct Var {
    root: PathBuf,
}

impl Var {
    #[cfg(test)]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn lock(&self) -> PathBuf {
        self.root.join("supervisor.lock")
    }

    pub fn state(&self) -> PathBuf {
        self.root.join("run/state.json")
    }

    /// Where a process writes the address it listens on.
    pub fn address(&self, instance: &str) -> PathBuf {
        self.root.join("run").join(format!("{instance}.addr"))
    }

    pub fn log(&self, instance: &str) -> PathBuf {
        self.root.join("log").join(format!("{instance}.log"))
    }

    pub fn store(&self, service: &str) -> PathBuf {
        self.root.join("store").join(format!("{service}.db"))
    }

    /// What lets an operator change the estate.
    pub fn operator_token(&self) -> PathBuf {
        self.root.join("operator.token")
    }

    /// Makes the folders. Only the owner may look inside: stores and state are nobody else's.
    pub fn create(&self) -> Result<(), Failure> {
        use std::os::unix::fs::DirBuilderExt as _;
        for folder in ["run", "log", "store"] {
            let folder = self.root.join(folder);
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .map_err(Failure::file("make the folder", &folder))?;
        }
        Ok(())
    }
}

/// Removes a file that may not be there.
pub fn remove(file: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::file("remove", file)(error))
        }
        _ => Ok(()),
    }
}
