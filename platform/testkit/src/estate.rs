use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    Finished, TempDir, bin,
    bin::workspace,
    process, run,
    wait::{wait_for, within},
};

/// Within this time the estate must be up, or down.
const LIMIT: Duration = Duration::from_secs(60);
/// Within this time after `backline down` no process may be left.
const GONE: Duration = Duration::from_secs(2);

/// One process of a service or daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its name among those of its service, such as `loyalty-1`.
    pub id: String,
    /// Its process id.
    pub pid: u32,
    /// Where it listens: `ip:port`.
    pub address: String,
}

/// The whole estate, brought up by `backline up` in a folder and on ports of its own. It goes
/// with this value: by `backline down`, and by SIGKILL whatever that leaves.
#[derive(Debug)]
pub struct Estate {
    var: TempDir,
    system: Option<PathBuf>,
    variables: Vec<(String, String)>,
    /// Base URLs as of the last `up`, so that they are known while the supervisor is dead.
    gateway: String,
    console: String,
    registry: String,
}

impl Estate {
    /// Brings the workspace's own `system.toml` up and waits until all is healthy.
    ///
    /// # Panics
    /// With the output of `backline up`, when it fails.
    #[must_use]
    #[track_caller]
    pub fn up() -> Self {
        Self::prepare(None, &[])
    }

    /// The same with another declaration of the system.
    ///
    /// # Panics
    /// As [`Estate::up`].
    #[must_use]
    #[track_caller]
    pub fn up_with(system: &Path) -> Self {
        Self::prepare(Some(system), &[])
    }

    /// The same, with variables in the supervisor's environment.
    ///
    /// # Panics
    /// As [`Estate::up`].
    #[must_use]
    #[track_caller]
    pub fn prepare(system: Option<&Path>, variables: &[(&str, &str)]) -> Self {
        let mut estate = Self {
            var: TempDir::new(),
            system: system.map(Path::to_owned),
            variables: variables.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect(),
            gateway: String::new(),
            console: String::new(),
            registry: String::new(),
        };
        estate.up_again();
        estate
    }

    /// Brings it up again on the same state, after [`Estate::down`] or the supervisor's death.
    /// Ports and addresses are new.
    ///
    /// # Panics
    /// As [`Estate::up`].
    #[track_caller]
    pub fn up_again(&mut self) {
        let mut arguments = vec!["up", "--detach", "--ports", "auto", "--no-build"];
        let system = self.system.as_ref().map(|file| file.to_string_lossy().into_owned());
        if let Some(file) = &system {
            arguments.extend(["--system", file]);
        }
        self.backline(&arguments).success();
        let status = self.status();
        let base = |name: &str| base_url(&status["ports"][name]);
        (self.gateway, self.console, self.registry) =
            (base("gateway"), base("console"), base("registry"));
    }

    /// Base URL of the gateway, without a slash at its end.
    #[must_use]
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// Base URL of the console, without a slash at its end.
    #[must_use]
    pub fn console(&self) -> &str {
        &self.console
    }

    /// Base URL of the registry, without a slash at its end.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The folder of all its state.
    #[must_use]
    pub fn var(&self) -> &Path {
        self.var.path()
    }

