//! Where the programs are, and making them where this is a source checkout.
//!
//! Cargo's own progress is passed through: it knows how much is left, and nobody shows it better.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{failure::Failure, system::nearest};

/// The programs that an estate may run.
#[derive(Debug)]
pub struct Programs {
    /// The `backline` that runs, and is the daemons too.
    own: PathBuf,
    /// The folder of the services' binaries.
    folder: PathBuf,
    /// Where they can be built; none where they are taken as they are.
    checkout: Option<Checkout>,
}

#[derive(Debug)]
struct Checkout {
    root: PathBuf,
    profile: String,
    binaries: BTreeSet<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum BuildFailed {
    #[error("the build failed: cargo says above why; `--no-build` starts what is there")]
    Compiling,
    #[error("cannot run cargo: {0}; `--no-build` starts the programs that are there")]
    NoCargo(std::io::Error),
}

impl Programs {
    /// Looks for a source checkout around `system.toml`, then around the running binary, unless
    /// nothing is to be built.
    pub fn find(system: &Path, release: bool, build: bool) -> Result<Self, Failure> {
        let own = std::env::current_exe().map_err(Failure::os("find the running program"))?;
        let own = sound(own);
        let beside = own.parent().unwrap_or(Path::new("/")).to_owned();
        let mut folder = beside;
        if release && let Some(target) = folder.parent() {
            folder = target.join("release");
        }
        let checkout = if build {
            [system, &own].into_iter().find_map(|near| Checkout::around(near, &mut folder, release))
        } else {
            None
        };
        Ok(Self { own, folder, checkout })
    }

    /// The running `backline`.
    pub fn own(&self) -> &Path {
        &self.own
    }

    /// The program that `run` means.
    pub fn path(&self, run: &str, system: &Path) -> PathBuf {
        if run.contains('/') { system.join(run) } else { self.folder.join(run) }
    }

    /// Whether `run` is there, or will be after a build; otherwise what would be right.
    pub fn check(&self, run: &str, system: &Path) -> Result<(), String> {
        if let Some(checkout) = self.checkout.as_ref().filter(|_| !run.contains('/')) {
            return if checkout.binaries.contains(run) {
                Ok(())
            } else {
                let meant = nearest(run, checkout.binaries.iter().map(String::as_str))
                    .map_or(String::new(), |meant| format!("; did you mean '{meant}'?"));
                Err(format!("no crate of this workspace has a binary '{run}'{meant}"))
            };
        }
        let path = self.path(run, system);
        match path.metadata() {
            Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => Ok(()),
            Ok(_) => Err(format!("'{}' is not a program", path.display())),
            Err(_) => Err(format!("there is no program '{}': build it first", path.display())),
        }
    }

    /// Builds these programs, where that is possible.
    pub fn build<'a>(&'a self, runs: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
        let Some(checkout) = &self.checkout else { return Ok(()) };
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&checkout.root).stdin(Stdio::null());
        // No `-p`: a choice of packages unifies features differently and compiles much again.
        cargo.args(["build", "--profile", &checkout.profile]);
        let mut needed: BTreeSet<&str> = runs.filter(|run| !run.contains('/')).collect();
        if let Some(name) = self.other_profile() {
            needed.insert(name);
        }
        if needed.is_empty() {
            return Ok(());
        }
        for binary in needed {
            cargo.args(["--bin", binary]);
        }
        // Its bar and lines go to standard error, as they are.
        let status = cargo.status().map_err(BuildFailed::NoCargo)?;
        if status.success() { Ok(()) } else { Err(BuildFailed::Compiling.into()) }
    }

    /// With `--release` from a development build: goes on as the release build, with the same
    /// arguments, so that the daemons are of the profile asked for too. Returns where it need not.
    pub fn become_asked_profile(&self) -> Result<(), Failure> {
        let Some(name) = self.other_profile() else { return Ok(()) };
        let mut args: Vec<OsString> = std::env::args_os().skip(1).collect();
        if self.checkout.is_some() {
            args.push("--no-build".into());
        }
        let program = self.folder.join(name);
        let error = Command::new(&program).args(args).exec();
        Err(Failure::file("run", program)(error))
    }

    /// The running program's name, if its workspace is this one and has it in another profile. One
    /// that is installed elsewhere stays as it is.
    fn other_profile(&self) -> Option<&str> {
        let name = self.own.file_name()?.to_str()?;
        let built_here = self.checkout.as_ref().is_none_or(|it| it.binaries.contains(name));
        (self.own.parent() != Some(&self.folder) && built_here).then_some(name)
    }
}

impl Checkout {
    /// The workspace around `near`; sets `folder` to where its binaries come to lie.
    fn around(near: &Path, folder: &mut PathBuf, release: bool) -> Option<Self> {
        let root = near.ancestors().skip(1).find(|folder| folder.join("Cargo.toml").is_file())?;
        let output = Command::new("cargo")
            .current_dir(root)
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stderr(Stdio::inherit())
            .output()
            .ok()?;
        let metadata: Metadata = serde_json::from_slice(&output.stdout).ok()?;
        let named = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // Cargo's folder for the profile `dev` is `debug`; a program from elsewhere builds `dev`.
        let within = folder.starts_with(&metadata.target_directory);
        let profile = match named {
            _ if release => "release",
            "debug" => "dev",
            profile if within => profile,
            _ => "dev",
        };
        let profile = profile.to_owned();
        *folder = metadata.target_directory.join(if profile == "dev" { "debug" } else { &profile });
        let targets = metadata.packages.into_iter().flat_map(|package| package.targets);
        let binaries = targets.filter(|target| target.kind.iter().any(|kind| kind == "bin"));
        Some(Self {
            root: metadata.workspace_root,
            profile,
            binaries: binaries.map(|target| target.name).collect(),
        })
    }
}

/// After a build replaced the running binary, the kernel adds this to its name.
fn sound(own: PathBuf) -> PathBuf {
    match own.to_str().and_then(|path| path.strip_suffix(" (deleted)")) {
        Some(path) => PathBuf::from(path),
        None => own,
    }
}

/// What is needed of `cargo metadata`.
#[derive(serde::Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(serde::Deserialize)]
struct Package {
    targets: Vec<Target>,
}

#[derive(serde::Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[cfg(test)]
impl Programs {
    /// Programs of these names, all there after a build.
    pub fn of(names: &[&str]) -> Self {
        Self {
            own: "/opt/backline/bin/backline".into(),
            folder: "/opt/backline/bin".into(),
            checkout: Some(Checkout {
                root: "/src".into(),
                profile: "dev".into(),
                binaries: names.iter().map(|name| (*name).to_owned()).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_installed_elsewhere_stays_as_it_is() {
        let mut programs = Programs::of(&["orders"]);
        programs.folder = "/src/target/debug".into();
        assert_eq!(programs.other_profile(), None);
        let mut ours = Programs::of(&["orders", "backline"]);
        assert_eq!(ours.other_profile(), None);
        ours.folder = "/src/target/release".into();
        assert_eq!(ours.other_profile(), Some("backline"));
    }
}
