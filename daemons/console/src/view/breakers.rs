//! The breaker board.

use askama::Template;
use jiff::{SignedDuration, Timestamp};

use super::{
    Banner, Main, Sign, count,
    text::{Moment, segment, span},
};
use crate::{
    boards::{Dependency, Process},
    operator::Maintained,
};

#[derive(Template)]
#[template(path = "breakers.html")]
struct Breakers {
    title: String,
    told: String,
    banners: Vec<Banner>,
    total: usize,
    open: usize,
    maintained: Vec<Stopped>,
    groups: Vec<Group>,
    silent: Vec<String>,
}

struct Stopped {
    service: String,
    href: String,
    by: String,
    reason: String,
    since: Option<Moment>,
}

struct Group {
    service: String,
    servers: Vec<Server>,
    rows: Vec<Row>,
}

struct Server {
    instance: String,
    text: String,
    full: bool,
}

struct Row {
    id: String,
    instance: String,
    to: String,
    purpose: String,
    steer: String,
    sign: Sign,
    /// For how long it has been so.
    lasts: String,
    reason: String,
    failures: Bar,
    slow: Bar,
    latency: Option<Bar>,
    bulkhead: Bar,
    counts: Vec<String>,
    if_down: String,
}

/// A figure beside its limit: as a number, and as a part of its limit.
struct Bar {
    text: String,
    title: String,
    /// From 0 to 100.
    part: u64,
    over: bool,
}

impl Bar {
    fn of(text: String, title: String, value: f64, limit: f64) -> Self {
        let part = if limit > 0.0 { value / limit } else { 0.0 };
        Self { text, title, part: (part * 100.0).clamp(0.0, 100.0) as u64, over: part >= 1.0 }
    }

    /// A rate against the one that opens the breaker.
    fn rate(rate: Option<f64>, limit: f64, what: &str, calls: u64) -> Self {
        let percent = |rate: f64| format!("{:.0} %", rate * 100.0);
        let text = format!("{} of {}", rate.map_or("–".to_owned(), percent), percent(limit));
        let title = format!(
            "{what} of {}; it opens at {:.0} %",
            count(calls, "call", "calls"),
            limit * 100.0
        );
        Self::of(text, title, rate.unwrap_or(0.0), limit)
    }
}

pub(crate) fn breakers(
    processes: &[Process],
    maintained: &[Maintained],
    banners: Vec<Banner>,
    now: Timestamp,
) -> Result<Main, askama::Error> {
    let mut groups: Vec<Group> = Vec::new();
    for process in processes {
        let Some(board) = &process.board else { continue };
        if groups.last().is_none_or(|group| group.service != process.service) {
            let service = process.service.clone();
            groups.push(Group { service, servers: Vec::new(), rows: Vec::new() });
        }
        let Some(group) = groups.last_mut() else { continue };
        group.servers.extend(board.server.as_ref().map(|server| Server {
            instance: process.instance.clone(),
            text: format!("{} of {} requests at work", server.in_flight, server.limit)
                + &refusals(server.refused),
            full: server.in_flight >= server.limit,
        }));
        group.rows.extend(board.dependencies.iter().map(|seen| Row::of(process, seen)));
    }
    groups.retain(|group| !group.rows.is_empty() || !group.servers.is_empty());
    // Who asks the registry alone has little to show.
    groups.sort_by_key(|group| group.rows.iter().all(|row| row.purpose == "operations"));
    let rows = || groups.iter().flat_map(|group| &group.rows);
    let (total, open) =
        (rows().count(), rows().filter(|row| ["bad", "warn"].contains(&row.sign.class)).count());
    let closed = rows().filter(|row| row.sign.class == "bad").count();
    let title = match closed {
        0 => "Breakers".to_owned(),
        _ => format!("{closed} open · Breakers"),
    };
    let silent = processes.iter().filter(|process| process.board.is_none());
    let page = Breakers {
        told: format!("{}, {closed} open.", count(total as u64, "breaker", "breakers")),
        title: title.clone(),
        banners,
        total,
        open,
        maintained: maintained.iter().map(|one| Stopped::of(one, now)).collect(),
        silent: silent.map(|process| process.instance.clone()).collect(),
        groups,
    };
    Ok(Main { html: page.render()?, title, found: true })
}

