//! What changes the state, and by which index.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    MAX_INSTANCES, Refused,
    agenda::{Due, Job},
    log_reaped,
    state::{Check, Instance, State},
};
use crate::{
    check::{Kind, Outcome, Spec, Status, bounded},
    registration::{Definition, Registration},
};

/// Why a service's own report was not taken.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum HeartbeatError {
    /// There is no such check: the service should register again.
    #[error("Unknown check ID \"{0}\". Ensure that the check ID is passed, not the check name.")]
    Unknown(String),
    /// The check is run here.
    #[error("CheckID \"{0}\" does not have associated TTL")]
    NoTtl(String),
}

impl State {
    pub fn register(&mut self, registration: Registration, replace: bool) -> Result<bool, Refused> {
        let Registration { service, checks } = registration;
        let old = self.instances.get(&service.id);
        if old.is_none() && self.instances.len() >= MAX_INSTANCES {
            return Err(Refused::Full);
        }
        let taken = checks.iter().find_map(|spec| {
            self.checks.get(&spec.id).filter(|check| check.instance != service.id)
        });
        if let Some(taken) = taken {
            let (check, owner) = (taken.spec.id.clone(), taken.instance.clone());
            return Err(Refused::CheckTaken { check, owner });
        }
        let same = old.is_some_and(|old| old.definition == service);
        let (id, name) = (service.id.clone(), service.name.clone());
        let superfluous = self.superfluous(&id, &checks, replace);
        let checks: Vec<Spec> =
            checks.into_iter().filter(|spec| !self.runs_already(&id, spec)).collect();
        if same && checks.is_empty() && superfluous.is_empty() {
            return Ok(false);
        }
        let at = self.next_index();
        if !same {
            self.place(service, at);
        }
        for check in superfluous {
            self.remove_check(&check);
        }
        for spec in checks {
            self.add_check(&id, spec, at);
        }
        if same {
            self.checks_changed(&name, at);
        } else {
            self.instance_changed(&name, at);
        }
        Ok(true)
    }

    /// The checks of an instance that a registration leaves out.
    fn superfluous(&self, id: &str, wanted: &[Spec], replace: bool) -> Vec<String> {
        let Some(instance) = self.instances.get(id).filter(|_| replace) else { return Vec::new() };
        let goes = |check: &&String| {
            let maintenance =
                self.checks.get(*check).is_some_and(|check| check.spec.kind == Kind::Maintenance);
            !maintenance && !wanted.iter().any(|spec| spec.id == **check)
        };
        instance.checks.iter().filter(goes).cloned().collect()
    }

    /// Whether the instance has this very check: it goes on, with its state.
    fn runs_already(&self, id: &str, spec: &Spec) -> bool {
        self.checks.get(&spec.id).is_some_and(|old| old.instance == id && old.spec == *spec)
    }

    /// Puts an instance in, or in the place of the one with its ID.
    fn place(&mut self, service: Definition, at: u64) {
        let (id, name) = (service.id.clone(), service.name.clone());
        match self.instances.remove(&id) {
            None => {
                self.enlist(&service, at);
                let instance =
                    Instance { definition: service, checks: Vec::new(), created: at, modified: at };
                self.instances.insert(id, instance);
            }
            Some(mut instance) => {
                let old = std::mem::replace(&mut instance.definition, service);
                instance.modified = at;
                if old.name == name {
                    self.retag(&name, &old.tags, &instance.definition.tags, at);
                } else {
                    self.delist(&old, at);
                    self.enlist(&instance.definition, at);
                    self.instance_changed(&old.name, at);
                }
                self.instances.insert(id, instance);
            }
        }
    }

    pub fn deregister(&mut self, id: &str) -> bool {
        let Some(instance) = self.instances.remove(id) else { return false };
        let at = self.next_index();
        for check in &instance.checks {
            if let Some(check) = self.checks.remove(check) {
                self.agenda.cancel(check.timer);
                self.agenda.cancel(check.reaper);
            }
        }
        self.delist(&instance.definition, at);
        self.instance_changed(&instance.definition.name, at);
        true
    }

    pub fn heartbeat(
        &mut self,
        id: &str,
        status: Status,
        note: String,
    ) -> Result<(), HeartbeatError> {
        let check =
            self.checks.get_mut(id).ok_or_else(|| HeartbeatError::Unknown(id.to_owned()))?;
        let Kind::Ttl(ttl) = check.spec.kind else {
            return Err(HeartbeatError::NoTtl(id.to_owned()));
        };
        self.agenda.cancel(check.timer.take());
        check.timer = Some(self.agenda.add(Instant::now() + ttl, Due::Expire(id.to_owned())));
        self.touched.agenda = true;
        self.found(id, status, bounded(note));
        Ok(())
    }

    pub fn report(&mut self, job: &Job, outcome: Outcome) {
        let Some(check) = self.checks.get_mut(&job.check) else { return };
        if check.ticket != job.ticket {
            return;
        }
        check.slow = outcome.timed_out;
        let next = Instant::now() + job.probe.interval;
        check.timer = Some(self.agenda.add(next, Due::Run(job.check.clone())));
        self.touched.agenda = true;
        self.found(&job.check, outcome.status, outcome.output);
    }

