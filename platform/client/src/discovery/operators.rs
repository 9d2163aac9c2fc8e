//! Carrying operators' wishes from the registry to the breakers.

use std::collections::BTreeMap;

use super::{Discovery, Key, Watched, WeakDiscovery};
use crate::wish::{BREAKERS, MAINTENANCE, Wishes};

impl Discovery {
    /// Starts the task that carries wishes to breakers, if it does not run yet.
    pub(crate) fn listen_to_operators(&self) {
        let inner = &self.0;
        inner.listening.call_once(|| {
            let own = format!("{BREAKERS}{}/", inner.caller.service);
            let (maintenance, breakers) = (self.watched_keys(MAINTENANCE), self.watched_keys(&own));
            // The task must not keep the watchers alive: without this discovery nobody is steered.
            tokio::spawn(carry(self.downgrade(), own, maintenance, breakers));
        });
    }
}

async fn carry(
    to: WeakDiscovery,
    own: String,
    maintenance: Watched<BTreeMap<String, Key>>,
    breakers: Watched<BTreeMap<String, Key>>,
) {
    // Before the first answers nothing is known, which is not the same as that nobody wishes.
    tokio::join!(maintenance.latest(), breakers.latest());
    let (mut maintenance, mut breakers) = (maintenance.receiver(), breakers.receiver());
    loop {
        let wishes = read(&own, &maintenance.borrow_and_update(), &breakers.borrow_and_update());
        let Some(discovery) = to.upgrade() else { return };
        discovery.obey(wishes);
        drop(discovery);
        let changed = tokio::select! {
            changed = maintenance.changed() => changed,
            changed = breakers.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

fn read(
    own: &str,
    maintenance: &BTreeMap<String, Key>,
    breakers: &BTreeMap<String, Key>,
) -> Wishes {
    let maintenance = maintenance.iter().filter_map(|(key, written)| {
        Some((key.strip_prefix(MAINTENANCE)?, written.value.as_ref()))
    });
    let breakers = breakers.iter().filter_map(|(key, written)| {
        Some((key.strip_prefix(own)?, written.value.as_ref(), written.modify_index))
    });
    Wishes::read(maintenance, breakers)
}
