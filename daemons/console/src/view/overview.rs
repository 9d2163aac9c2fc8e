//! Every service and daemon.

use askama::Template;
use jiff::Timestamp;

use super::{
    Banner, Main, Sign, count,
    text::{Moment, segment},
};
use crate::{
    catalog::{Health, Instance, Kind, Service},
    processes::{Counts, Processes},
};

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    title: String,
    told: String,
    banners: Vec<Banner>,
    known: bool,
    services: usize,
    instances: usize,
    unhealthy: usize,
    /// Of the first service that is not well.
    worst: Option<String>,
    counts: Option<Counts>,
    groups: [Group; 2],
    registry: Option<&'a str>,
}

struct Group {
    id: &'static str,
    title: &'static str,
    cards: Vec<Card>,
}

struct Card {
    name: String,
    about: String,
    owner: String,
    version: String,
    public: bool,
    sign: Sign,
    well: usize,
    links: Vec<Link>,
    rows: Vec<Row>,
}

struct Link {
    text: &'static str,
    href: String,
}

struct Row {
    id: String,
    address: String,
    base: Option<String>,
    zone: String,
    /// Only where the instances differ in it.
    version: Option<String>,
    started: Option<Moment>,
    sign: Sign,
    output: String,
}

impl From<Health> for Sign {
    fn from(health: Health) -> Self {
        let [class, symbol, word] = match health {
            Health::Passing => ["good", "✓", "passing"],
            Health::Warning => ["warn", "!", "warning"],
            Health::Critical => ["bad", "✕", "critical"],
        };
        Self { class, symbol, word }
    }
}

const AWAITED: Sign = Sign { class: "idle", symbol: "○", word: "awaited" };

pub(crate) fn overview(
    known: Option<&[Service]>,
    processes: Option<&Processes>,
    registry: Option<&str>,
    gateway: Option<&str>,
    banners: Vec<Banner>,
    now: Timestamp,
) -> Result<Main, askama::Error> {
    let services = known.unwrap_or_default();
    let cards = |kind: Kind| {
        let of = services.iter().filter(|service| service.kind == kind);
        of.map(|service| Card::of(service, gateway, now)).collect::<Vec<_>>()
    };
    let groups = [
        Group { id: "services", title: "Services", cards: cards(Kind::Service) },
        Group { id: "platform", title: "Platform", cards: cards(Kind::Daemon) },
    ];
    let instances: usize = services.iter().map(|service| service.instances.len()).sum();
    let all = services.iter().flat_map(|service| &service.instances);
    let unhealthy = all.filter(|instance| instance.health != Health::Passing).count();
    let worst = services.iter().max_by_key(|service| worst(service)).filter(|_| unhealthy > 0);
    let counts = processes.map(Processes::totals);
    let told = told(&groups, instances, unhealthy, counts);
    let title = match unhealthy {
        0 => "Services".to_owned(),
        _ => format!("{unhealthy} unhealthy · Services"),
    };
    let page = Overview {
        told,
        title: title.clone(),
        banners,
        known: known.is_some(),
        services: groups[0].cards.len(),
        instances,
        unhealthy,
        worst: worst.map(|service| segment(&service.name)),
        counts,
        groups,
        registry,
    };
    Ok(Main { html: page.render()?, title, found: true })
}

fn worst(service: &Service) -> Health {
    service.instances.iter().map(|instance| instance.health).max().unwrap_or(Health::Passing)
}

/// One sentence for those who do not see the page.
fn told(groups: &[Group; 2], instances: usize, unhealthy: usize, counts: Option<Counts>) -> String {
    let mut told = format!(
        "{}, {}, {unhealthy} unhealthy.",
        count(groups[0].cards.len() as u64, "service", "services"),
        count(instances as u64, "instance", "instances")
    );
    // Each running process would be a sentence; only what needs somebody is.
    if let Some(late) = counts.map(|counts| counts.late).filter(|late| *late > 0) {
        told.push_str(&format!(" {} late.", count(late, "process instance", "process instances")));
    }
    told
}

impl Card {
    fn of(service: &Service, gateway: Option<&str>, now: Timestamp) -> Self {
        let several = service.version.contains(',');
        let well = service.instances.iter().filter(|i| i.health == Health::Passing).count();
        let awaited = service.instances.iter().all(|instance| instance.awaited);
        Self {
            name: service.name.clone(),
            about: service.about.clone(),
            owner: service.owner.clone(),
            version: service.version.clone(),
            public: service.public,
            sign: if awaited { AWAITED } else { worst(service).into() },
            well,
            links: links(service, gateway),
            rows: service.instances.iter().map(|i| Row::of(i, several, now)).collect(),
        }
    }
}

fn links(service: &Service, gateway: Option<&str>) -> Vec<Link> {
    let Some(base) = service.base() else { return Vec::new() };
    let link = |text, path: &str| Link { text, href: format!("{base}{path}") };
    let documented = service.instances.iter().any(|instance| instance.docs.is_some());
    let mut links = match service.kind {
        Kind::Service if documented => vec![
            link("API", "/docs"),
            link("OpenAPI", "/openapi.json"),
            link("Schemas", "/schemas/events.json"),
            link("Feed", "/events"),
        ],
        Kind::Service => Vec::new(),
        Kind::Daemon => vec![link("Health", "/health"), link("Metrics", "/metrics")],
    };
    if let Some(gateway) = gateway.filter(|_| service.kind == Kind::Service && service.public) {
        let name = segment(&service.name);
        links.insert(0, Link { text: "Resources", href: format!("{gateway}/{name}") });
    }
    if let Some(gateway) = gateway.filter(|_| service.name == "gateway") {
        links.insert(0, Link { text: "Start page", href: format!("{gateway}/") });
    }
    links
}

impl Row {
    fn of(instance: &Instance, several: bool, now: Timestamp) -> Self {
        Self {
            id: instance.id.clone(),
            address: instance.address.clone(),
            base: instance.base(),
            zone: instance.zone.clone(),
            version: several.then(|| instance.version.clone()),
            started: instance.started.as_deref().and_then(|text| Moment::read(text, now)),
            sign: if instance.awaited { AWAITED } else { instance.health.into() },
            output: instance.output.clone(),
        }
    }
}
