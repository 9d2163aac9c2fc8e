//! Every declared process and its newest instances.

use askama::Template;
use jiff::Timestamp;

use super::{
    Banner, DONE, LATE, MISSING, Main, Sign, WAITING, count,
    flow::{Flow, Foot},
    text::{self, Moment},
    through,
};
use crate::processes::{Counts, Instance, Process, Processes, StepOf, StepState};

#[derive(Template)]
#[template(path = "processes.html")]
struct List<'a> {
    title: String,
    told: String,
    banners: Vec<Banner>,
    known: bool,
    processes: Vec<Shown<'a>>,
}

struct Shown<'a> {
    name: &'a str,
    title: &'a str,
    counts: Counts,
    flow: Flow,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    sign: Sign,
    subject: &'a str,
    subject_href: Option<String>,
    correlation: &'a str,
    correlation_short: String,
    correlation_segment: String,
    started: Moment,
    chips: Vec<Chip<'a>>,
    unexpected: Vec<String>,
}

struct Chip<'a> {
    sign: Sign,
    id: &'a str,
    title: String,
    took: Option<String>,
}

pub(crate) fn processes(
    known: Option<&Processes>,
    gateway: Option<&str>,
    banners: Vec<Banner>,
    now: Timestamp,
) -> Result<Main, askama::Error> {
    let shown: Vec<_> = known.map_or_else(Vec::new, |known| {
        let of = |process| Shown::of(process, &known.instances, gateway, now);
        known.processes.iter().map(of).collect()
    });
    let counts = known.map(Processes::totals).unwrap_or_default();
    let title = match counts.late {
        0 => "Processes".to_owned(),
        late => format!("{late} late · Processes"),
    };
    let number = count(shown.len() as u64, "process", "processes");
    let told = format!("{number}, {} late.", count(counts.late, "instance", "instances"));
    let page =
        List { title: title.clone(), told, banners, known: known.is_some(), processes: shown };
    Ok(Main { html: page.render()?, title, found: true })
}

impl<'a> Shown<'a> {
    fn of(
        process: &'a Process,
        instances: &'a [Instance],
        gateway: Option<&str>,
        now: Timestamp,
    ) -> Self {
        let instances: Vec<_> = instances.iter().filter(|i| i.process == process.name).collect();
        let feet = process.steps.iter().map(|step| foot(&step.id, &instances)).collect();
        Self {
            name: &process.name,
            title: &process.title,
            counts: process.counts,
            flow: Flow::of(&process.title, &process.steps, feet),
            rows: instances.iter().map(|i| Row::of(process, i, gateway, now)).collect(),
        }
    }
}

/// How many of the listed instances have this step in which state.
fn foot(id: &str, instances: &[&Instance]) -> Foot {
    let number = |state: StepState| {
        let steps = instances.iter().flat_map(|instance| &instance.steps);
        steps.filter(|step| step.id == id && step.state == state).count()
    };
    let mut marks = vec![(DONE, number(StepState::Done).to_string())];
    let others =
        [(WAITING, StepState::Waiting), (LATE, StepState::Late), (MISSING, StepState::Missing)];
    let mut class = "";
    for (sign, state) in others {
        let number = number(state);
        if number > 0 {
            marks.push((sign, number.to_string()));
            if sign != WAITING {
                class = "alert";
            }
        }
    }
    Foot { class, marks }
}

impl<'a> Row<'a> {
    fn of(
        process: &'a Process,
        instance: &'a Instance,
        gateway: Option<&str>,
        now: Timestamp,
    ) -> Self {
        let chips = process.steps.iter().filter_map(|step| {
            let of = instance.steps.iter().find(|of| of.id == step.id)?;
            Some(Chip::of(&step.title, of, instance))
        });
        let unexpected = instance.unexpected.iter();
        Self {
            sign: instance.state.into(),
            subject: &instance.subject,
            subject_href: through(gateway, &instance.subject),
            correlation: &instance.correlation,
            correlation_short: text::short(&instance.correlation, 8),
            correlation_segment: text::segment(&instance.correlation),
            started: Moment::read(&instance.started, now).unwrap_or_else(|| Moment {
                full: instance.started.clone(),
                short: instance.started.clone(),
            }),
            chips: chips.collect(),
            unexpected: unexpected.map(|e| format!("{} of {}", e.event, e.service)).collect(),
        }
    }
}

impl<'a> Chip<'a> {
    fn of(title: &str, step: &'a StepOf, instance: &Instance) -> Self {
        let sign = Sign::from(step.state);
        let took = step.at.as_deref().and_then(|at| text::since(&instance.started, at));
        let title = match &step.at {
            Some(at) => format!("{title}: {} at {at}", sign.word),
            None => format!("{title}: {}", sign.word),
        };
        Self { sign, id: &step.id, title, took }
    }
}