    /// Runs `backline ARGUMENTS --var <its folder>` to its end.
    ///
    /// # Panics
    /// When it has not ended within 60 s.
    #[track_caller]
    pub fn backline(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(bin("backline"));
        command.args(arguments).arg("--var").arg(self.var.path()).current_dir(workspace());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BACKLINE_") {
                command.env_remove(name);
            }
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        run(&mut command, LIMIT)
    }

    /// What `backline status --json` says.
    ///
    /// # Panics
    /// When that fails or is no JSON.
    #[must_use]
    #[track_caller]
    pub fn status(&self) -> Value {
        let finished = self.backline(&["status", "--json"]);
        match serde_json::from_str(&finished.stdout) {
            Ok(status) => status,
            Err(error) => panic!("`backline status --json` is no JSON ({error}): {finished}"),
        }
    }

    /// The running processes of a service or daemon, as its supervisor knows them.
    ///
    /// # Panics
    /// As [`Estate::status`].
    #[must_use]
    #[track_caller]
    pub fn instances(&self, service: &str) -> Vec<Instance> {
        instances(&self.status(), service)
    }

    /// The supervisor's process id, if it runs.
    ///
    /// # Panics
    /// As [`Estate::status`].
    #[must_use]
    #[track_caller]
    pub fn supervisor(&self) -> Option<u32> {
        as_pid(&self.status()["supervisor_pid"])
    }

    /// Kills a process of this estate without warning (SIGKILL) and waits until it is gone.
    ///
    /// # Panics
    /// When no such process belongs to this estate, or it is not gone within 60 s.
    #[track_caller]
    pub fn kill9(&self, pid: u32) {
        assert!(self.processes().contains(&pid), "process {pid} is none of this estate");
        process::signal(pid, Signal::KILL);
        wait_for(&format!("process {pid} to be gone"), LIMIT, || {
            (!process::is_alive(pid)).then_some(())
        });
    }

    /// Stops a process where it is (SIGSTOP), until [`Estate::thaw`]: it takes connections and answers
    /// nothing, which is how a service is down at its worst.
    ///
    /// # Panics
    /// When no such process belongs to this estate.
    #[track_caller]
    pub fn freeze(&self, pid: u32) {
        assert!(self.processes().contains(&pid), "process {pid} is none of this estate");
        process::signal(pid, Signal::STOP);
    }

    /// Lets a frozen process go on (SIGCONT).
    ///
    /// # Panics
    /// When no such process belongs to this estate.
    #[track_caller]
    pub fn thaw(&self, pid: u32) {
        assert!(self.processes().contains(&pid), "process {pid} is none of this estate");
        process::signal(pid, Signal::CONT);
    }

    /// All living processes that were started with this estate's folder, known to the supervisor
    /// or not.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        process::of_folder(self.var.path())
    }

    /// Brings it down; its state stays.
    ///
    /// # Panics
    /// When `backline down` fails or leaves a process behind.
    #[track_caller]
    pub fn down(&self) {
        self.backline(&["down"]).success();
        // The supervisor itself may end a moment after its last word.
        let gone = within(GONE, &mut || self.processes().is_empty().then_some(()));
        assert!(gone.is_some(), "`backline down` left processes behind: {:?}", self.processes());
    }
}

impl Drop for Estate {
    #[expect(clippy::print_stderr, reason = "the supervisor's log tells why the test failed")]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- estate in {}: its logs are there", self.var.path().display());
        } else if !self.processes().is_empty() {
            let _ = self.backline(&["down"]);
        }
        // The supervisor starts what dies, so it may take more than one round.
        within(LIMIT, &mut || {
            let left = self.processes();
            left.iter().for_each(|&pid| {
                process::signal(pid, Signal::KILL);
            });
            left.is_empty().then_some(())
        });
    }
}

/// `ip:port`, or a port of loopback, as a base URL.
#[track_caller]
fn base_url(port: &Value) -> String {
    match (port.as_str(), port.as_u64()) {
        (Some(address), _) => format!("http://{address}"),
        (_, Some(number)) => format!("http://127.0.0.1:{number}"),
        _ => panic!("the status names no port: {port}"),
    }
}

fn instances(status: &Value, service: &str) -> Vec<Instance> {
    let services = status["services"].as_array().into_iter().flatten();
    services
        .filter(|entry| entry["name"] == service)
        .flat_map(|entry| entry["instances"].as_array().into_iter().flatten())
        .filter_map(|entry| {
            Some(Instance {
                id: entry["id"].as_str()?.to_owned(),
                pid: as_pid(&entry["pid"])?,
                address: entry["address"].as_str()?.to_owned(),
            })
        })
        .collect()
}

fn as_pid(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_may_be_numbers_or_addresses() {
        assert_eq!(base_url(&json!(8080)), "http://127.0.0.1:8080");
        assert_eq!(base_url(&json!("127.0.0.1:81")), "http://127.0.0.1:81");
    }

    #[test]
    fn only_running_instances_of_the_service_are_listed() {
        let status = json!({ "services": [
            { "name": "email", "instances": [{ "id": "email-1", "pid": 3, "address": "127.0.0.1:3" }] },
            { "name": "loyalty", "instances": [
                { "id": "loyalty-1", "pid": 7, "address": "127.0.0.1:1" },
                { "id": "loyalty-2", "pid": null, "address": null },
            ] },
        ] });
        let only = Instance { id: "loyalty-1".into(), pid: 7, address: "127.0.0.1:1".into() };
        assert_eq!(instances(&status, "loyalty"), [only]);
        assert!(instances(&status, "unknown").is_empty());
    }
}
