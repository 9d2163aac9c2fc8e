//! An estate of its own for each test, run by the real supervisor over the fixture's processes.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_backline-supervisor-fixture");

pub struct Estate {
    pub folder: PathBuf,
}

impl Estate {
    /// `services`: the file's part below [ports]; `run` is set to the fixture.
    pub fn with(services: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("backline-up-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let services = services.replace("RUN", "run = \"backline-supervisor-fixture\"");
        let text = format!("[system]\nname = \"trial\"\n\n{services}\n");
        fs::write(folder.join("system.toml"), text).expect("written");
        Self { folder }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(args).current_dir(&self.folder).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("run")
    }

    /// Runs what must succeed, and returns what it said.
    pub fn says(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{args:?}: {out}{err}{}", self.journal());
        out
    }

    /// Runs what must fail with this exit code, and returns what it complained of.
    pub fn complains(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{args:?}: {out}{err}");
        err
    }

    pub fn up_detached(&self) -> String {
        self.says(&["up", "--detach", "--no-build", "--ports", "auto"])
    }

    /// A supervisor in the foreground, when all is healthy.
    pub fn up(&self) -> Child {
        let mut up = self.command(&["up", "--no-build", "--ports", "auto"]);
        let child = up.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
        wait_for("all healthy", || self.status()["phase"] == "up");
        child
    }

    pub fn status(&self) -> Value {
        serde_json::from_str(&self.says(&["status", "--json"])).expect("JSON")
    }

    /// All processes by their ids.
    pub fn pids(&self) -> Vec<(String, i64)> {
        let status = self.status();
        let services = status["services"].as_array().expect("services").iter();
        services
            .flat_map(|service| service["instances"].as_array().expect("instances"))
            .filter_map(|it| Some((it["id"].as_str()?.to_owned(), it["pid"].as_i64()?)))
            .collect()
    }

    pub fn pid(&self, id: &str) -> Option<i64> {
        self.pids().into_iter().find(|(instance, _)| instance == id).map(|(_, pid)| pid)
    }

    pub fn journal(&self) -> String {
        fs::read_to_string(self.folder.join("var/log/supervisor.log")).unwrap_or_default()
    }
}

impl Drop for Estate {
    fn drop(&mut self) {
        let _ = self.run(&["down"]);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a process lives: one that only waits to be reaped does not.
pub fn lives(pid: i64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Waits for a condition between processes; a bound, not a pace: it looks every few milliseconds.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "the pause between two looks at another process")]
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

pub fn kill(pid: i64) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
}
