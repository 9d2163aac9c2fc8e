//! A load for programs and for people.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use crate::{
    Outcome, Plan, Second, Tally,
    plot::{self, Plot, Series},
};

/// What became of some requests, as JSON has it. Latencies are in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Requests whose moment came.
    pub sent: u64,
    /// Answered in time with a status that is accepted.
    pub ok: u64,
    /// The others, by how they failed.
    pub failures: BTreeMap<String, u64>,
    /// The mean latency.
    pub mean_ms: f64,
    /// By percentile: `p50`, `p90`, `p99`, `p99.9`, `max`.
    pub latency_ms: BTreeMap<&'static str, f64>,
}

const PERCENTILES: [(&str, f64); 5] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0)];

impl From<&Tally> for Summary {
    fn from(tally: &Tally) -> Self {
        let ms = |percent| tally.percentile(percent).as_secs_f64() * 1000.0;
        Self {
            sent: tally.sent,
            ok: tally.ok,
            failures: tally.failures.iter().map(|(how, n)| (how.to_string(), *n)).collect(),
            mean_ms: tally.latency.mean() / 1000.0,
            latency_ms: PERCENTILES.iter().map(|(name, at)| (*name, ms(*at))).collect(),
        }
    }
}

/// A whole load, as JSON has it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    rate: f64,
    throughput: f64,
    seconds: f64,
    late_p99_ms: f64,
    total: Summary,
    shapes: BTreeMap<String, Summary>,
    /// By the second of the requests' moments, from the end of the warm-up on.
    by_second: Vec<BySecond>,
}

#[derive(Clone, Debug, Serialize)]
struct BySecond {
    #[serde(flatten)]
    asked: Summary,
    /// Good answers that came in it, whenever they were asked for.
    answered: u64,
}

impl Report {
    pub fn of(plan: &Plan, outcome: &Outcome) -> Self {
        Self {
            rate: plan.rate,
            throughput: outcome.throughput(),
            seconds: outcome.lasted.as_secs_f64(),
            late_p99_ms: outcome.late.value_at_quantile(0.99) as f64 / 1000.0,
            total: (&outcome.total).into(),
            shapes: outcome.shapes.iter().map(|(name, t)| (name.clone(), t.into())).collect(),
            by_second: outcome.seconds.iter().map(BySecond::from).collect(),
        }
    }
}

impl From<&Second> for BySecond {
    fn from(second: &Second) -> Self {
        Self { asked: (&second.tally).into(), answered: second.answered }
    }
}

/// The report of one load as a page that stands alone.
#[must_use]
pub fn html(plan: &Plan, outcome: &Outcome) -> String {
    let report = Report::of(plan, outcome);
    let mut body = format!(
        "<p>{:.0} requests per second asked for, {:.0} answered, over {:.0} s. The generator was \
         at most {:.2} ms late with 99 of 100 of them.</p>",
        report.rate, report.throughput, report.seconds, report.late_p99_ms
    );
    body.push_str(&table(&outcome.shapes, &outcome.total));
    let latencies: Vec<_> =
        outcome.shapes.iter().map(|(name, tally)| (name.as_str(), &tally.latency)).collect();
    body.push_str(&plot::percentiles("Latency by percentile", &latencies));
    let by_second = |value: &dyn Fn(&Tally) -> f64| {
        let seconds = outcome.seconds.iter().enumerate();
        seconds.map(|(at, second)| (at as f64, value(&second.tally))).collect::<Vec<_>>()
    };
    let ms = |tally: &Tally, at| tally.percentile(at).as_secs_f64() * 1000.0;
    let latency = Plot::over_time(
        "Latency over time",
        "latency (ms)",
        vec![
            Series::new("p99", by_second(&|tally| ms(tally, 99.0))),
            Series::new("p50", by_second(&|tally| ms(tally, 50.0))),
        ],
    );
    let answered = outcome.seconds.iter().enumerate();
    let answered = answered.map(|(at, second)| (at as f64, second.answered as f64));
    let counts = Plot::over_time(
        "Answers over time",
        "requests per second",
        vec![
            Series::new("asked", by_second(&|tally| tally.sent as f64)),
            Series::new("answered", answered),
        ],
    );
    let failed = outcome.total.failures.keys().map(|how| {
        let counted = |tally: &Tally| tally.failures.get(how).copied().unwrap_or(0) as f64;
        Series::new(&how.to_string(), by_second(&counted))
    });
    let failures = Plot::over_time("Failures over time", "failures per second", failed.collect());
    body.push_str(&latency.logarithmic().svg());
    body.push_str(&counts.svg());
    match outcome.total.failed() {
        0 => body.push_str("<p>No request failed.</p>"),
        _ => body.push_str(&failures.svg()),
    }
    page("Load", &body)
}

