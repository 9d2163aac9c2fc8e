//! Outlier ejection: a host that fails where its peers do not gets no calls for a while.

mod config;
mod hosts;
#[cfg(test)]
mod tests;

use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

pub use config::OutlierConfig;
use hosts::Hosts;

use crate::{InvalidLimit, Outcome};

/// The hosts of one dependency, and which of them are ejected.
///
/// A host is ejected after so many failures in a row, or at the end of an interval in which its
/// success rate lay far below its peers'. It comes back by itself, with nothing held against it but
/// how often it was ejected: the next ejection is longer. The semantics are Envoy's
/// ("Outlier detection" in its architecture overview), except that
///
/// - a host comes back on time and not at the interval's end,
/// - the last host is never ejected, and no host beyond the ratio except a first one,
/// - of several bad success rates the worst is ejected first.
///
/// Nothing runs in the background: what is due is done with the next call. `K` is whatever tells
/// hosts apart, such as an address. Clones are the same set.
///
/// ```
/// use backline_resilience::{Outcome, OutlierConfig, Outliers};
///
/// let outliers = Outliers::new(OutlierConfig::default())?;
/// outliers.members(&["10.0.0.1:80", "10.0.0.2:80"]);
/// for _call in 0..5 {
///     outliers.record(&"10.0.0.2:80", Outcome::Failure);
/// }
/// assert_eq!(outliers.admitted(&["10.0.0.1:80", "10.0.0.2:80"]), [&"10.0.0.1:80"]);
/// # Ok::<(), backline_resilience::InvalidLimit>(())
/// ```
#[derive(Debug)]
pub struct Outliers<K> {
    shared: Arc<Shared<K>>,
}

// Derived, it would ask the keys to be cloneable.
impl<K> Clone for Outliers<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

#[derive(Debug)]
struct Shared<K> {
    hosts: Mutex<Hosts<K>>,
    /// How many are ejected: while it is none, nobody needs the lock to ask.
    ejected: AtomicUsize,
}

/// An ejected host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ejected<K> {
    /// The host.
    pub key: K,
    /// When it comes back.
    pub ejected_until: Instant,
    /// How often it was ejected since it became a member.
    pub times: u32,
}

impl<K: Eq + Hash + Clone> Outliers<K> {
    /// A set without members.
    ///
    /// # Errors
    /// When a setting lies outside its limits ([`OutlierConfig::check`]).
    pub fn new(config: OutlierConfig) -> Result<Self, InvalidLimit> {
        config.check()?;
        let hosts = Mutex::new(Hosts::new(config, Instant::now()));
        Ok(Self { shared: Arc::new(Shared { hosts, ejected: AtomicUsize::new(0) }) })
    }

    /// The members from now on. Others are forgotten; those known already stay as they are.
    ///
    /// When fewer members bear fewer ejections, those who would be back soonest are back at once.
    pub fn members(&self, members: &[K]) {
        self.locked(|hosts, now| hosts.members(members, now));
    }

    /// What a call to a host came to. Calls to hosts that are no members, or ejected at the
    /// moment, do not count: they began earlier.
    pub fn record(&self, host: &K, outcome: Outcome) {
        if outcome != Outcome::Ignored {
            self.locked(|hosts, now| hosts.record(host, outcome == Outcome::Success, now));
        }
    }

    /// Whether the host should get no calls now.
    pub fn is_ejected(&self, host: &K) -> bool {
        self.some_ejected() && self.locked(|hosts, now| hosts.is_ejected(host, now))
    }

    /// Those hosts that are not ejected, in their order.
    ///
    /// Never empty when all members are asked about; it can be when only some are.
    pub fn admitted<'a>(&self, hosts: &'a [K]) -> Vec<&'a K> {
        if !self.some_ejected() {
            return hosts.iter().collect();
        }
        self.locked(|known, now| hosts.iter().filter(|host| !known.is_ejected(host, now)).collect())
    }

    /// The hosts that are ejected now, those back soonest first.
    pub fn snapshot(&self) -> Vec<Ejected<K>> {
        self.locked(|hosts, now| hosts.ejected(now))
    }

    fn some_ejected(&self) -> bool {
        self.shared.ejected.load(Relaxed) > 0
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Hosts<K>, Instant) -> T) -> T {
        let now = Instant::now();
        let mut hosts: MutexGuard<'_, _> =
            self.shared.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = act(&mut hosts, now);
        self.shared.ejected.store(hosts.ejected_count(), Relaxed);
        answer
    }
}
