//! What became of an import, for people and as JSON.

use std::{collections::BTreeMap, fmt::Write as _, io::Write as _, path::Path, time::Duration};

use serde::Serialize;

use crate::{
    importer::{Outcome, Outcomes},
    retry::Halted,
    source::{Place, Rejected, Source},
};

/// How many rejected rows are shown; the JSON has all.
const MOST_SHOWN: usize = 20;

/// The result of one run.
#[derive(Debug, Serialize)]
pub struct Report {
    source: String,
    gateway: String,
    /// Whether every row had its turn.
    finished: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<String>,
    duration_ms: u64,
    tables: Vec<Counts>,
    rejected: Vec<Rejected>,
}

/// How many rows of a table became what. `read` is the sum of the others.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Counts {
    table: &'static str,
    read: usize,
    created: usize,
    already_there: usize,
    rejected: usize,
    left: usize,
}

/// The rows that came to an end, by table.
#[derive(Default)]
struct Tally {
    created: BTreeMap<&'static str, usize>,
    already_there: BTreeMap<&'static str, usize>,
    rejected: Vec<Rejected>,
}

impl Tally {
    /// `parts` are rows that came and went with this one.
    fn add(&mut self, at: &Place, parts: &[Place], outcome: &Outcome) {
        match outcome {
            Outcome::There { is_new, .. } => {
                let counts = if *is_new { &mut self.created } else { &mut self.already_there };
                for place in parts.iter().chain([at]) {
                    *counts.entry(place.table).or_default() += 1;
                }
            }
            Outcome::Rejected(rejected) => {
                self.rejected.push(rejected.clone());
                let with_it = |part: &Place| {
                    part.clone().unreadable(format!("its album ({at}) was rejected"))
                };
                self.rejected.extend(parts.iter().map(with_it));
            }
            Outcome::Left => {}
        }
    }
}

impl Report {
    pub fn new(
        source: &Source,
        outcomes: &Outcomes,
        gateway: &str,
        halted: Option<Halted>,
        took: Duration,
    ) -> Self {
        let mut tally = Tally { rejected: source.rejected.clone(), ..Tally::default() };
        for (row, outcome) in source.artists.iter().zip(&outcomes.artists) {
            tally.add(&row.at, &[], outcome);
        }
        for (album, outcome) in source.albums.iter().zip(&outcomes.albums) {
            tally.add(&album.row.at, &album.tracks, outcome);
        }
        for (row, outcome) in source.customers.iter().zip(&outcomes.customers) {
            tally.add(&row.at, &[], outcome);
        }
        let tables: Vec<Counts> = source
            .tables
            .iter()
            .map(|table| {
                let of = |counts: &BTreeMap<_, _>| counts.get(table.name).copied().unwrap_or(0);
                let (created, already_there) = (of(&tally.created), of(&tally.already_there));
                let rejected = tally.rejected.iter().filter(|r| r.at.table == table.name).count();
                let left = table.rows.saturating_sub(created + already_there + rejected);
                Counts {
                    table: table.name,
                    read: table.rows,
                    created,
                    already_there,
                    rejected,
                    left,
                }
            })
            .collect();
        // In the order of the tables, and within them as they were read.
        let order = |rejected: &Rejected| tables.iter().position(|t| t.table == rejected.at.table);
        tally.rejected.sort_by_key(order);
        let finished = tables.iter().all(|table| table.left == 0);
        Self {
            source: source.name.clone(),
            gateway: gateway.to_owned(),
            finished,
            // Whoever stops it after the last row comes too late.
            stopped: halted.filter(|_| !finished).map(|halted| halted.to_string()),
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            tables,
            rejected: tally.rejected,
        }
    }

    /// 0: everything is in the shop; 1: it could not finish; 2: some rows were rejected.
    pub fn exit_code(&self) -> u8 {
        match (self.finished, self.rejected.is_empty()) {
            (false, _) => 1,
            (true, false) => 2,
            (true, true) => 0,
        }
    }

