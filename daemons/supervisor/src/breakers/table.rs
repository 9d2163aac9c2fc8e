//! The boards of all processes as people see them.

use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::seen::{Board, Dependency, Silent};
use crate::terminal::{human, plain};

/// Who calls whom and how that goes; below it the services' own limits, and who does not answer.
pub fn render(boards: &[Board], silent: &[Silent]) -> String {
    let mut text = match calls(boards) {
        Some(table) => table.to_string(),
        None => "no process that answers calls another".to_owned(),
    };
    if let Some(table) = servers(boards) {
        text.push_str(&format!("\n\n{table}"));
    }
    if !silent.is_empty() {
        text.push('\n');
    }
    for one in silent {
        text.push_str(&format!("\n{}: {}", one.instance, plain(&one.why)));
    }
    text
}

fn calls(boards: &[Board]) -> Option<Table> {
    let mut rows: Vec<_> = boards
        .iter()
        .flat_map(|board| board.dependencies.iter().map(move |it| (&board.instance, it)))
        .collect();
    rows.sort_by_key(|(caller, to)| (*caller, &to.to, &to.purpose));
    let mut table = table(
        &[
            "CALLER", "CALLS", "FOR", "STATE", "FAILED", "SLOW", "P99", "TIMEOUT", "AT ONCE",
            "REFUSED", "RETRIES",
        ],
        4..11,
    );
    for (caller, dependency) in &rows {
        table.add_row(row(caller, dependency));
    }
    (!rows.is_empty()).then_some(table)
}

fn row(caller: &str, it: &Dependency) -> Vec<String> {
    let percent = |rate: Option<f64>| rate.map_or("-".into(), |it| format!("{:.0}%", it * 100.0));
    let p99 = it.latency_ms.map_or("-".into(), |latency| format!("{:.1} ms", latency.p99));
    vec![
        plain(caller),
        plain(&it.to),
        plain(&it.purpose),
        state(it),
        percent(it.breaker.failure_rate),
        percent(it.breaker.slow_rate),
        p99,
        human(Duration::from_millis(it.timeout_ms)),
        format!("{}/{}", it.bulkhead.taken, it.bulkhead.limit),
        it.breaker.refused.saturating_add(it.bulkhead.refused).to_string(),
        it.retries.made.to_string(),
    ]
}

/// With the reason, where somebody gave one, and for how long, where it is not as it should be.
fn state(it: &Dependency) -> String {
    let state = plain(&it.breaker.state);
    match (&it.breaker.reason, state.as_str()) {
        (Some(reason), _) => format!("{state}, {}", plain(reason)),
        (None, "open" | "half-open") => {
            format!("{state} for {}", human(Duration::from_millis(it.breaker.for_ms)))
        }
        (None, _) => state,
    }
}

fn servers(boards: &[Board]) -> Option<Table> {
    let mut rows: Vec<_> =
        boards.iter().filter_map(|board| Some((&board.instance, board.server?))).collect();
    rows.sort_by_key(|(instance, _)| *instance);
    let mut table = table(&["SERVICE", "AT WORK", "LIMIT", "REFUSED"], 1..4);
    for (instance, server) in &rows {
        let counts = [server.in_flight, server.limit, server.refused].map(|it| it.to_string());
        table.add_row([plain(instance)].into_iter().chain(counts));
    }
    (!rows.is_empty()).then_some(table)
}

fn table(header: &[&str], right: std::ops::Range<usize>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.to_vec());
    for column in right {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn boards() -> Vec<Board> {
        let boards = json!([
            { "service": "loyalty", "instance": "loyalty-1", "server": null, "dependencies": [
                { "to": "customers", "purpose": "feed", "timeout_ms": 90_000 },
            ] },
            { "service": "email", "instance": "email-1", "as_of": "2026-11-25T12:00:00Z",
              "server": { "limit": 256, "in_flight": 3, "admitted": 9120, "refused": 7 },
              "dependencies": [
                { "to": "loyalty", "purpose": "calls", "timeout_ms": 5000, "latency_ms": null,
                  "breaker": { "state": "open", "for_ms": 2440, "reason": null,
                               "failure_rate": 0.5, "slow_rate": 0.0, "refused": 4 },
                  "bulkhead": { "limit": 64, "taken": 2, "refused": 3 },
                  "retries": { "made": 9 } },
                { "to": "customers", "purpose": "calls", "timeout_ms": 800,
                  "latency_ms": { "calls": 412, "p50": 1.3, "p99": 9.84, "max": 31.0 },
                  "breaker": { "state": "forced-open", "for_ms": 9,
                               "reason": "maintenance: new\u{1b}[2J disk (by ada)" } },
              ] },
        ]);
        serde_json::from_value(boards).expect("boards")
    }

    fn words(line: &str) -> Vec<&str> {
        line.split_whitespace().collect()
    }

    #[test]
    fn calls_are_sorted_by_caller_then_by_who_is_called() {
        let text = render(&boards(), &[]);
        let calls: Vec<_> =
            text.lines().skip(1).take(3).map(|line| words(line)[..3].to_vec()).collect();
        let expected = [
            ["email-1", "customers", "calls"],
            ["email-1", "loyalty", "calls"],
            ["loyalty-1", "customers", "feed"],
        ];
        assert_eq!(calls, expected, "{text}");
    }

    #[test]
    fn a_row_tells_why_it_is_forced_open_and_for_how_long_it_is_open() {
        let text = render(&boards(), &[]);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[1].contains("forced-open, maintenance: new [2J disk (by ada)"), "{text}");
        assert_eq!(words(lines[1])[10..], ["-", "-", "9.8", "ms", "800", "ms", "0/0", "0", "0"]);
        assert!(lines[2].contains("open for 2.4 s"), "{text}");
        assert_eq!(words(lines[2])[7..], ["50%", "0%", "-", "5.0", "s", "2/64", "7", "9"]);
        assert!(!text.contains('\u{1b}'), "no process steers the terminal");
    }

    #[test]
    fn the_services_own_limits_stand_below_and_who_is_silent_last() {
        let silent = Silent {
            instance: "postal-1".into(),
            service: "postal".into(),
            why: "it does not answer".into(),
        };
        let text = render(&boards(), &[silent]);
        let (_, below) = text.split_once("\n\n").expect("two tables");
        assert_eq!(
            words(below)[..9],
            ["SERVICE", "AT", "WORK", "LIMIT", "REFUSED", "email-1", "3", "256", "7"]
        );
        assert!(text.ends_with("\npostal-1: it does not answer"), "{text}");
    }
}
