//! One instance of a process held against its declaration. Pure: the moment is given.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::declaration::{Process, Step};

/// An event that was observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub service: String,
    pub event: String,
    pub event_id: String,
    pub subject: String,
    pub at: Timestamp,
}

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StepState {
    Done,
    /// Not yet, and it has time.
    Waiting,
    /// Its time has run out.
    Late,
    /// A step that comes after it is done, and it is not.
    Missing,
}

/// How an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum InstanceState {
    Running,
    Complete,
    Late,
}

/// An instance of a process at a moment.
#[derive(Debug)]
pub(crate) struct Evaluation<'a> {
    pub state: InstanceState,
    /// For each step of the process its state, and the event that did it.
    pub steps: Vec<(StepState, Option<&'a Seen>)>,
    /// Events of the same correlation that no step expects, and second events of a step.
    pub unexpected: Vec<&'a Seen>,
    /// When the next open step will be late; none where nothing has a limit.
    pub due: Option<Timestamp>,
}

/// Holds what was seen (oldest first) against the process.
pub(crate) fn evaluate<'a>(process: &Process, seen: &'a [Seen], now: Timestamp) -> Evaluation<'a> {
    let mut unexpected = Vec::new();
    let mut done: Vec<Option<&Seen>> = vec![None; process.steps.len()];
    for event in seen {
        let step = process
            .steps
            .iter()
            .position(|step| step.service == event.service && step.event == event.event);
        match step {
            Some(step) if done[step].is_none() => done[step] = Some(event),
            _ => unexpected.push(event),
        }
    }
    let mut due: Option<Timestamp> = None;
    let mut steps = Vec::new();
    for (index, step) in process.steps.iter().enumerate() {
        if done[index].is_some() {
            steps.push((StepState::Done, done[index]));
            continue;
        }
        let limit = limit(process, &done, step);
        if let Some(limit) = limit {
            due = Some(due.map_or(limit, |due| due.min(limit)));
        }
        let state = if overtaken(process, &done, step) {
            StepState::Missing
        } else if limit.is_some_and(|limit| limit < now) {
            StepState::Late
        } else {
            StepState::Waiting
        };
        steps.push((state, None));
    }
    let state = if steps.iter().all(|(state, _)| *state == StepState::Done) {
        InstanceState::Complete
    } else if steps.iter().any(|(s, _)| matches!(s, StepState::Late | StepState::Missing)) {
        InstanceState::Late
    } else {
        InstanceState::Running
    };
    Evaluation { state, steps, unexpected, due }
}

/// When an open step is late: its time after the last of those that it waits for.
fn limit(process: &Process, done: &[Option<&Seen>], step: &Step) -> Option<Timestamp> {
    let within = SignedDuration::from_millis(i64::try_from(step.within_ms?).ok()?);
    let mut last: Option<Timestamp> = None;
    for id in &step.after {
        let index = process.steps.iter().position(|other| other.id == *id)?;
        let at = done[index]?.at;
        last = Some(last.map_or(at, |last| last.max(at)));
    }
    last?.checked_add(within).ok()
}

/// Whether something that comes after this step has happened.
fn overtaken(process: &Process, done: &[Option<&Seen>], step: &Step) -> bool {
    process.steps.iter().enumerate().any(|(index, other)| {
        other.after.contains(&step.id) && (done[index].is_some() || overtaken(process, done, other))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::parse;

    fn process() -> Process {
        let step = |id: &str, after: &str| {
            format!(
                "[[step]]\nid='{id}'\ntitle=''\nservice='s'\nevent='{id}'\nafter=[{after}]\nwithin='10s'\n"
            )
        };
        let steps = [step("a", ""), step("b", "'a'"), step("c", "'b'"), step("d", "'a'")].concat();
        parse(&format!("name='n'\ntitle='t'\n{steps}")).expect("valid")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn seen(events: &[(&str, i64)]) -> Vec<Seen> {
        events
            .iter()
            .map(|(event, second)| Seen {
                service: "s".into(),
                event: (*event).into(),
                event_id: format!("{event}-{second}"),
                subject: "/s/1".into(),
                at: at(*second),
            })
            .collect()
    }

    fn states(events: &[(&str, i64)], now: i64) -> (InstanceState, Vec<StepState>) {
        let seen = seen(events);
        let process = process();
        let evaluation = evaluate(&process, &seen, at(now));
        (evaluation.state, evaluation.steps.iter().map(|(state, _)| *state).collect())
    }

    use StepState::{Done, Late, Missing, Waiting};

    #[test]
    fn a_step_has_its_time_after_the_one_before() {
        let started = [("a", 0)];
        assert_eq!(
            states(&started, 10),
            (InstanceState::Running, vec![Done, Waiting, Waiting, Waiting])
        );
        assert_eq!(states(&started, 11), (InstanceState::Late, vec![Done, Late, Waiting, Late]));
    }

    #[test]
    fn all_steps_make_it_complete_in_any_order() {
        let all = [("d", 1), ("a", 2), ("c", 3), ("b", 4)];
        assert_eq!(states(&all, 1_000), (InstanceState::Complete, vec![Done; 4]));
    }

    #[test]
    fn a_step_that_was_passed_over_is_missing() {
        let skipped = [("a", 0), ("c", 1), ("d", 1)];
        assert_eq!(states(&skipped, 2), (InstanceState::Late, vec![Done, Missing, Done, Done]));
        // The first as well, even over a gap of two.
        assert_eq!(states(&[("c", 1)], 2).1, [Missing, Missing, Done, Waiting]);
    }

    #[test]
    fn what_no_step_expects_is_shown() {
        let seen = seen(&[("a", 0), ("a", 1), ("z", 2)]);
        let process = process();
        let evaluation = evaluate(&process, &seen, at(3));
        let odd: Vec<_> = evaluation.unexpected.iter().map(|e| e.event_id.as_str()).collect();
        assert_eq!(odd, ["a-1", "z-2"]);
        assert_eq!(evaluation.steps[0].1.map(|e| e.event_id.as_str()), Some("a-0"));
        assert_eq!(evaluation.due, Some(at(10)));
    }
}