impl Stopped {
    fn of(maintained: &Maintained, now: Timestamp) -> Self {
        Self {
            service: maintained.service.clone(),
            href: format!("/operator/steer?service={}", segment(&maintained.service)),
            by: maintained.by.clone(),
            reason: maintained.reason.clone(),
            since: Moment::read(&maintained.at, now),
        }
    }
}

impl Row {
    fn of(process: &Process, seen: &Dependency) -> Self {
        let (breaker, bulkhead) = (&seen.breaker, &seen.bulkhead);
        let limits = &breaker.limits;
        Self {
            id: format!("{}-{}-{}", process.instance, seen.to, seen.purpose),
            instance: process.instance.clone(),
            to: seen.to.clone(),
            purpose: seen.purpose.clone(),
            steer: format!(
                "/operator/steer?service={}&caller={}",
                segment(&seen.to),
                segment(&process.service)
            ),
            sign: sign(&breaker.state),
            lasts: duration(breaker.for_ms),
            reason: breaker.reason.clone().unwrap_or_default(),
            failures: Bar::rate(
                breaker.failure_rate,
                limits.failure_rate,
                "Failed calls",
                breaker.calls,
            ),
            slow: Bar::rate(
                breaker.slow_rate,
                limits.slow_rate,
                &format!("Calls over {}", duration(limits.slow_ms)),
                breaker.calls,
            ),
            latency: latency(seen),
            bulkhead: Bar::of(
                format!("{} / {}", bulkhead.taken, bulkhead.limit),
                format!(
                    "{} at once, at most {}; {} open",
                    count(bulkhead.taken, "call", "calls"),
                    bulkhead.limit,
                    count(bulkhead.connections, "connection", "connections")
                ),
                bulkhead.taken as f64,
                bulkhead.limit as f64,
            ),
            counts: counts(seen),
            if_down: seen.if_down.clone().unwrap_or_default(),
        }
    }
}

/// What else is worth knowing.
fn counts(seen: &Dependency) -> Vec<String> {
    let numbers = [
        (seen.breaker.refused, "refused by the breaker", "refused by the breaker"),
        (seen.bulkhead.refused, "refused by the bulkhead", "refused by the bulkhead"),
        (seen.retries.made, "retry", "retries"),
        (seen.bulkhead.waiting, "waiting for a place", "waiting for a place"),
    ];
    let told = numbers.into_iter().filter(|(number, ..)| *number > 0);
    let left_out = seen
        .ejected
        .iter()
        .map(|ejected| format!("{} left out for {}", ejected.address, duration(ejected.for_ms)));
    told.map(|(number, one, many)| count(number, one, many)).chain(left_out).collect()
}

fn latency(seen: &Dependency) -> Option<Bar> {
    let latency = seen.latency_ms.as_ref()?;
    let limit = duration(seen.timeout_ms);
    let title = format!(
        "p50 {:.1} ms, p99 {:.1} ms of {} lately; the time limit is {limit}",
        latency.p50,
        latency.p99,
        count(latency.calls, "call", "calls"),
    );
    let text = format!("{:.1}, {:.1} ms / {limit}", latency.p50, latency.p99);
    Some(Bar::of(text, title, latency.p99, seen.timeout_ms as f64))
}

fn refusals(refused: u64) -> String {
    if refused == 0 { String::new() } else { format!(", {refused} refused") }
}

fn duration(ms: u64) -> String {
    span(SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX)))
}

fn sign(state: &str) -> Sign {
    let [class, symbol, word] = match state {
        "closed" => ["good", "✓", "closed"],
        "half-open" => ["warn", "◐", "half-open"],
        "open" => ["bad", "✕", "open"],
        "forced-open" => ["bad", "✕", "opened by hand"],
        "disabled" => ["idle", "○", "disabled"],
        _ => ["idle", "○", "observing"],
    };
    Sign { class, symbol, word }
}
