use std::{
    fmt,
    fs::{self, File},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use crate::{TempDir, wait::within};

/// What a command left behind.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Finished {
    /// The same, if the command succeeded.
    ///
    /// # Panics
    /// With all its output, when it did not.
    #[track_caller]
    pub fn success(self) -> Self {
        assert!(self.status.success(), "the command failed: {self}");
        self
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, stdout, stderr } = self;
        write!(f, "{status}\n--- standard output\n{stdout}\n--- standard error\n{stderr}")
    }
}

/// Runs a command to its end, without input.
///
/// Its output goes to files, not pipes: a process that it leaves behind would hold a pipe open,
/// and the wait for the pipe's end would last as long as that process.
///
/// # Panics
/// When it cannot be started, or has not ended within `limit` (then it is killed).
#[track_caller]
pub fn run(command: &mut Command, limit: Duration) -> Finished {
    let output = TempDir::new();
    let (out, err) = (output.join("out"), output.join("err"));
    let create = |path| File::create(path).expect("a new file in a folder of our own");
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(create(&out))
        .stderr(create(&err))
        .spawn()
        .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
    let ended = within(limit, &mut || child.try_wait().expect("the child is ours"));
    let text = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let (stdout, stderr) = (text(&out), text(&err));
    // Its text is in memory: nothing to keep, even if this panics.
    drop(output);
    let Some(status) = ended else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("{name} did not end within {limit:?}\n{stdout}\n{stderr}");
    };
    Finished { status, stdout, stderr }
}

#[cfg(test)]
mod tests {
    use std::{panic, time::Instant};

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn status_and_both_outputs_are_reported() {
        let finished = run(&mut shell("echo out; echo err >&2; exit 3"), Duration::from_secs(20));
        assert_eq!(finished.status.code(), Some(3));
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("out\n", "err\n"));
    }

    #[test]
    fn a_process_left_behind_does_not_hold_the_command() {
        let begun = Instant::now();
        let finished = run(&mut shell("sleep 30 & echo $!"), Duration::from_secs(20)).success();
        assert!(begun.elapsed() < Duration::from_secs(20));
        run(Command::new("kill").arg(finished.stdout.trim()), Duration::from_secs(20)).success();
    }

    #[test]
    fn a_command_that_hangs_is_killed() {
        let hung = panic::catch_unwind(|| run(&mut shell("exec sleep 30"), Duration::ZERO));
        let text = hung.expect_err("it panics");
        assert!(text.downcast_ref::<String>().is_some_and(|text| text.contains("did not end")));
    }
}
