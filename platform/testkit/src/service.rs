use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::{TempDir, bin, http, process, wait::within};

/// Within this time a service must be ready, or have ended after it was asked to.
const LIMIT: Duration = Duration::from_secs(20);

/// A service about to be started; see [`Service::start`].
#[derive(Debug)]
pub struct Launch {
    name: String,
    binary: PathBuf,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
}

impl Launch {
    /// Sets a variable of its environment; wins over the defaults.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.variables.insert(name.to_owned(), value.as_ref().to_owned());
        self
    }

    /// The only services it can find: names with their `ip:port`. Default: none.
    #[must_use]
    pub fn static_discovery<A: AsRef<str>>(self, known: &[(&str, A)]) -> Self {
        let known: Vec<_> =
            known.iter().map(|(name, address)| format!("{name}={}", address.as_ref())).collect();
        self.env("BACKLINE_DISCOVERY", format!("static:{}", known.join(",")))
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// When it ends early or is not ready within 20 s; what it logged is printed.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Service {
        let mut service = Service { launch: self, dir: TempDir::new(), running: None };
        service.spawn();
        service
    }
}

/// A real service: its binary, in a process of its own, on a free port, with a store of its own.
/// It goes with this value, by SIGKILL.
///
/// ```no_run
/// use backline_testkit::{Service, http};
/// let customers = Service::start("customers").start();
/// let loyalty =
///     Service::start("loyalty").static_discovery(&[("customers", customers.address())]).start();
/// http::get(&loyalty.url("/loyalty/accounts")).expect(200);
/// ```
#[derive(Debug)]
pub struct Service {
    launch: Launch,
    dir: TempDir,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    address: String,
}

impl Service {
    /// Prepares the workspace's binary of that name; [`Launch::start`] starts it.
    ///
    /// # Panics
    /// When the binary was not built.
    #[must_use]
    #[track_caller]
    pub fn start(name: &str) -> Launch {
        Launch {
            name: name.to_owned(),
            binary: bin(name),
            arguments: Vec::new(),
            variables: BTreeMap::new(),
        }
    }

    /// Prepares one of Backline's own daemons, such as `registry`: a subcommand of `backline`.
    ///
    /// # Panics
    /// When `backline` was not built.
    #[must_use]
    #[track_caller]
    pub fn daemon(name: &str) -> Launch {
        Launch {
            name: name.to_owned(),
            binary: bin("backline"),
            arguments: vec![name.to_owned()],
            variables: BTreeMap::new(),
        }
    }

    /// Where it listens: `ip:port`. Another one after each restart.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    #[track_caller]
    pub fn address(&self) -> &str {
        &self.running.as_ref().expect("the service runs").address
    }

    /// The URL of a path that begins with a slash.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    #[track_caller]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// The events of its feed, oldest first: at most 500.
    ///
    /// # Panics
    /// When it is not running or serves no feed.
    #[must_use]
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let batch = [("Accept", "application/cloudevents-batch+json")];
        let page = http::request("GET", &self.url("/events?limit=500"), &batch, None);
        let page = page.expect("the feed answers").expect(200).json();
        page.as_array().expect("a batch is a list").clone()
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("the service runs").child.id()
    }

    /// The file of its store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.dir.join("store.db")
    }

    /// What all its processes logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.join("log")).unwrap_or_default()).into_owned()
    }

    /// Kills it without warning (SIGKILL) and waits until it is gone.
    pub fn kill9(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }

    /// Starts it again on the same store, on a new port; kills it before if it still runs.
    ///
    /// # Panics
    /// As [`Launch::start`].
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill9();
        self.spawn();
    }

    /// Asks it to drain and end (SIGTERM), and reports how it ended.
    ///
    /// # Panics
    /// When it does not run, or has not ended within 20 s.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        let mut running = self.running.take().expect("the service runs");
        process::signal(running.child.id(), Signal::TERM);
        let ended = within(LIMIT, &mut || running.child.try_wait().expect("the child is ours"));
        ended.unwrap_or_else(|| {
            let _ = running.child.kill();
            let _ = running.child.wait();
            panic!("{} did not end within {LIMIT:?}\n{}", self.launch.name, self.log())
        })
    }

    #[track_caller]
    fn spawn(&mut self) {
        let address_file = self.dir.join("address");
        let _ = fs::remove_file(&address_file);
        let mut child = self.command().spawn().unwrap_or_else(|error| {
            panic!("{} cannot be started: {error}", self.launch.binary.display())
        });
        let mut ended = None;
        let address = within(LIMIT, &mut || {
            ended = child.try_wait().expect("the child is ours");
            let address = fs::read_to_string(&address_file).ok();
            ended.map(|_| None).or_else(|| address.map(Some))
        });
        let Some(address) = address.flatten() else {
            let _ = child.kill();
            let _ = child.wait();
            let name = &self.launch.name;
            let why = ended.map_or(format!("was not ready within {LIMIT:?}"), |status| {
                format!("ended before it was ready: {status}")
            });
            panic!("{name} {why}\n{}", self.log());
        };
        self.running = Some(Running { child, address: address.trim().to_owned() });
    }

    fn command(&self) -> Command {
        let Launch { name, binary, arguments, variables } = &self.launch;
        let log = File::options().create(true).append(true).open(self.dir.join("log"));
        let log = log.expect("a file in a folder of our own");
        let mut command = Command::new(binary);
        // Settings of whoever runs the tests must not decide how they end.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BACKLINE_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .env("BACKLINE_SERVICE", name)
            .env("BACKLINE_INSTANCE", format!("{name}-1"))
            .env("BACKLINE_ZONE", "local")
            .env("BACKLINE_ENVIRONMENT", "test")
            .env("BACKLINE_LISTEN", "127.0.0.1:0")
            .env("BACKLINE_DISCOVERY", "static:")
            .env("BACKLINE_STORE", format!("sqlite:{}", self.store().display()))
            .env("BACKLINE_EVENTS", "feed")
            .env("BACKLINE_ADDRESS_FILE", self.dir.join("address"))
            .env("RUST_LOG", "info")
            .envs(variables)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("one more descriptor"))
            .stderr(log);
        command
    }
}

impl Drop for Service {
    #[expect(clippy::print_stderr, reason = "the log tells why the test failed")]
    fn drop(&mut self) {
        self.kill9();
        if thread::panicking() {
            eprintln!("--- log of {}\n{}", self.launch.name, self.log());
        }
    }
}

#[cfg(test)]
mod tests;
