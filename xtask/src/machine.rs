//! What the tests need on the machine besides Rust.

use std::{env, path::Path, process::Command};

use crate::Failed;

/// A program that some test runs.
struct Program {
    /// Looked for on the path.
    name: &'static str,
    /// The Debian package that has it.
    package: &'static str,
    /// The daemon that installing the package starts. It is stopped: tests start their own.
    daemon: Option<&'static str>,
    /// Who needs it.
    reason: &'static str,
}

/// The one list.
const PROGRAMS: &[Program] = &[Program {
    name: "chromium",
    package: "chromium",
    daemon: None,
    reason: "e2e: the console's pages are looked at in a real browser",
}];

/// Makes sure that all programs are there, or says which are missing and how to get them.
pub fn check(install: bool) -> Result<(), Failed> {
    let missing: Vec<_> = PROGRAMS.iter().filter(|program| !is_there(program.name)).collect();
    for Program { name, package, reason, .. } in &missing {
        println!("missing: {name} (Debian package {package}) for {reason}");
    }
    let packages: Vec<_> = missing.iter().map(|program| program.package).collect();
    match (packages.is_empty(), install) {
        (true, _) => {
            let names: Vec<_> = PROGRAMS.iter().map(|program| program.name).collect();
            println!("there: {}", names.join(", "));
            Ok(())
        }
        (false, false) => Err(format!(
            "this machine lacks what tests need. Run `cargo verify --install` as root, or \
             `apt-get install --no-install-recommends {}`",
            packages.join(" ")
        )
        .into()),
        (false, true) => {
            apt_get(&["update"])?;
            apt_get(
                &[&["install", "-y", "--no-install-recommends"], packages.as_slice()].concat(),
            )?;
            missing.iter().filter_map(|program| program.daemon).try_for_each(stop)?;
            match missing.iter().find(|program| !is_there(program.name)) {
                Some(program) => Err(format!(
                    "{} was installed, but there is no program '{}' on the path",
                    program.package, program.name
                )
                .into()),
                None => Ok(()),
            }
        }
    }
}

fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| is_file_in(&folder, program))
}

fn is_file_in(folder: &Path, program: &str) -> bool {
    folder.join(program).is_file()
}

fn apt_get(arguments: &[&str]) -> Result<(), Failed> {
    println!("apt-get {}", arguments.join(" "));
    let status = Command::new("apt-get")
        .args(["-o", "DPkg::Lock::Timeout=60"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .map_err(|error| format!("apt-get cannot be started: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let why = "its words above say why; it needs root and the network";
    Err(format!("apt-get {} failed ({status}): {why}", arguments.join(" ")).into())
}

/// Works with systemd and without.
fn stop(daemon: &str) -> Result<(), Failed> {
    println!("stopping {daemon}");
    let status = Command::new("service").args([daemon, "stop"]).status()?;
    if status.success() { Ok(()) } else { Err(format!("{daemon} cannot be stopped").into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_on_the_path() {
        assert!(is_there("sh"));
        assert!(!is_there("no-such-program-here"));
    }

    #[test]
    fn every_program_has_its_reason() {
        assert!(PROGRAMS.iter().all(|program| !program.reason.is_empty()));
    }
}
