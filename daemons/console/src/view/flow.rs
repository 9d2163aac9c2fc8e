//! A process as a flowchart: steps from left to right as they come after each other, those that
//! may happen at the same time below each other.

use askama::Template;

use super::{Sign, text};
use crate::processes::Step;

const WIDTH: usize = 196;
const ACROSS: usize = 36;
const BETWEEN: usize = 14;
const PADDING: usize = 12;
const LINE: usize = 17;
/// What fits into a box: characters of its title, and of its event in the smaller type.
const TITLE: usize = 22;
const EVENT: usize = 24;
/// So many columns fit on a phone.
const FITTING: usize = 2;

#[derive(Debug, Template)]
#[template(path = "flow.html")]
pub(crate) struct Flow {
    width: usize,
    height: usize,
    label: String,
    fits: bool,
    boxes: Vec<Drawn>,
    edges: Vec<Edge>,
}

/// What a step's box says below its title, and how it looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Foot {
    pub class: &'static str,
    pub marks: Vec<(Sign, String)>,
}

#[derive(Debug)]
struct Drawn {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
    class: &'static str,
    full: String,
    lines: Vec<(usize, String)>,
    event: (usize, String),
    foot: usize,
    marks: Vec<(Sign, String)>,
}

#[derive(Debug)]
struct Edge {
    line: String,
    head: String,
}

impl Flow {
    /// `feet` are those of the steps, in their order.
    pub fn of(title: &str, steps: &[Step], feet: Vec<Foot>) -> Self {
        let columns = columns(steps);
        let last = columns.iter().copied().max().unwrap_or(0);
        let titles: Vec<_> = steps.iter().map(|step| text::wrap(&step.title, TITLE, 2)).collect();
        let most_lines = titles.iter().map(Vec::len).max().unwrap_or(1);
        let tall = 2 * PADDING + (most_lines + 2) * LINE - 4;
        let stacked = |column| columns.iter().filter(|other| **other == column).count();
        let span = |steps: usize| steps * (tall + BETWEEN) - BETWEEN.min(steps * BETWEEN);
        let height = (0..=last).map(|column| span(stacked(column))).max().unwrap_or(0);
        let mut places = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            let above = columns[..index].iter().filter(|other| *other == column).count();
            let y = (height - span(stacked(*column))) / 2 + above * (tall + BETWEEN);
            places.push((column * (WIDTH + ACROSS), y));
        }
        let mut edges = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            for before in &step.after {
                if let Some(from) = steps.iter().position(|other| other.id == *before) {
                    edges.push(Edge::between(places[from], places[index], tall));
                }
            }
        }
        let drawn = steps.iter().zip(titles).zip(feet).zip(&places);
        Self {
            width: last * (WIDTH + ACROSS) + WIDTH,
            height,
            label: label(title, steps),
            fits: last < FITTING,
            boxes: drawn
                .map(|(((step, lines), foot), place)| Drawn::of(step, lines, foot, *place, tall))
                .collect(),
            edges,
        }
    }
}

/// For each step the length of the longest way to it.
fn columns(steps: &[Step]) -> Vec<usize> {
    let mut columns = vec![0; steps.len()];
    // As often as there are steps: enough for any order, and an end for steps in a circle.
    for _ in steps {
        for (index, step) in steps.iter().enumerate() {
            let before =
                steps.iter().zip(&columns).filter(|(other, _)| step.after.contains(&other.id));
            let column = before.map(|(_, column)| column + 1).max().unwrap_or(0);
            columns[index] = column.min(steps.len() - 1);
        }
    }
    columns
}

fn label(title: &str, steps: &[Step]) -> String {
    let told: Vec<_> = steps
        .iter()
        .map(|step| match step.after.is_empty() {
            true => step.title.clone(),
            false => format!("{} after {}", step.title, step.after.join(" and ")),
        })
        .collect();
    format!("Flowchart of {title}: {}", told.join("; "))
}

impl Drawn {
    fn of(step: &Step, lines: Vec<String>, foot: Foot, at: (usize, usize), tall: usize) -> Self {
        let (x, y) = at;
        let line = |number: usize| y + PADDING + (number + 1) * LINE - 5;
        let below = lines.len();
        Self {
            x,
            y,
            width: WIDTH,
            height: tall,
            class: foot.class,
            full: format!("{}: {} of {}", step.title, step.event, step.service),
            lines: lines.into_iter().enumerate().map(|(n, text)| (line(n), text)).collect(),
            event: (line(below), text::short(&step.event, EVENT)),
            foot: y + tall - PADDING,
            marks: foot.marks,
        }
    }
}

impl Edge {
    /// From the middle of a box's right side to the middle of another's left.
    fn between(from: (usize, usize), to: (usize, usize), tall: usize) -> Self {
        let (x1, y1) = (from.0 + WIDTH, from.1 + tall / 2);
        let (x2, y2) = (to.0, to.1 + tall / 2);
        let bend = ACROSS / 2;
        let (end, near) = (x2.saturating_sub(6), x2.saturating_sub(bend));
        Self {
            line: format!("M{x1} {y1}C{} {y1} {near} {y2} {end} {y2}", x1 + bend),
            head: format!(
                "M{} {}L{x2} {y2}L{} {}Z",
                x2.saturating_sub(8),
                y2.saturating_sub(4),
                x2.saturating_sub(8),
                y2 + 4
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(id: &str, after: &[&str]) -> Step {
        Step {
            id: id.into(),
            title: id.into(),
            service: "s".into(),
            event: "e".into(),
            after: after.iter().map(|id| (*id).into()).collect(),
            within_ms: None,
        }
    }

    #[test]
    fn a_step_stands_right_of_all_that_it_waits_for() {
        let steps = [step("a", &[]), step("b", &["a"]), step("c", &["a"]), step("d", &["a", "c"])];
        assert_eq!(columns(&steps), [0, 1, 1, 2]);
        let flow = Flow::of("t", &steps, vec![Foot::default(); 4]);
        assert_eq!((flow.boxes.len(), flow.edges.len()), (4, 4));
        assert_eq!(flow.width, 3 * WIDTH + 2 * ACROSS);
        assert!(flow.boxes[1].y < flow.boxes[2].y && flow.boxes[1].x == flow.boxes[2].x);
        assert!(
            flow.boxes.iter().all(|b| b.x + WIDTH <= flow.width && b.y + b.height <= flow.height)
        );
    }

    #[test]
    fn what_cannot_be_is_drawn_all_the_same() {
        let circle = [step("a", &["b"]), step("b", &["a"]), step("c", &["nowhere"])];
        assert_eq!(Flow::of("t", &circle, vec![Foot::default(); 3]).boxes.len(), 3);
        assert_eq!(Flow::of("t", &[], Vec::new()).height, 0);
    }
}