    /// Tells it on standard output, and why it stopped on standard error.
    pub fn print(&self) {
        let _ = write!(std::io::stdout(), "{}", self.text());
        if let Some(why) = &self.stopped {
            let why = printable(why);
            let _ = writeln!(
                std::io::stderr(),
                "musiccorp: stopped before the end: {why}.\n\
                 Nothing is lost: the same command goes on where this one stopped."
            );
        }
    }

    fn text(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
        let seconds = self.duration_ms as f64 / 1_000.0;
        let source = printable(&self.source);
        let mut text = format!("{source}, into {}, in {seconds:.1} s\n\n", self.gateway);
        let with_left = !self.finished;
        let _ = write!(
            text,
            "{:<10}{:>8}{:>10}{:>15}{:>10}",
            "", "read", "created", "already there", "rejected"
        );
        text.push_str(if with_left { "      left\n" } else { "\n" });
        for counts in &self.tables {
            let Counts { table, read, created, already_there, rejected, left } = counts;
            let _ =
                write!(text, "{table:<10}{read:>8}{created:>10}{already_there:>15}{rejected:>10}");
            if with_left {
                let _ = write!(text, "{left:>10}");
            }
            text.push('\n');
        }
        if !self.rejected.is_empty() {
            text.push_str("\nRejected:\n");
        }
        for rejected in self.rejected.iter().take(MOST_SHOWN) {
            let line = format!("{}: {}", rejected.at, rejected.reason);
            let _ = writeln!(text, "  {}", printable(&line));
        }
        if let Some(more @ 1..) = self.rejected.len().checked_sub(MOST_SHOWN) {
            let _ = writeln!(text, "  and {more} more; `--report FILE.json` has all of them");
        }
        text
    }

    pub fn write(&self, file: &Path) -> Result<(), String> {
        let written = serde_json::to_string_pretty(self)
            .map_err(std::io::Error::from)
            .and_then(|text| std::fs::write(file, text + "\n"));
        written.map_err(|error| format!("the report {} cannot be written: {error}", file.display()))
    }
}

/// Without what a terminal would obey: the text holds names and answers of others.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::{Row, Table};

    fn report(outcomes: Vec<Outcome>) -> Report {
        let rows = outcomes.len();
        let artists = (1..=rows).map(|id| Row {
            at: Place::new("Artist", id),
            key: id.to_string(),
            body: json!({}),
        });
        let source = Source {
            artists: artists.collect(),
            tables: vec![Table { name: "Artist", rows }],
            ..Source::default()
        };
        let outcomes = Outcomes { artists: outcomes, albums: Vec::new(), customers: Vec::new() };
        Report::new(&source, &outcomes, "", None, Duration::ZERO)
    }

    fn there(is_new: bool) -> Outcome {
        Outcome::There { href: "/x".to_owned(), is_new }
    }

    fn rejected(row: usize) -> Outcome {
        Outcome::Rejected(Place::new("Artist", row).unreadable("because \u{1b}[2J"))
    }

    #[test]
    fn every_row_is_counted_once() {
        let report = report(vec![there(true), there(false), rejected(3), Outcome::Left]);
        let expected =
            Counts { table: "Artist", read: 4, created: 1, already_there: 1, rejected: 1, left: 1 };
        assert_eq!(report.tables, [expected]);
    }

    #[test]
    fn the_exit_code_tells_how_it_ended() {
        let code = |outcomes| report(outcomes).exit_code();
        assert_eq!(code(vec![there(true), there(false)]), 0);
        assert_eq!(code(vec![there(true), rejected(2)]), 2);
        assert_eq!(code(vec![rejected(1), Outcome::Left]), 1);
    }

    #[test]
    fn a_long_list_of_rejected_rows_is_cut_where_people_read_it() {
        let text = report((1..=23).map(rejected).collect()).text();
        assert!(text.contains("Artist 20: because") && !text.contains("Artist 21:"), "{text}");
        assert!(text.contains("and 3 more"), "{text}");
        assert!(!report((1..=20).map(rejected).collect()).text().contains("more"));
    }

    #[test]
    fn a_terminal_is_not_told_what_to_do_by_a_row() {
        assert_eq!(printable("a\u{1b}[2J\nb"), "a\u{fffd}[2J\u{fffd}b");
        assert!(!report(vec![rejected(1)]).text().contains('\u{1b}'));
    }
}