    pub fn maintain(&mut self, id: &str, reason: Option<String>) -> bool {
        let Some(instance) = self.instances.get(id) else { return false };
        let name = instance.definition.name.clone();
        let check = format!("_service_maintenance:{id}");
        match reason {
            Some(notes) => {
                let spec = Spec {
                    id: check,
                    name: "Service Maintenance Mode".into(),
                    notes: bounded(notes),
                    kind: Kind::Maintenance,
                    initial: Status::Critical,
                    deregister_after: None,
                };
                if !self.runs_already(id, &spec) {
                    let at = self.next_index();
                    self.add_check(id, spec, at);
                    self.checks_changed(&name, at);
                }
            }
            None if self.checks.contains_key(&check) => {
                let at = self.next_index();
                self.remove_check(&check);
                self.checks_changed(&name, at);
            }
            None => {}
        }
        true
    }

    pub fn take_due(&mut self, now: Instant, mut run: impl FnMut(Job)) -> Option<Instant> {
        while let Some(due) = self.agenda.pop(now) {
            match due {
                Due::Run(id) => {
                    let Some(check) = self.checks.get_mut(&id) else { continue };
                    check.timer = None;
                    if let Kind::Http(probe) = &check.spec.kind {
                        let probe = probe.clone();
                        run(Job { check: id, ticket: check.ticket, probe, slow: check.slow });
                    }
                }
                Due::Expire(id) => {
                    let Some(check) = self.checks.get_mut(&id) else { continue };
                    check.timer = None;
                    let before = match check.output.as_str() {
                        "" => String::new(),
                        output => format!(" (last output before timeout follows): {output}"),
                    };
                    self.found(&id, Status::Critical, bounded(format!("TTL expired{before}")));
                }
                Due::Reap(id) => {
                    let Some(check) = self.checks.get(&id) else { continue };
                    let instance = check.instance.clone();
                    let since = check.critical_since.unwrap_or(now);
                    log_reaped(&instance, now.saturating_duration_since(since));
                    self.deregister(&instance);
                }
            }
        }
        self.agenda.next()
    }

    /// Takes a check's state. The same state again has no index of its own, whatever it says:
    /// an output with a time in it would wake every watcher at every check.
    fn found(&mut self, id: &str, status: Status, output: String) {
        let Some(check) = self.checks.get_mut(id) else { return };
        let (was, said) = (check.status, check.output == output);
        check.status = status;
        check.output = output;
        let instance = check.instance.clone();
        let Some(name) = self.instances.get(&instance).map(|i| i.definition.name.clone()) else {
            return;
        };
        if was != status {
            let at = self.next_index();
            if let Some(check) = self.checks.get_mut(id) {
                check.modified = at;
            }
            tracing::info!(instance, check = id, %was, now = %status, "the state of a check changed");
            self.mark_critical(id, status == Status::Critical);
            self.checks_changed(&name, at);
        } else if !said && let Some(service) = self.services.get_mut(&name) {
            service.made = std::sync::Arc::default();
        }
    }

    fn add_check(&mut self, instance: &str, spec: Spec, at: u64) {
        let id = spec.id.clone();
        self.remove_check(&id);
        let Some(owner) = self.instances.get_mut(instance) else { return };
        owner.checks.push(id.clone());
        self.last_ticket += 1;
        let timer = match &spec.kind {
            Kind::Http(_) => Some((Duration::ZERO, Due::Run(id.clone()))),
            Kind::Ttl(ttl) => Some((*ttl, Due::Expire(id.clone()))),
            Kind::Maintenance => None,
        };
        let timer = timer.map(|(after, due)| self.agenda.add(Instant::now() + after, due));
        self.touched.agenda = true;
        let critical = spec.initial == Status::Critical;
        let check = Check {
            instance: instance.to_owned(),
            status: spec.initial,
            output: String::new(),
            created: at,
            modified: at,
            ticket: self.last_ticket,
            slow: false,
            timer,
            reaper: None,
            critical_since: None,
            spec,
        };
        self.checks.insert(id.clone(), check);
        self.mark_critical(&id, critical);
    }

    fn remove_check(&mut self, id: &str) {
        let Some(check) = self.checks.remove(id) else { return };
        self.agenda.cancel(check.timer);
        self.agenda.cancel(check.reaper);
        if let Some(instance) = self.instances.get_mut(&check.instance) {
            instance.checks.retain(|other| other != id);
        }
    }

    /// Starts or stops the time after which a critical instance goes.
    fn mark_critical(&mut self, id: &str, critical: bool) {
        let Some(check) = self.checks.get_mut(id) else { return };
        self.agenda.cancel(check.reaper.take());
        check.critical_since = critical.then(Instant::now);
        if let (Some(since), Some(after)) = (check.critical_since, check.spec.deregister_after) {
            check.reaper = Some(self.agenda.add(since + after, Due::Reap(id.to_owned())));
            self.touched.agenda = true;
        }
    }
}
