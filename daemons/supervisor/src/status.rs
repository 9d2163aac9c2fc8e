//! `backline status`: what `state.json` says, and what the processes say now.

use std::thread;

use serde::Serialize;

use crate::{
    failure::Failure,
    place::Place,
    plan::Kind,
    probe,
    process::memory_pss,
    state::{Instance, Phase, State},
    table,
    terminal::say,
};

/// What to show.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// As JSON, in the stable shape that the supervisor's README documents
    #[arg(long)]
    json: bool,
}

/// The estate at one moment: the shape of `status --json`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    /// Its name; null where nothing runs.
    pub system: Option<String>,
    /// Whether a supervisor lives.
    pub running: bool,
    /// `starting`, `up`, `stopping`; null where nothing runs.
    pub phase: Option<Phase>,
    /// The supervisor's pid.
    pub supervisor_pid: Option<i32>,
    /// When it was started: RFC 3339, UTC.
    pub since: Option<String>,
    /// The fixed ports, or those taken in their place.
    pub ports: Option<Ports>,
    /// Daemons first, then services in the order of `system.toml`.
    pub services: Vec<Service>,
    /// The share in the machine's memory of all processes, the supervisor among them.
    pub memory_pss_bytes: u64,
}

/// The ports that people know.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ports {
    /// Where the public services are.
    pub gateway: u16,
    /// Where people look.
    pub console: u16,
    /// Where services find each other.
    pub registry: u16,
}

/// A service or daemon.
#[derive(Clone, Debug, Serialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// `daemon` or `service`.
    pub kind: Kind,
    /// Its processes.
    pub instances: Vec<Process>,
}

/// One process.
#[derive(Clone, Debug, Serialize)]
pub struct Process {
    /// `loyalty-1`
    pub id: String,
    /// Null while it waits to be started again.
    pub pid: Option<i32>,
    /// `ip:port`; null until it listens.
    pub address: Option<String>,
    /// What it says of itself, `pass`, `warn` or `fail`; otherwise `starting`, `down` (it waits to
    /// be started again) or `unreachable` (it was healthy and does not answer).
    pub health: String,
    /// What it says it is.
    pub version: Option<String>,
    /// How often it was started again.
    pub restarts: u32,
    /// Its share in the machine's memory.
    pub memory_pss_bytes: Option<u64>,
    /// How long this process has run.
    pub uptime_ms: Option<u64>,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let state = State::running(&args.place.var()?)?;
    let snapshot = state.as_ref().map(Snapshot::take).unwrap_or_default();
    if args.json {
        let text = serde_json::to_string_pretty(&snapshot)
            .map_err(|error| Failure::os("write JSON")(error.into()))?;
        say(text);
    } else {
        say(table::status(&snapshot));
    }
    Ok(())
}

impl Snapshot {
    /// Asks all processes at the same time.
    pub(crate) fn take(state: &State) -> Self {
        let agent = &probe::agent();
        let services: Vec<_> = thread::scope(|scope| {
            let asked: Vec<_> = state
                .services
                .iter()
                .map(|service| {
                    let ask = |instance| scope.spawn(move || Process::look(agent, instance));
                    (service, service.instances.iter().map(ask).collect::<Vec<_>>())
                })
                .collect();
            asked
                .into_iter()
                .map(|(service, instances)| Service {
                    name: service.name.clone(),
                    kind: service.kind,
                    instances: instances
                        .into_iter()
                        .filter_map(|asked| asked.join().ok())
                        .collect(),
                })
                .collect()
        });
        let children = services.iter().flat_map(|service| &service.instances);
        let children: u64 = children.filter_map(|process| process.memory_pss_bytes).sum();
        Self {
            system: Some(state.system.clone()),
            running: true,
            phase: Some(state.phase),
            supervisor_pid: Some(state.supervisor.pid),
            since: Some(state.since.clone()),
            ports: Some(Ports {
                gateway: state.addresses.gateway.port(),
                console: state.addresses.console.port(),
                registry: state.addresses.registry.port(),
            }),
            services,
            memory_pss_bytes: children + memory_pss(state.supervisor.pid).unwrap_or(0),
        }
    }
}

impl Process {
    fn look(agent: &ureq::Agent, instance: &Instance) -> Self {
        let said = instance.address.and_then(|address| probe::health(agent, address, &instance.id));
        let unsaid = match (instance.process, instance.ready) {
            (None, _) => "down",
            (Some(_), false) => "starting",
            (Some(_), true) => "unreachable",
        };
        let (health, version) =
            said.map_or((unsaid.to_owned(), None), |said| (said.status, said.version));
        Self {
            id: instance.id.clone(),
            pid: instance.process.map(|process| process.pid),
            address: instance.address.map(|address| address.to_string()),
            health,
            version,
            restarts: instance.restarts,
            memory_pss_bytes: instance.process.and_then(|process| memory_pss(process.pid)),
            uptime_ms: instance.process.and_then(|_| instance.uptime_ms()),
        }
    }
}
