//! Which processes an estate is, and what each is told. Pure.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    place::Var,
    programs::Programs,
    state::{self, Addresses},
    system::{DAEMONS, System},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Daemon,
    Service,
}

/// A process to start, and to start again.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// `loyalty-1`
    pub id: String,
    pub service: String,
    pub kind: Kind,
    pub public: bool,
    pub program: PathBuf,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub folder: PathBuf,
    pub address_file: PathBuf,
    pub log: PathBuf,
}

impl Launch {
    /// Processes with a lower number are stopped before the next number's turn. Services finish
    /// their work while they still find each other; the registry sees everybody leave.
    pub fn stop_turn(&self) -> usize {
        match (self.kind, self.service.as_str()) {
            (Kind::Service, _) => 0,
            (_, "registry") => 2,
            _ => 1,
        }
    }
}

/// How many turns a stop has.
pub const STOP_TURNS: usize = 3;

/// What of the supervisor's own environment its children get: nothing that a test or a shell
/// happens to have set changes how an estate behaves.
pub fn inherited(vars: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    const KEPT: [&str; 8] =
        ["HOME", "LANG", "LC_ALL", "PATH", "RUST_BACKTRACE", "RUST_LOG", "TMPDIR", "TZ"];
    let mut kept: BTreeMap<_, _> = vars
        .into_iter()
        .filter(|(name, _)| KEPT.contains(&name.as_str()) || name.starts_with("SSL_"))
        .collect();
    kept.entry("RUST_LOG".into()).or_insert_with(|| "info".into());
    kept
}

/// Plans the processes of an estate: the daemons, then the services in the file's order.
pub struct Planner<'a> {
    pub system: &'a System,
    pub programs: &'a Programs,
    pub var: &'a Var,
    pub addresses: Addresses,
    pub inherited: BTreeMap<String, String>,
}

impl Planner<'_> {
    pub fn plan(&self) -> Vec<Launch> {
        let mut launches: Vec<_> = DAEMONS.iter().map(|name| self.daemon(name)).collect();
        for service in &self.system.services {
            for n in 1..=service.instances {
                let program = self.programs.path(&service.run, &self.system.folder);
                let id = format!("{}-{n}", service.name);
                let mut launch = self.launch(id, &service.name, Kind::Service, &program);
                launch.public = service.public;
                launch.env.insert("BACKLINE_PUBLIC".into(), service.public.to_string());
                launch.env.extend(service.env.clone());
                launches.push(launch);
            }
        }
        launches
    }

    /// The services that somebody outside may call.
    pub fn public_services(&self) -> Vec<String> {
        let public = self.system.services.iter().filter(|it| it.public && it.instances > 0);
        public.map(|service| service.name.clone()).collect()
    }

    /// The services with no instance yet, for the state.
    pub fn services(&self, launches: &[Launch]) -> Vec<state::Service> {
        let daemons = DAEMONS.iter().map(|name| (*name, Kind::Daemon, false));
        let services =
            self.system.services.iter().map(|it| (it.name.as_str(), Kind::Service, it.public));
        daemons
            .chain(services)
            .map(|(name, kind, public)| state::Service {
                name: name.to_owned(),
                kind,
                public,
                instances: launches
                    .iter()
                    .filter(|launch| launch.service == name)
                    .map(|launch| state::Instance { id: launch.id.clone(), ..Default::default() })
                    .collect(),
            })
            .collect()
    }

    fn daemon(&self, name: &str) -> Launch {
        let mut launch = self.launch(format!("{name}-1"), name, Kind::Daemon, self.programs.own());
        launch.args = vec![name.to_owned()];
        let mut set = |name: &str, value: String| launch.env.insert(name.to_owned(), value);
        // One asks for the token, the other sends it; nobody else knows where it is.
        if ["registry", "console"].contains(&name) {
            let file = self.var.operator_token();
            set("BACKLINE_OPERATOR_TOKEN_FILE", file.display().to_string());
        }
        match name {
            "registry" => drop(set("BACKLINE_LISTEN", self.addresses.registry.to_string())),
            "gateway" => {
                set("BACKLINE_LISTEN", self.addresses.gateway.to_string());
                launch.env.extend(self.system.gateway.clone());
            }
            "console" => {
                set("BACKLINE_LISTEN", self.addresses.console.to_string());
                set("CONSOLE_GATEWAY", format!("http://{}", self.addresses.gateway));
            }
            "monitor" => {
                if let Some(folder) = &self.system.processes {
                    set("MONITOR_PROCESSES", folder.display().to_string());
                }
            }
            _ => {}
        }
        launch
    }

    fn launch(&self, id: String, service: &str, kind: Kind, program: &Path) -> Launch {
        let address_file = self.var.address(&id);
        let mut env = self.inherited.clone();
        for (name, value) in [
            ("SERVICE", service.to_owned()),
            ("INSTANCE", id.clone()),
            ("ZONE", self.system.zone.clone()),
            ("ENVIRONMENT", self.system.environment.clone()),
            ("LISTEN", "127.0.0.1:0".to_owned()),
            ("DISCOVERY", format!("consul://{}", self.addresses.registry)),
            ("STORE", format!("sqlite:{}", self.var.store(service).display())),
            ("EVENTS", "feed".to_owned()),
            ("PUBLIC", "false".to_owned()),
            ("ADDRESS_FILE", address_file.display().to_string()),
        ] {
            env.insert(format!("BACKLINE_{name}"), value);
        }
        Launch {
            log: self.var.log(&id),
            id,
            service: service.to_owned(),
            kind,
            public: false,
            program: program.to_owned(),
            args: Vec::new(),
            env,
            folder: self.system.folder.clone(),
            address_file,
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
