use std::{sync::Arc, time::Duration};

use backline_client::{Client, Discovery};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    audit::Audit,
    boards::{Boards, Process},
    catalog::Health,
    live::Live,
    monitor::{Monitor, Seen},
    operator::Operators,
    registry::{Contact, Known, Source},
    view::{self, Banner, Main},
};

/// Time limits; tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timings {
    /// How long the registry may hold an answer back while nothing changes.
    pub wait: Duration,
    /// The registry is not read again faster than this.
    pub quiet: Duration,
    /// Between two tries while it is away.
    pub pause: Duration,
    /// How long those are shown that a registry which was away does not list.
    pub grace: Duration,
    /// How often the monitor is asked while somebody watches.
    pub poll: Duration,
    /// How often a page hears that it is still up to date.
    pub beat: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(10),
            quiet: Duration::from_millis(100),
            pause: Duration::from_millis(500),
            grace: Duration::from_secs(5),
            poll: Duration::from_secs(1),
            beat: Duration::from_secs(2),
        }
    }
}

/// What all pages are made from.
pub(crate) struct Console {
    pub registry: watch::Receiver<Arc<Known>>,
    pub monitor: Monitor,
    pub operators: Operators,
    pub audit: Audit,
    pub live: Live,
    boards: Boards,
    pub timings: Timings,
    pub drain: CancellationToken,
    registry_host: Option<String>,
    gateway: Option<String>,
}

/// What a page is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    Services,
    Processes,
    Breakers,
    /// The instances of a correlation id.
    Correlated(String),
}

/// The main part of a page at a moment.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub html: Arc<str>,
    pub title: String,
    /// Of the older of its sources.
    pub as_of: Timestamp,
    /// Whether there is what the page is about.
    pub found: bool,
}

impl Console {
    pub fn start(
        source: Source,
        discovery: &Discovery,
        monitor: Client,
        operators: Operators,
        gateway: Option<String>,
        timings: Timings,
        drain: &CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            registry: source.follow(discovery, timings),
            monitor: Monitor::new(monitor),
            operators,
            audit: Audit::new(source.clone()),
            live: Live::default(),
            boards: Boards::default(),
            timings,
            drain: drain.clone(),
            registry_host: source.host().map(str::to_owned),
            gateway,
        })
    }

    /// What every process tells of its breakers.
    pub async fn boards(&self) -> Arc<Vec<Process>> {
        let known = self.registry.borrow().clone();
        self.boards.all(known.services(), self.timings.poll.mul_f64(0.9)).await
    }

    async fn show_breakers(&self) -> Result<Shown, askama::Error> {
        let (boards, now) = (self.boards().await, Timestamp::now());
        let banners = about_registry(&self.registry.borrow()).into_iter().collect();
        let Main { html, title, found } =
            view::breakers(&boards, &self.operators.maintained(), banners, now)?;
        Ok(Shown { html: html.into(), title, as_of: now, found })
    }

    /// The main part of a page, for its first load as for its updates.
    pub async fn show(&self, topic: &Topic) -> Result<Shown, askama::Error> {
        match topic {
            Topic::Breakers => self.show_breakers().await,
            _ => self.show_seen(topic).await,
        }
    }

    async fn show_seen(&self, topic: &Topic) -> Result<Shown, askama::Error> {
        // Just below the time between two polls: several pages' polls are one.
        let age = self.timings.poll.mul_f64(0.9);
        let seen = match topic {
            Topic::Services | Topic::Processes | Topic::Breakers => {
                self.monitor.overview(age).await
            }
            Topic::Correlated(correlation) => self.monitor.correlated(correlation).await,
        };
        let known = self.registry.borrow().clone();
        let now = Timestamp::now();
        let gateway = self.gateway(&known);
        let mut banners = Vec::new();
        let mut as_of = now;
        if *topic == Topic::Services {
            banners.extend(about_registry(&known));
            as_of = as_of.min(known.as_of());
        }
        banners.extend(about_monitor(&seen));
        if seen.away && *topic != Topic::Services {
            as_of = seen.known.as_ref().and_then(|known| known.as_of.parse().ok()).unwrap_or(as_of);
        }
        let processes = seen.known.as_deref();
        let Main { html, title, found } = match topic {
            Topic::Services => {
                let host = self.registry_host.as_deref();
                view::overview(
                    known.services.as_deref(),
                    processes,
                    host,
                    gateway.as_deref(),
                    banners,
                    now,
                )?
            }
            Topic::Processes | Topic::Breakers => {
                view::processes(processes, gateway.as_deref(), banners, now)?
            }
            Topic::Correlated(correlation) => {
                view::correlated(correlation, processes, gateway.as_deref(), banners, now)?
            }
        };
        Ok(Shown { html: html.into(), title, as_of, found })
    }

    /// What links to resources begin with.
    fn gateway(&self, known: &Known) -> Option<String> {
        if self.gateway.is_some() {
            return self.gateway.clone();
        }
        let gateway = known.services().iter().find(|service| service.name == "gateway")?;
        let instance = gateway.instances.iter().find(|instance| instance.health == Health::Passing);
        instance.or(gateway.instances.first())?.base()
    }
}

fn about_registry(known: &Known) -> Option<Banner> {
    match (known.contact, &known.services) {
        (Contact::Here, Some(_)) => None,
        (Contact::Here, None) => Some(Banner::calm("Asking the registry who is there.", None)),
        (Contact::Returning, _) => Some(Banner::calm(
            "The registry is back. Who has not registered again yet is marked as awaited.",
            None,
        )),
        (Contact::Away, Some(_)) => Some(Banner::alarm(
            "The registry is away. Services go on with the addresses that they know.",
            Some(known.confirmed),
        )),
        (Contact::Away, None) => {
            Some(Banner::alarm("The registry is away, and nothing is known from before.", None))
        }
    }
}

fn about_monitor(seen: &Seen) -> Option<Banner> {
    match (seen.away, &seen.known) {
        (false, _) => None,
        (true, Some(known)) => Some(Banner::alarm(
            "The monitor is away. Processes go on, unobserved; it will catch up.",
            known.as_of.parse().ok(),
        )),
        (true, None) => Some(Banner::alarm(
            "The monitor is away, and nothing is known of processes from before.",
            None,
        )),
    }
}
