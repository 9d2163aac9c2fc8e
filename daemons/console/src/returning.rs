//! A registry that was restarted lists nobody until everybody has registered again. Until then the
//! console goes on showing whom it knew.

use tokio::time::{Duration, Instant};

use crate::catalog::Service;

/// How long those that are not back are waited for.
#[derive(Debug, Default)]
pub(crate) struct Returning {
    kept: Vec<Service>,
    until: Option<Instant>,
}

impl Returning {
    /// The registry was away and answers again.
    pub fn begin(&mut self, known: &[Service], grace: Duration) {
        self.kept = known.to_vec();
        self.until = Some(Instant::now() + grace);
    }

    /// How long until those that are still awaited are given up.
    pub fn left(&self) -> Option<Duration> {
        Some(self.until?.saturating_duration_since(Instant::now()))
    }

    /// What is listed, and who is awaited.
    pub fn complete(&mut self, listed: Vec<Service>) -> Vec<Service> {
        if self.left().is_none_or(|left| left.is_zero()) {
            *self = Self::default();
            return listed;
        }
        let mut services = listed;
        let mut awaited = false;
        for known in &self.kept {
            let at = services.iter().position(|service| service.name == known.name);
            let at = at.unwrap_or_else(|| {
                services.push(Service { instances: Vec::new(), ..known.clone() });
                services.len() - 1
            });
            for instance in &known.instances {
                let instances = &mut services[at].instances;
                if instances.iter().all(|other| other.id != instance.id) {
                    let mut instance = instance.clone();
                    instance.awaited = true;
                    instances.push(instance);
                    instances.sort_by(|a, b| a.id.cmp(&b.id));
                    awaited = true;
                }
            }
        }
        services.sort_by(|a, b| a.name.cmp(&b.name));
        if !awaited {
            *self = Self::default();
        }
        services
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Health, Instance, Kind};

    fn service(name: &str, ids: &[&str]) -> Service {
        let instance = |id: &&str| Instance {
            id: (*id).into(),
            address: String::new(),
            version: String::new(),
            zone: String::new(),
            health: Health::Passing,
            started: None,
            docs: None,
            output: String::new(),
            awaited: false,
        };
        Service {
            name: name.into(),
            kind: Kind::Service,
            owner: String::new(),
            about: String::new(),
            version: String::new(),
            public: false,
            instances: ids.iter().map(instance).collect(),
        }
    }

    #[test]
    fn those_that_are_not_back_stay_until_the_grace_is_over() {
        let known = [service("a", &["a-1", "a-2"]), service("b", &["b-1"])];
        let mut returning = Returning::default();
        returning.begin(&known, Duration::from_secs(3600));
        let shown = returning.complete(vec![service("a", &["a-2"])]);
        let shown: Vec<_> =
            shown.iter().flat_map(|s| s.instances.iter().map(|i| (&*i.id, i.awaited))).collect();
        assert_eq!(shown, [("a-1", true), ("a-2", false), ("b-1", true)]);
        assert!(returning.left().is_some());
        returning.complete(known.to_vec());
        assert!(returning.left().is_none(), "all are back");
        returning.begin(&known, Duration::ZERO);
        assert!(returning.complete(Vec::new()).is_empty());
    }
}
