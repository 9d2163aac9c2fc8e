//! The book of hosts. It is given the time, and never looks at a clock.

use std::collections::HashMap;
use std::hash::Hash;

use tokio::time::Instant;

use super::{Ejected, OutlierConfig};

#[derive(Debug)]
pub(super) struct Hosts<K> {
    config: OutlierConfig,
    known: HashMap<K, Host>,
    /// When success rates are compared next.
    compare_at: Instant,
    /// When the next ejected host comes back.
    back_at: Option<Instant>,
    ejected: usize,
}

#[derive(Debug, Default)]
struct Host {
    /// Failures since the last success.
    failures: u32,
    /// Calls in this interval, and those that succeeded.
    calls: u64,
    successes: u64,
    ejected_until: Option<Instant>,
    /// When the last ejection ended.
    back_since: Option<Instant>,
    /// The last ejection's time, in base times.
    level: u32,
    times: u32,
}

impl<K: Eq + Hash + Clone> Hosts<K> {
    pub fn new(config: OutlierConfig, now: Instant) -> Self {
        let compare_at = now + config.interval;
        Self { config, known: HashMap::new(), compare_at, back_at: None, ejected: 0 }
    }

    pub fn members(&mut self, members: &[K], now: Instant) {
        self.catch_up(now);
        if self.are(members) {
            return;
        }
        let mut before = std::mem::take(&mut self.known);
        for key in members {
            // A key that is listed twice is entered by its first mention.
            if let Some(host) = before.remove(key) {
                self.known.insert(key.clone(), host);
            } else {
                self.known.entry(key.clone()).or_default();
            }
        }
        self.recount();
        while !self.config.bears(self.ejected, self.known.len()) {
            let ejected = self.known.values_mut().filter(|host| host.ejected_until.is_some());
            let Some(soonest) = ejected.min_by_key(|host| host.ejected_until) else { break };
            soonest.let_back(now);
            self.recount();
        }
    }

    /// Whether just these are known: by far the usual case, as callers tell them with each call.
    fn are(&self, members: &[K]) -> bool {
        members.iter().all(|key| self.known.contains_key(key))
            && self.known.keys().all(|key| members.contains(key))
    }

    pub fn record(&mut self, key: &K, success: bool, now: Instant) {
        self.catch_up(now);
        let Some(host) = self.known.get_mut(key) else { return };
        if host.ejected_until.is_some() {
            return;
        }
        host.calls += 1;
        host.successes += u64::from(success);
        host.failures = if success { 0 } else { host.failures.saturating_add(1) };
        if host.failures >= self.config.consecutive_failures {
            self.eject(key, now);
        }
    }

    pub fn is_ejected(&mut self, key: &K, now: Instant) -> bool {
        self.catch_up(now);
        self.known.get(key).is_some_and(|host| host.ejected_until.is_some())
    }

    pub fn ejected(&mut self, now: Instant) -> Vec<Ejected<K>> {
        self.catch_up(now);
        let mut ejected: Vec<_> = self
            .known
            .iter()
            .filter_map(|(key, host)| {
                let (ejected_until, times) = (host.ejected_until?, host.times);
                Some(Ejected { key: key.clone(), ejected_until, times })
            })
            .collect();
        ejected.sort_by_key(|host| host.ejected_until);
        ejected
    }

    pub fn ejected_count(&self) -> usize {
        self.ejected
    }

    /// Does what has become due since the last call.
    fn catch_up(&mut self, now: Instant) {
        if self.back_at.is_some_and(|at| at <= now) {
            for host in self.known.values_mut() {
                if let Some(until) = host.ejected_until.filter(|until| *until <= now) {
                    host.let_back(until);
                }
            }
            self.recount();
        }
        if self.compare_at <= now {
            self.compare(now);
            self.compare_at = now + self.config.interval;
        }
    }

    /// Ejects those whose success rate is far below the mean, and begins a new interval.
    fn compare(&mut self, now: Instant) {
        let asked = self.config.success_rate_requests;
        let mut rates: Vec<(f64, K)> = self
            .known
            .iter()
            .filter(|(_, host)| host.ejected_until.is_none() && host.calls >= asked)
            .map(|(key, host)| (host.successes as f64 / host.calls as f64, key.clone()))
            .collect();
        for host in self.known.values_mut() {
            (host.calls, host.successes) = (0, 0);
        }
        if rates.is_empty() || rates.len() < self.config.success_rate_hosts {
            return;
        }
        let count = rates.len() as f64;
        let mean = rates.iter().map(|(rate, _)| rate).sum::<f64>() / count;
        let variance = rates.iter().map(|(rate, _)| (rate - mean).powi(2)).sum::<f64>() / count;
        let least = mean - self.config.success_rate_stdev * variance.sqrt();
        rates.retain(|(rate, _)| *rate < least);
        rates.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        for (_, key) in rates {
            self.eject(&key, now);
        }
    }

    /// Ejects a host if there is room for one more.
    fn eject(&mut self, key: &K, now: Instant) {
        if !self.config.bears(self.ejected + 1, self.known.len()) {
            return;
        }
        if let Some(host) = self.known.get_mut(key) {
            host.eject(&self.config, now);
            self.recount();
        }
    }

    fn recount(&mut self) {
        let ejected = self.known.values().filter_map(|host| host.ejected_until);
        self.back_at = ejected.clone().min();
        self.ejected = ejected.count();
    }
}

impl Host {
    fn eject(&mut self, config: &OutlierConfig, now: Instant) {
        let good = self.back_since.map_or(0, |back| {
            let intervals = now.duration_since(back).as_nanos() / config.interval.as_nanos();
            u32::try_from(intervals).unwrap_or(u32::MAX)
        });
        self.level = self.level.saturating_sub(good);
        // It does not rise beyond what reaches the longest time, else it would take as long to fall.
        if config.base_ejection.saturating_mul(self.level) < config.max_ejection {
            self.level += 1;
        }
        let time = config.base_ejection.saturating_mul(self.level).min(config.max_ejection);
        self.ejected_until = Some(now + time);
        self.times = self.times.saturating_add(1);
    }

    /// Nothing that was counted before the ejection, or during it, is held against the host.
    fn let_back(&mut self, since: Instant) {
        self.ejected_until = None;
        self.back_since = Some(since);
        (self.failures, self.calls, self.successes) = (0, 0, 0);
    }
}
