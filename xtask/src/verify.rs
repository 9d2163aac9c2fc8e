//! Everything that must hold before a change lands, in one command.
//!
//! A step that fails ends the run, since what follows would only repeat it; format, lints, docs,
//! rules and contracts are independent of the rest, so their failures are collected and reported
//! at the end, after the tests.

use std::{
    env,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    Failed, describe, machine, measure, tidy,
    workspace::{Workspace, cargo},
};

/// The real data set, for the test that imports it whole.
const CHINOOK: &str = "MUSICCORP_CHINOOK";

/// Runs all steps, with their times and a summary.
pub fn run(workspace: &Workspace, install: bool, long: bool) -> Result<(), Failed> {
    let mut report = Report::default();
    let outcome = steps(workspace, install, long, &mut report);
    report.print();
    outcome?;
    match report.failed().as_slice() {
        [] => Ok(()),
        failed => Err(format!("failed: {}", failed.join(", ")).into()),
    }
}

fn steps(
    workspace: &Workspace,
    install: bool,
    long: bool,
    report: &mut Report,
) -> Result<(), Failed> {
    match env::var_os(CHINOOK) {
        Some(file) => println!("{CHINOOK} is {}: it will be imported whole", file.display()),
        None => println!("{CHINOOK} is not set: the import is tested with a small database only"),
    }
    let cargo = |arguments: &'static str| move || run_cargo(workspace, arguments);
    report.must("machine", || machine::check(install))?;
    report.collect("format", cargo("fmt --all --check"));
    report.collect("lints", cargo("clippy --workspace --all-targets -- -D warnings"));
    report.collect("docs", cargo("doc --workspace --no-deps"));
    report.must("build", cargo("build --workspace"))?;
    report.collect("rules", || tidy::run(workspace, false));
    report.collect("contracts", || describe::run(workspace, true));
    report.must("tests", cargo("test --workspace --no-fail-fast"))?;
    if long {
        report.must("measurement", || measure::run(workspace, 5, false))?;
    }
    Ok(())
}

fn run_cargo(workspace: &Workspace, arguments: &str) -> Result<(), Failed> {
    let status = Command::new(cargo())
        .args(arguments.split(' '))
        // In documentation, a link that leads nowhere is an error like any other.
        .env("RUSTDOCFLAGS", "-D warnings")
        .current_dir(&workspace.root)
        .status()?;
    if status.success() { Ok(()) } else { Err(format!("`cargo {arguments}` failed").into()) }
}

/// What each step came to.
#[derive(Default)]
struct Report {
    steps: Vec<(&'static str, Duration, Option<String>)>,
}

impl Report {
    /// A step without which the next make no sense.
    fn must(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        self.collect(name, step);
        match self.steps.last() {
            Some((_, _, Some(why))) => Err(format!("{name}: {why}").into()),
            _ => Ok(()),
        }
    }

    /// A step whose failure is reported at the end.
    fn collect(&mut self, name: &'static str, step: impl FnOnce() -> Result<(), Failed>) {
        println!("\n== {name}");
        let begun = Instant::now();
        let failure = step().err().map(|error| error.to_string());
        if let Some(why) = &failure {
            println!("failed: {why}");
        }
        self.steps.push((name, begun.elapsed(), failure));
    }

    fn failed(&self) -> Vec<&'static str> {
        self.steps.iter().filter(|(_, _, failure)| failure.is_some()).map(|step| step.0).collect()
    }

    fn print(&self) {
        println!("\n== summary");
        for (name, took, failure) in &self.steps {
            let said = failure.as_ref().map_or("ok".to_owned(), |why| format!("FAILED: {why}"));
            println!("{name:12} {:7.1} s  {said}", took.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collected_failure_goes_on_and_is_reported() {
        let mut report = Report::default();
        report.collect("format", || Err("not formatted".into()));
        assert!(report.must("build", || Ok(())).is_ok());
        assert_eq!(report.failed(), ["format"]);
    }

    #[test]
    fn a_step_that_others_need_ends_the_run() {
        let mut report = Report::default();
        let ended = report.must("build", || Err("does not compile".into()));
        assert_eq!(ended.expect_err("it failed").to_string(), "build: does not compile");
    }
}
