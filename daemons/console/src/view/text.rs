//! Moments, spans and references as text.

use jiff::{SignedDuration, Timestamp};

/// A moment: exact for programs, short for people. All in UTC, as logs and events have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub full: String,
    pub short: String,
}

impl Moment {
    /// The date only where it is not today's.
    pub fn of(moment: Timestamp, now: Timestamp) -> Self {
        let day = |moment: Timestamp| moment.strftime("%Y-%m-%d").to_string();
        let time = match day(moment) == day(now) {
            true => "%H:%M:%S",
            false => "%Y-%m-%d %H:%M",
        };
        Self { full: moment.to_string(), short: moment.strftime(time).to_string() }
    }

    /// Where nothing around it says the zone.
    pub fn alone(moment: Timestamp) -> Self {
        Self { full: moment.to_string(), short: clock(moment) }
    }

    /// From text that may be none.
    pub fn read(text: &str, now: Timestamp) -> Option<Self> {
        Some(Self::of(text.parse().ok()?, now))
    }
}

/// Time of day with zone.
pub(crate) fn clock(moment: Timestamp) -> String {
    moment.strftime("%H:%M:%S UTC").to_string()
}

/// A span with the precision that a reader can use: `120 ms`, `1.2 s`, `2 min 3 s`, `5 h 2 min`.
pub(crate) fn span(span: SignedDuration) -> String {
    let sign = if span.is_negative() { "−" } else { "" };
    let ms = span.as_millis().unsigned_abs();
    let text = match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..60_000 if ms % 1_000 < 50 => format!("{} s", ms / 1_000),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms / 100 % 10),
        60_000..3_600_000 => two(ms / 60_000, "min", ms / 1_000 % 60, "s"),
        3_600_000..86_400_000 => two(ms / 3_600_000, "h", ms / 60_000 % 60, "min"),
        _ => two(ms / 86_400_000, "d", ms / 3_600_000 % 24, "h"),
    };
    format!("{sign}{text}")
}

fn two(whole: u128, unit: &str, rest: u128, smaller: &str) -> String {
    match rest {
        0 => format!("{whole} {unit}"),
        _ => format!("{whole} {unit} {rest} {smaller}"),
    }
}

/// From `start` to `moment`, where both are moments.
pub(crate) fn since(start: &str, moment: &str) -> Option<String> {
    let (start, moment): (Timestamp, Timestamp) = (start.parse().ok()?, moment.parse().ok()?);
    Some(span(moment.duration_since(start)))
}

/// An absolute-path reference of this origin. Browsers read `//host` and `/\host` as another's
/// address and drop tabs and line ends, so none of these counts.
pub(crate) fn is_local(reference: &str) -> bool {
    reference.starts_with('/')
        && !reference.starts_with("//")
        && !reference.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\')
}

/// A text as one segment of a path or one value of a query (RFC 3986, 2.3).
pub(crate) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Its first characters.
pub(crate) fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Lines of at most `width` characters, broken at spaces where there are some.
pub(crate) fn wrap(text: &str, width: usize, lines: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let line = wrapped.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > width {
            wrapped.push(String::new());
        }
        let Some(line) = wrapped.last_mut() else { continue };
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let more = wrapped.len() > lines;
    wrapped.truncate(lines);
    if let Some(last) = wrapped.last_mut().filter(|_| more) {
        last.push('…');
    }
    wrapped.iter().map(|line| short(line, width)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_the_precision_that_a_reader_can_use() {
        for (ms, text) in [
            (0, "0 ms"),
            (120, "120 ms"),
            (-5, "−5 ms"),
            (1_000, "1 s"),
            (1_270, "1.2 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min"),
            (123_000, "2 min 3 s"),
            (18_120_000, "5 h 2 min"),
            (180_000_000, "2 d 2 h"),
        ] {
            assert_eq!(span(SignedDuration::from_millis(ms)), text);
        }
    }

    #[test]
    fn the_date_stands_where_it_is_not_today() {
        let now = "2026-01-02T00:00:01Z".parse().expect("valid");
        let shown = |text| Moment::read(text, now).map(|moment| moment.short);
        assert_eq!(shown("2026-01-02T23:59:59.5Z").as_deref(), Some("23:59:59"));
        assert_eq!(shown("2026-01-01T23:59:59Z").as_deref(), Some("2026-01-01 23:59"));
        assert_eq!(shown("yesterday"), None);
    }

    #[test]
    fn references_that_lead_elsewhere_are_none() {
        assert!(is_local("/customers/7?a=b"));
        for bad in
            ["", "customers", "//evil", "/\\evil", "/\t/evil", "javascript:alert(1)", "http://x/"]
        {
            assert!(!is_local(bad), "{bad}");
        }
        assert_eq!(segment("a/../b?c&ü"), "a%2F..%2Fb%3Fc%26%C3%BC");
    }

    #[test]
    fn titles_are_broken_at_spaces_and_cut_where_they_are_too_long() {
        assert_eq!(wrap("Loyalty account opened", 15, 2), ["Loyalty account", "opened"]);
        assert_eq!(wrap("one two three four five", 8, 2), ["one two", "three…"]);
        assert_eq!(wrap("Donaudampfschiff", 8, 2), ["Donaudam…"]);
        assert_eq!(wrap("", 8, 2), [""]);
    }
}
