//! What happened under one correlation id.

use askama::Template;
use jiff::{SignedDuration, Timestamp};

use super::{
    Banner, Main, Sign,
    flow::{Flow, Foot},
    text::{self, Moment},
    through,
};
use crate::processes::{Instance, Process, Processes, Step, StepOf, StepState};

#[derive(Template)]
#[template(path = "correlated.html")]
struct Correlated<'a> {
    title: String,
    told: String,
    banners: Vec<Banner>,
    correlation: &'a str,
    correlation_segment: String,
    known: bool,
    shown: Vec<Shown<'a>>,
}

struct Shown<'a> {
    name: &'a str,
    title: &'a str,
    sign: Sign,
    subject: &'a str,
    subject_href: Option<String>,
    started: Option<Moment>,
    /// From the first to the last event.
    took: Option<String>,
    flow: Flow,
    rows: Vec<Row<'a>>,
    unexpected: Vec<Odd<'a>>,
}

struct Row<'a> {
    title: &'a str,
    sign: Sign,
    at: Option<Moment>,
    took: Option<String>,
    due: Option<Moment>,
    within: Option<String>,
    service: &'a str,
    event: &'a str,
    event_id: Option<&'a str>,
}

struct Odd<'a> {
    event: &'a str,
    service: &'a str,
    at: Option<Moment>,
    took: Option<String>,
}

pub(crate) fn correlated<'k>(
    correlation: &str,
    known: Option<&'k Processes>,
    gateway: Option<&str>,
    banners: Vec<Banner>,
    now: Timestamp,
) -> Result<Main, askama::Error> {
    let shown: Vec<_> = known.map_or_else(Vec::new, |known| {
        let instances = known.instances.iter().filter(|i| i.correlation == correlation);
        let with = |instance: &'k Instance| {
            let process = known.processes.iter().find(|p| p.name == instance.process)?;
            Some(Shown::of(process, instance, gateway, now))
        };
        instances.filter_map(with).collect()
    });
    let title = match shown.first() {
        Some(first) => format!("{} · {}", first.title, first.sign.word),
        None => "No such process".to_owned(),
    };
    let told = shown.iter().map(|shown| format!("{}: {}.", shown.title, shown.sign.word));
    let told = told.collect::<Vec<_>>().join(" ");
    let found = !shown.is_empty();
    let page = Correlated {
        title: title.clone(),
        told,
        banners,
        correlation,
        correlation_segment: text::segment(correlation),
        known: known.is_some(),
        shown,
    };
    Ok(Main { html: page.render()?, title, found })
}

impl<'a> Shown<'a> {
    fn of(
        process: &'a Process,
        instance: &'a Instance,
        gateway: Option<&str>,
        now: Timestamp,
    ) -> Self {
        let of = |step: &Step| instance.steps.iter().find(|of| of.id == step.id);
        let feet = process.steps.iter().map(|step| foot(of(step), &instance.started)).collect();
        let rows =
            process.steps.iter().filter_map(|step| Some(Row::of(step, of(step)?, instance, now)));
        let last = instance.steps.iter().filter_map(|step| step.at.as_deref()).max();
        Self {
            name: &process.name,
            title: &process.title,
            sign: instance.state.into(),
            subject: &instance.subject,
            subject_href: through(gateway, &instance.subject),
            started: Moment::read(&instance.started, now),
            took: last.and_then(|last| text::since(&instance.started, last)),
            flow: Flow::of(&process.title, &process.steps, feet),
            rows: rows.collect(),
            unexpected: instance
                .unexpected
                .iter()
                .map(|odd| Odd {
                    event: &odd.event,
                    service: &odd.service,
                    at: Moment::read(&odd.at, now),
                    took: text::since(&instance.started, &odd.at),
                })
                .collect(),
        }
    }
}

fn foot(step: Option<&StepOf>, started: &str) -> Foot {
    let Some(step) = step else { return Foot::default() };
    let sign = Sign::from(step.state);
    let took = step.at.as_deref().and_then(|at| text::since(started, at));
    let text = match took {
        Some(took) => format!("{} +{took}", sign.word),
        None => sign.word.to_owned(),
    };
    Foot { class: sign.class, marks: vec![(sign, text)] }
}

impl<'a> Row<'a> {
    fn of(step: &'a Step, of: &'a StepOf, instance: &'a Instance, now: Timestamp) -> Self {
        let at = of.at.as_deref();
        let within =
            step.within_ms.and_then(|ms| Some(SignedDuration::from_millis(ms.try_into().ok()?)));
        let due = within.filter(|_| of.state != StepState::Done);
        Self {
            title: &step.title,
            sign: of.state.into(),
            at: at.and_then(|at| Moment::read(at, now)),
            took: at.and_then(|at| text::since(&instance.started, at)),
            due: due
                .and_then(|within| due_at(step, instance, within))
                .map(|due| Moment::of(due, now)),
            within: within.map(text::span),
            service: &step.service,
            event: &step.event,
            event_id: of.event_id.as_deref(),
        }
    }
}

/// Until when a step has time: from the last of those that it waits for.
fn due_at(step: &Step, instance: &Instance, within: SignedDuration) -> Option<Timestamp> {
    let mut last: Option<Timestamp> = None;
    for id in &step.after {
        let before = instance.steps.iter().find(|other| other.id == *id)?;
        let at: Timestamp = before.at.as_deref()?.parse().ok()?;
        last = Some(last.map_or(at, |last| last.max(at)));
    }
    last?.checked_add(within).ok()
}
