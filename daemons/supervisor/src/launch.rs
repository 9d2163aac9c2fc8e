//! Starting a child that cannot outlive the supervisor.
//!
//! The kernel kills a process with its parent if it asked for that (PR_SET_PDEATHSIG). The child
//! must ask for it between fork and exec, where Rust's standard library runs nothing but unsafe
//! code. So the child first becomes this very program once more, asks, checks that its parent was
//! not quicker to die, and only then becomes what it is to be. The pid stays.
//!
//! The signal fires when the *thread* that forked ends, so all children are started by the main
//! thread (the runtime has no other). It is SIGKILL: an orderly stop is what the supervisor sends
//! while it lives.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    io,
    os::unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    process::{ExitCode, Stdio},
};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tokio::process::{Child, Command};

use crate::{plan::Launch, terminal::complain};

/// Arguments of the program in between.
#[derive(Debug, clap::Args)]
pub struct ExecChild {
    /// Who must still be the parent
    #[arg(long)]
    parent: i32,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl ExecChild {
    /// Becomes the command. Returns only if that is impossible.
    pub fn exec(self) -> ExitCode {
        const CANNOT_RUN: u8 = 127;
        if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
            complain(&format_args!("cannot ask for the parent-death signal: {error}"));
            return ExitCode::from(CANNOT_RUN);
        }
        if Pid::as_raw(getppid()) != self.parent {
            return ExitCode::from(CANNOT_RUN);
        }
        let Some((program, args)) = self.command.split_first() else {
            return ExitCode::from(CANNOT_RUN);
        };
        let error = std::process::Command::new(program).args(args).exec();
        complain(&format_args!("cannot run '{}': {error}", program.display()));
        ExitCode::from(CANNOT_RUN)
    }
}

/// Starts a child in a process group of its own, with what it writes going to its log.
pub fn spawn(launch: &Launch) -> io::Result<Child> {
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(&launch.log)?;
    // By this path the program that runs is found even after a build replaced its file.
    Command::new("/proc/self/exe")
        .arg("exec-child")
        .arg(format!("--parent={}", std::process::id()))
        .arg("--")
        .arg(&launch.program)
        .args(&launch.args)
        .env_clear()
        .envs(&launch.env)
        .current_dir(&launch.folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
}
