//! `var/run/state.json`: what runs, for the other commands and for the next supervisor.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write as _},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    place::{Var, remove},
    plan::Kind,
    process::{Identity, boot_id},
};

/// What runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    pub system: String,
    pub hint: Option<String>,
    /// Of which run of the machine the identities are.
    pub boot: String,
    pub supervisor: Identity,
    /// RFC 3339.
    pub since: String,
    pub phase: Phase,
    /// How long the start took, once it is over.
    pub start_ms: Option<u64>,
    pub addresses: Addresses,
    pub services: Vec<Service>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Starting,
    Up,
    Stopping,
}

/// Where people go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    pub gateway: SocketAddr,
    pub console: SocketAddr,
    pub registry: SocketAddr,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Service {
    pub name: String,
    pub kind: Kind,
    pub public: bool,
    pub instances: Vec<Instance>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Instance {
    pub id: String,
    /// None while it waits to be started again.
    pub process: Option<Identity>,
    /// Known once it listens.
    pub address: Option<SocketAddr>,
    /// Whether it was healthy since it started.
    pub ready: bool,
    pub restarts: u32,
    /// RFC 3339.
    pub started: Option<String>,
}

impl Instance {
    /// How long it has run.
    pub fn uptime_ms(&self) -> Option<u64> {
        let started: Timestamp = self.started.as_ref()?.parse().ok()?;
        u64::try_from(Timestamp::now().duration_since(started).as_millis()).ok()
    }
}

impl State {
    /// What the last supervisor wrote, alive or not; none where there is nothing of this run of
    /// the machine.
    pub fn read(var: &Var) -> Result<Option<Self>, Failure> {
        let path = var.state();
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(Failure::file("read", &path))?,
        };
        // A file of another version is of no use; it is written anew at the next start.
        let state = serde_json::from_slice::<Self>(&text).ok();
        Ok(state.filter(|state| state.boot == boot_id()))
    }

    /// The same, if its supervisor lives.
    pub fn running(var: &Var) -> Result<Option<Self>, Failure> {
        Ok(Self::read(var)?.filter(|state| state.supervisor.lives()))
    }

    /// Replaces the file, whole: who reads it meanwhile sees the old or the new.
    pub fn write(&self, var: &Var) -> Result<(), Failure> {
        let (path, new) = (var.state(), var.state().with_extension("json.new"));
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Failure::file("write", &path)(std::io::Error::other(error)))?;
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| std::fs::rename(&new, &path))
            .map_err(Failure::file("write", path))
    }

    pub fn clear(var: &Var) -> Result<(), Failure> {
        remove(&var.state())
    }

    pub fn instances(&self) -> impl Iterator<Item = (&Service, &Instance)> {
        self.services
            .iter()
            .flat_map(|service| service.instances.iter().map(move |it| (service, it)))
    }

    pub fn instance(&self, id: &str) -> Option<&Instance> {
        self.instances().map(|(_, instance)| instance).find(|instance| instance.id == id)
    }

    /// A service or daemon by its name.
    pub fn service(&self, name: &str) -> Result<&Service, Failure> {
        self.services.iter().find(|service| service.name == name).ok_or_else(|| {
            let mut names: Vec<_> = self.services.iter().map(|it| it.name.as_str()).collect();
            names.sort_unstable();
            let known = format!("services and daemons are {}", names.join(", "));
            Failure::NoSuchInstance { asked: name.to_owned(), known }
        })
    }

    /// The instances that `asked` names: one by its id, or all of a service.
    pub fn named(&self, asked: &str) -> Result<Vec<&Instance>, Failure> {
        let found: Vec<_> = self
            .instances()
            .filter(|(service, instance)| service.name == asked || instance.id == asked)
            .map(|(_, instance)| instance)
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let names: Vec<_> = self.services.iter().map(|service| service.name.as_str()).collect();
        let known = match crate::system::nearest(asked, names.iter().copied()) {
            Some(meant) => format!("did you mean '{meant}'?"),
            None => {
                format!("give one of {}, or an instance such as {}-1", names.join(", "), names[0])
            }
        };
        Err(Failure::NoSuchInstance { asked: asked.to_owned(), known })
    }

    /// Ends what a supervisor that is gone left behind, and says how many processes that were. The
    /// parent-death signal leaves nothing; this is for a kernel or a debugger in its way.
    pub fn end_leftovers(&self) -> usize {
        let left: Vec<_> = self
            .instances()
            .filter_map(|(_, instance)| instance.process?.open())
            .inspect(crate::process::Handle::kill_group)
            .collect();
        left.iter()
            .filter(|process| process.ended_within(std::time::Duration::from_secs(2)))
            .count()
    }
}
