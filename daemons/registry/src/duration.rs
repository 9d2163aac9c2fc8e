//! Durations as Go writes them, for they are part of Consul's API: `5m`, `1h30m`, `100ms`, `1.5s`.

use std::{fmt::Write, time::Duration};

const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("μs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3_600.0),
];

/// A text that is not a duration.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("'{0}' is not a duration: write it like 30s, 5m, 100ms or 1h30m")]
pub struct InvalidDuration(String);

/// Reads a duration: one or more numbers, each with its unit (ns, us, ms, s, m, h); or a bare `0`.
///
/// # Errors
/// For anything else, a negative duration among it.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration(text.chars().take(40).collect());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let number_ends =
            rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let (number, unit_on) = rest.split_at(number_ends);
        let unit_ends =
            unit_on.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit_on.len());
        let (unit, after) = unit_on.split_at(unit_ends);
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let (_, worth) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?;
        seconds += number * worth;
        rest = after;
    }
    if text.is_empty() {
        return Err(invalid());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| invalid())
}

/// Writes a duration as Go does: `1m30s`, `250ms`.
#[must_use]
pub fn format(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds == 0 {
        let nanos = duration.subsec_nanos();
        return match nanos {
            0 => "0s".into(),
            1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => format!("{}µs", f64::from(nanos) / 1e3),
            _ => format!("{}ms", f64::from(nanos) / 1e6),
        };
    }
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let mut text = String::new();
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if hours > 0 || minutes > 0 {
        let _ = write!(text, "{minutes}m");
    }
    let rest = Duration::new(seconds % 60, duration.subsec_nanos());
    let _ = write!(text, "{}s", rest.as_secs_f64());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_read() {
        for (text, millis) in [
            ("5m", 300_000),
            ("30s", 30_000),
            ("100ms", 100),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "-5s",
            "5 s",
            "5x",
            "1.2.3s",
            "5sm",
            "NaNs",
            "1e9s",
            ".s",
            "9".repeat(400).as_str(),
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn they_are_written_as_go_does() {
        for (millis, text) in
            [(0, "0s"), (100, "100ms"), (1_500, "1.5s"), (60_000, "1m0s"), (5_400_000, "1h30m0s")]
        {
            assert_eq!(format(Duration::from_millis(millis)), text);
        }
    }
}
