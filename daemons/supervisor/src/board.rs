//! What is known of all processes at this moment, kept in step with `state.json`.

use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use crate::{
    journal::Journal,
    place::Var,
    process::Identity,
    state::{Instance, Phase, State},
};

#[derive(Debug)]
pub struct Board {
    state: Mutex<State>,
    var: Var,
    pub journal: Journal,
}

impl Board {
    pub fn new(state: State, var: Var, journal: Journal) -> Self {
        Self { state: Mutex::new(state), var, journal }
    }

    pub fn state(&self) -> State {
        self.locked().clone()
    }

    pub fn phase(&self) -> Phase {
        self.locked().phase
    }

    /// A process lives.
    pub fn started(&self, id: &str, pid: i32) {
        self.change(id, |instance| {
            if instance.started.is_some() {
                instance.restarts += 1;
            }
            instance.process = Identity::of(pid);
            instance.started = Some(Timestamp::now().to_string());
        });
    }

    /// It listens and is healthy.
    pub fn ready(&self, id: &str, address: SocketAddr) {
        self.change(id, |instance| {
            instance.address = Some(address);
            instance.ready = true;
        });
    }

    /// It lives no more.
    pub fn ended(&self, id: &str) {
        self.change(id, |instance| {
            instance.process = None;
            instance.address = None;
            instance.ready = false;
        });
    }

    /// Changes what is not about one instance.
    pub fn update(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.locked();
        change(&mut state);
        self.save(&state);
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Instance)) {
        self.update(|state| {
            let mut all = state.services.iter_mut().flat_map(|service| &mut service.instances);
            if let Some(instance) = all.find(|instance| instance.id == id) {
                change(instance);
            }
        });
    }

    fn save(&self, state: &State) {
        // The processes matter more than the file that tells of them.
        if let Err(failure) = state.write(&self.var) {
            self.journal.note(failure);
        }
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