fn table(shapes: &[(String, Tally)], total: &Tally) -> String {
    let mut rows = String::from(
        "<table><thead><tr><th>requests</th><th>sent</th><th>answered</th><th>failed</th>\
         <th>p50 ms</th><th>p90 ms</th><th>p99 ms</th><th>p99.9 ms</th><th>max ms</th></tr></thead>",
    );
    let all = ("all".to_owned(), total.clone());
    let of_all = (shapes.len() > 1).then_some(&all);
    for (name, tally) in shapes.iter().chain(of_all) {
        let _ = write!(
            rows,
            "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td>",
            escaped(name),
            tally.sent,
            tally.ok,
            tally.failed()
        );
        for (_, percent) in PERCENTILES {
            let ms = tally.percentile(percent).as_secs_f64() * 1000.0;
            let _ = write!(rows, "<td>{ms:.2}</td>");
        }
        rows.push_str("</tr>");
    }
    rows.push_str("</table>");
    rows
}

/// A page that stands alone: a title, the look of all reports, and what it says (HTML).
#[must_use]
pub fn page(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{LOOK}</style>\
         <main><h1>{title}</h1>{body}</main></html>"
    )
}

const LOOK: &str = "
:root { color-scheme: light dark; --line: #8884; --soft: #8881 }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; background: Canvas; color: CanvasText }
main { max-width: 58rem; margin: 0 auto; padding: 2rem 1rem 4rem }
h1 { font-size: 1.8rem; letter-spacing: -.02em } h2 { margin-top: 2.5rem }
table { border-collapse: collapse; width: 100%; margin: 1.5rem 0; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .4rem .6rem; border-bottom: 1px solid var(--line) }
th:first-child { text-align: left } thead th { font-size: .85rem; color: GrayText }
svg { width: 100%; height: auto; margin: 1rem 0; background: var(--soft); border-radius: 8px }
.good { color: #009e73 } .bad { color: #d55e00 } code { font-size: .9em }
";

/// Text that stands in HTML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Failure, Shape};

    #[test]
    fn the_json_has_totals_kinds_of_failure_and_each_second() {
        let mut tally = Tally::empty(3);
        tally.add(Duration::from_millis(2), Ok(()));
        tally.add(Duration::from_millis(4), Err(Failure::Status(503)));
        let outcome = Outcome {
            shapes: vec![("albums".into(), tally.clone())],
            seconds: vec![
                Second { tally: tally.clone(), answered: 0 },
                Second { tally: Tally::empty(2), answered: 1 },
            ],
            late: tally.latency.clone(),
            total: tally,
            lasted: Duration::from_secs(2),
        };
        let plan = Plan::new(vec![Shape::get("albums", "http://127.0.0.1/").unwrap()], 1.0);
        let json = serde_json::to_value(Report::of(&plan, &outcome)).unwrap();
        assert_eq!(json["total"]["failures"]["status 503"], 1);
        assert_eq!(json["shapes"]["albums"]["sent"], 2);
        assert_eq!(
            (&json["by_second"][0]["ok"], &json["by_second"][1]["sent"]),
            (&1.into(), &0.into())
        );
        assert_eq!(json["by_second"][1]["answered"], 1);
        assert_eq!((&json["throughput"], &json["seconds"]), (&0.5.into(), &2.0.into()));
        let late = json["late_p99_ms"].as_f64().unwrap();
        assert!((3.9..4.1).contains(&late), "{late}");
    }
}
