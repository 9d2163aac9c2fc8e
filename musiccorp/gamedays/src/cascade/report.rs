//! What was found, for programs and for people.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use backline_load::{
    Summary, Tally, page,
    plot::{self, Phase, Plot, Series},
};
use serde_json::json;

use super::{Failed, Findings, Timeline, measure::STORY_RATE, site::OLD_PLACES};

/// Writes the report as JSON and as a page.
pub fn write(folder: &Path, findings: &Findings) -> Result<[PathBuf; 2], Failed> {
    std::fs::create_dir_all(folder)?;
    let files = [folder.join("cascade.json"), folder.join("cascade.html")];
    std::fs::write(&files[0], serde_json::to_string_pretty(&figures(findings))?)?;
    std::fs::write(&files[1], html(findings))?;
    Ok(files)
}

fn figures(findings: &Findings) -> serde_json::Value {
    let timeline = |timeline: &Timeline| {
        let shape = |name| timeline.outcome.shape(name).map(Summary::from);
        json!({
            "new": shape("new"),
            "old": shape("old"),
            "slow_from_s": timeline.slow.start,
            "slow_to_s": timeline.slow.end,
            "failed_in_second_half_of_slow_time": timeline.failed_while_slow(),
            "most_connections_to_old_ads": timeline.connections(),
            "samples": timeline.samples,
        })
    };
    json!({
        "holds": findings.holds(),
        "highest_rate": findings.highest,
        "rate": findings.rate,
        "rate_of_the_story": STORY_RATE,
        "healthy_p99_ms": {
            "old_ads_well": findings.median(|pair| pair.well_p99_ms),
            "old_ads_dead_slow": findings.median(|pair| pair.slow_p99_ms),
        },
        "bulkhead": OLD_PLACES,
        "most_connections_with_measures": findings.connections_on(),
        "pairs": findings.pairs,
        "measures_on": timeline(&findings.on),
        "measures_off": timeline(&findings.off),
    })
}

/// For the terminal.
pub fn summary(findings: &Findings) -> String {
    let mut text = String::new();
    for (good, line) in verdicts(findings) {
        let _ = writeln!(text, "{} {line}", if good { "ok     " } else { "MISSED " });
    }
    text.trim_end().to_owned()
}

fn verdicts(findings: &Findings) -> Vec<(bool, String)> {
    let (well, slow) = (findings.median(|p| p.well_p99_ms), findings.median(|p| p.slow_p99_ms));
    vec![
        (
            findings.stays_healthy(),
            format!(
                "measures on, {:.0} requests/s: the p99 of healthy traffic is {slow:.2} ms with the \
                 old ads dead slow, {well:.2} ms with them well (median of {} pairs; at most 1.1 x \
                 or + 1 ms)",
                findings.rate,
                findings.pairs.len()
            ),
        ),
        (
            findings.stays_within(),
            format!(
                "measures on: at most {} connections to the old ads; the bulkhead has {OLD_PLACES}",
                findings.connections_on()
            ),
        ),
        (
            findings.collapses_without(),
            format!(
                "measures off: {:.0} % of all requests fail in the second half of the slow time, \
                 with up to {} connections to the old ads",
                100.0 * findings.off.failed_while_slow(),
                findings.off.connections()
            ),
        ),
    ]
}

fn html(findings: &Findings) -> String {
    let mut body = String::from(
        "<p>A classified-ads site shows ads of two services. The old one, which 5 % of the requests \
         need, becomes dead slow: 20 s for each answer. In the story this took the whole site \
         down.</p><ul>",
    );
    for (good, line) in verdicts(findings) {
        let (class, word) = if good { ("good", "held") } else { ("bad", "missed") };
        let _ = write!(body, "<li><strong class=\"{class}\">{word}</strong> {line}</li>");
    }
    let _ = write!(
        body,
        "</ul><p>Load: {:.0} requests/s{}; the story's site had {STORY_RATE:.0} on many machines.</p>",
        findings.rate,
        findings.highest.map_or_else(String::new, |highest| format!(
            ", 60 % of the {highest:.0} that this machine holds with load generator and all"
        ))
    );
    body.push_str("<h2>Healthy traffic, with the measures</h2>");
    body.push_str(&pairs(findings));
    body.push_str("<h2>Before, while and after</h2>");
    for plot in plots(&findings.on, &findings.off) {
        body.push_str(&plot);
    }
    page("Game day: the cascade", &body)
}

/// Both sites over time, and the latency of those who want new ads.
fn plots(on: &Timeline, off: &Timeline) -> Vec<String> {
    let slow = Phase { name: "old ads dead slow".into(), span: on.slow.clone() };
    let marked = |plot: Plot| plot.marked(vec![slow.clone()]).svg();
    let both = |title: &str, unit: &str, of: &dyn Fn(&Timeline) -> Vec<(f64, f64)>| {
        let series = vec![Series::new("measures on", of(on)), Series::new("measures off", of(off))];
        Plot::over_time(title, unit, series)
    };
    let connections = |timeline: &Timeline| {
        timeline.samples.iter().map(|s| (s.at, s.connections as f64)).collect()
    };
    let answered = |timeline: &Timeline| by_second(timeline, &|tally| tally.ok as f64);
    let p99 = |tally: &Tally| tally.percentile(99.0).as_secs_f64() * 1000.0;
    let latency = |timeline: &Timeline| by_second(timeline, &p99);
    let latencies: Vec<_> = [("measures on", on), ("measures off", off)]
        .into_iter()
        .filter_map(|(name, timeline)| Some((name, &timeline.outcome.shape("new")?.latency)))
        .collect();
    vec![
        marked(both("Connections to the old ads", "connections", &connections)),
        marked(both("Answered in time", "requests per second", &answered)),
        marked(both("Latency of all requests, p99", "ms", &latency).logarithmic()),
        marked(breaker(on)),
        plot::percentiles("Those who want new ads: latency by percentile", &latencies),
    ]
}

fn by_second(timeline: &Timeline, of: &dyn Fn(&Tally) -> f64) -> Vec<(f64, f64)> {
    let seconds = timeline.outcome.seconds.iter().enumerate();
    seconds.map(|(at, second)| (at as f64, of(&second.tally))).collect()
}

fn breaker(on: &Timeline) -> Plot {
    let states = on.samples.iter().filter_map(|sample| {
        let state = match sample.breaker.as_deref()? {
            "closed" => 0.0,
            "half-open" => 1.0,
            _ => 2.0,
        };
        Some((sample.at, state))
    });
    let title = "The breaker before the old ads: 0 closed, 1 half-open, 2 open";
    let series = Series::new("measures on", states).stepped();
    Plot::over_time(title, "state", vec![series])
}

fn pairs(findings: &Findings) -> String {
    let mut table = String::from(
        "<table><thead><tr><th>pair</th><th>p50 ms, well</th><th>p50 ms, slow</th>\
         <th>p99 ms, well</th><th>p99 ms, slow</th><th>failed, slow</th>\
         <th>most connections</th></tr></thead>",
    );
    for (number, pair) in findings.pairs.iter().enumerate() {
        let _ = write!(
            table,
            "<tr><th>{}</th><td>{:.2}</td><td>{:.2}</td><td>{:.2}</td><td>{:.2}</td><td>{}</td>\
             <td>{}</td></tr>",
            number + 1,
            pair.well_p50_ms,
            pair.slow_p50_ms,
            pair.well_p99_ms,
            pair.slow_p99_ms,
            pair.slow_failed,
            pair.connections
        );
    }
    table.push_str("</table>");
    table
}
