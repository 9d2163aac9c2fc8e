//! What people see: the one place that writes to the terminal.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

/// Writes a line for people or programs. A reader that went away is no failure.
pub fn say(line: impl fmt::Display) {
    let _ = is_heard(line);
}

/// The same for an endless stream: false when the reader went away (`| head`).
pub fn is_heard(line: impl fmt::Display) -> bool {
    writeln!(io::stdout(), "{line}").is_ok()
}

/// Says what went wrong.
pub fn complain(error: &impl fmt::Display) {
    let _ = writeln!(io::stderr(), "backline: {}", error.to_string().trim_end());
}

/// Text of others in one line: what they write shall not steer the terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// `text` in bold, where that can be shown and is wanted.
pub fn bold(text: impl fmt::Display) -> String {
    // The convention of no-color.org: any value but the empty one.
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stdout().is_terminal() && !unwanted {
        format!("\x1b[1m{text}\x1b[0m")
    } else {
        text.to_string()
    }
}

/// How far the start is: a line that moves on a terminal, one plain line elsewhere.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// `told`: whether anybody wants to know.
    pub fn new(system: &str, told: bool) -> Self {
        if !told || !io::stderr().is_terminal() {
            if told {
                say(format_args!("starting {system}"));
            }
            return Self { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.set_message(format!("starting {system}"));
        bar.enable_steady_tick(Duration::from_millis(80));
        Self { bar }
    }

    pub fn show(&self, ready: usize, waiting: &[String]) {
        let total = ready + waiting.len();
        let named = waiting.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if waiting.len() > 3 { ", ..." } else { "" };
        self.bar.set_message(format!("{ready} of {total} healthy, waiting for {named}{more}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A time as people say it: `85 ms`, `2.4 s`, `12 min`.
pub fn human(duration: Duration) -> String {
    match duration.as_millis() {
        ms @ 0..1000 => format!("{ms} ms"),
        1000..10_000 => format!("{:.1} s", duration.as_secs_f64()),
        10_000..120_000 => format!("{} s", duration.as_secs()),
        120_000..7_200_000 => format!("{} min", duration.as_secs() / 60),
        _ => format!("{} h", duration.as_secs() / 3600),
    }
}

/// A size in megabytes (10^6 bytes), with one digit behind the point.
pub fn megabytes(bytes: u64) -> String {
    // One digit is shown; the float's 52 bits are more than enough for it.
    #[expect(clippy::cast_precision_loss, reason = "one digit behind the point is shown")]
    let megabytes = bytes as f64 / 1e6;
    format!("{megabytes:.1} MB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_tell_them() {
        let told =
            [85, 2_440, 59_000, 720_000, 86_400_000].map(|ms| human(Duration::from_millis(ms)));
        assert_eq!(told, ["85 ms", "2.4 s", "59 s", "12 min", "24 h"]);
    }
}
