//! Values as people read them: money as an amount, a length in minutes, a moment as a date.

use askama::Template;
use jiff::Timestamp;

use super::href;
use crate::value::{Object, Value};

/// A value on a page.
#[derive(Debug, PartialEq, Template)]
#[template(path = "value.html")]
pub(crate) enum Shown {
    Nothing,
    Text(String),
    Number(String),
    Link(String),
    /// The amount in the currency's usual unit.
    Money {
        amount: String,
        currency: String,
    },
    /// `exact` in ISO 8601.
    Length {
        text: String,
        exact: String,
    },
    Time {
        text: String,
        exact: String,
    },
    List(Vec<Shown>),
    Members(Vec<Member>),
}

/// A field with its label.
#[derive(Debug, PartialEq)]
pub(crate) struct Member {
    pub label: String,
    pub shown: Shown,
}

// The template escapes what it writes.
impl askama::filters::HtmlSafe for Shown {}

impl Shown {
    pub fn of(name: &str, value: &Value) -> Self {
        match value {
            Value::Null => Self::Nothing,
            Value::Bool(flag) => Self::Text(if *flag { "yes" } else { "no" }.to_owned()),
            Value::Number(digits) => {
                length(name, digits).unwrap_or_else(|| Self::Number(digits.clone()))
            }
            Value::String(text) => time(text).unwrap_or_else(|| {
                let wrap = if href::is_clickable(text) { Self::Link } else { Self::Text };
                wrap(text.clone())
            }),
            Value::Array(items) => {
                Self::List(items.iter().map(|item| Self::of(name, item)).collect())
            }
            Value::Object(object) => {
                money(object).unwrap_or_else(|| Self::Members(members(object)))
            }
        }
    }

    /// Whether it belongs to the right in a column.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Money { .. } | Self::Length { .. })
    }
}

/// An object's members, each with its label.
pub(crate) fn members(object: &Object) -> Vec<Member> {
    object
        .iter()
        .map(|(name, value)| Member { label: label(name), shown: Shown::of(name, value) })
        .collect()
}

/// A label for a name: `release_date` becomes `Release date`. The unit of a length is dropped,
/// since it is shown in minutes.
pub(crate) fn label(name: &str) -> String {
    let name = if is_length(name) { name.trim_end_matches("_ms") } else { name };
    let text = name.replace(['_', '-'], " ");
    let mut chars = text.trim().chars();
    chars
        .next()
        .map_or_else(|| name.to_owned(), |first| first.to_uppercase().chain(chars).collect())
}

fn is_length(name: &str) -> bool {
    name == "length_ms" || name.ends_with("_length_ms")
}

/// Minutes and seconds, as players show them: what is left of a second is cut off.
fn length(name: &str, digits: &str) -> Option<Shown> {
    let milliseconds: u64 = digits.parse().ok().filter(|_| is_length(name))?;
    let seconds = milliseconds / 1000;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let text = match hours {
        0 => format!("{minutes}:{rest:02}"),
        _ => format!("{hours}:{minutes:02}:{rest:02}"),
    };
    Some(Shown::Length { text, exact: format!("PT{seconds}.{:03}S", milliseconds % 1000) })
}

/// A moment as RFC 3339 writes it, and as nothing else does: a text that merely looks like a date
/// stays a text.
fn time(text: &str) -> Option<Shown> {
    let bytes = text.as_bytes();
    let offset = bytes.len().checked_sub(6).and_then(|start| bytes.get(start));
    let complete = bytes.len() >= 20
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && (bytes[4], bytes[7], bytes[10], bytes[13], bytes[16]) == (b'-', b'-', b'T', b':', b':')
        && (bytes.ends_with(b"Z") || matches!(offset, Some(b'+' | b'-')));
    let moment: Timestamp = text.parse().ok().filter(|_| complete)?;
    Some(Shown::Time { text: moment_text(moment), exact: text.to_owned() })
}

/// A moment for people, in UTC, to the second. A line may break between date and time alone.
pub(crate) fn moment_text(moment: Timestamp) -> String {
    moment.strftime("%-d\u{a0}%b\u{a0}%Y, %H:%M:%S\u{a0}UTC").to_string()
}

/// `{amount_minor, currency}` with nothing else.
fn money(object: &Object) -> Option<Shown> {
    let (Value::Number(minor), Value::String(currency)) =
        (object.get("amount_minor")?, object.get("currency")?)
    else {
        return None;
    };
    let is_code = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
    let digits = minor.strip_prefix('-').unwrap_or(minor);
    let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    if object.len() != 2 || !is_code || !is_whole {
        return None;
    }
    let sign = if digits.len() < minor.len() { "\u{2212}" } else { "" };
    let amount = format!("{sign}{}", decimal(digits, decimals(currency)));
    Some(Shown::Money { amount, currency: currency.clone() })
}

/// How many decimals a currency has (ISO 4217; those that do not have two).
fn decimals(currency: &str) -> usize {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX"
        | "UYI" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

/// Digits with a decimal point, the whole part in groups of three with a narrow space between.
fn decimal(digits: &str, decimals: usize) -> String {
    let digits = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let mut text = String::new();
    for (at, digit) in whole.char_indices() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    if decimals > 0 {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(name: &str, value: &serde_json::Value) -> Shown {
        Shown::of(name, &Value::of(value).expect("is JSON"))
    }

    fn html(name: &str, value: &serde_json::Value) -> String {
        shown(name, value).render().expect("renders").trim().to_owned()
    }

    fn money_text(minor: i64, currency: &str) -> String {
        match shown("price", &json!({ "amount_minor": minor, "currency": currency })) {
            Shown::Money { amount, currency } => format!("{amount} {currency}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn money_is_an_amount_with_the_currencys_decimals() {
        assert_eq!(money_text(999, "EUR"), "9.99 EUR");
        assert_eq!(money_text(5, "USD"), "0.05 USD");
        assert_eq!(money_text(0, "USD"), "0.00 USD");
        assert_eq!(money_text(-1250, "GBP"), "\u{2212}12.50 GBP");
        assert_eq!(money_text(123_456_789, "EUR"), "1\u{202f}234\u{202f}567.89 EUR");
        assert_eq!(money_text(100_000, "EUR"), "1\u{202f}000.00 EUR");
        assert_eq!(money_text(1500, "JPY"), "1\u{202f}500 JPY");
        assert_eq!(money_text(1500, "KWD"), "1.500 KWD");
        assert_eq!(money_text(1500, "CLF"), "0.1500 CLF");
    }

    #[test]
    fn what_is_not_quite_money_stays_an_object() {
        for value in [
            json!({ "amount_minor": 999 }),
            json!({ "amount_minor": 999, "currency": "euro" }),
            json!({ "amount_minor": 999, "currency": "eur" }),
            json!({ "amount_minor": 9.5, "currency": "EUR" }),
            json!({ "amount_minor": "999", "currency": "EUR" }),
            json!({ "amount_minor": 999, "currency": "EUR", "tax": 1 }),
        ] {
            assert!(matches!(shown("price", &value), Shown::Members(_)), "{value}");
        }
    }

    #[test]
    fn a_length_is_in_minutes_and_seconds() {
        let text = |name: &str, milliseconds: i64| match shown(name, &json!(milliseconds)) {
            Shown::Length { text, exact } => (text, exact),
            other => panic!("{other:?}"),
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(text("length_ms", 223_719), pair("3:43", "PT223.719S"));
        assert_eq!(text("length_ms", 59_999), pair("0:59", "PT59.999S"));
        assert_eq!(text("length_ms", 60_000), pair("1:00", "PT60.000S"));
        assert_eq!(text("total_length_ms", 3_725_004), pair("1:02:05", "PT3725.004S"));
        for (name, value) in
            [("length_ms", json!(-1)), ("length_ms", json!(1.5)), ("took_ms", json!(1))]
        {
            assert!(matches!(shown(name, &value), Shown::Number(_)), "{name} {value}");
        }
    }

    #[test]
    fn a_moment_is_a_date_and_nothing_else_is() {
        let moment = shown("created", &json!("2026-11-02T23:30:05.25-02:00"));
        let text = "3\u{a0}Nov\u{a0}2026, 01:30:05\u{a0}UTC".to_owned();
        assert_eq!(moment, Shown::Time { text, exact: "2026-11-02T23:30:05.25-02:00".to_owned() });
        assert!(matches!(shown("at", &json!("2026-11-02T23:30:05Z")), Shown::Time { .. }));
        for text in [
            "2026-11-02",
            "2026-11-02T23:30Z",
            "2026-11-02 23:30:05Z",
            "2026-11-02T23:30:05",
            "2026-13-02T23:30:05Z",
            "20261102T233005.000Z",
            "2026-11-02T23:30:05Z[x]",
        ] {
            assert!(matches!(shown("at", &json!(text)), Shown::Text(_)), "{text}");
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        let value = Value::Number("12345678901234567890.10".to_owned());
        assert_eq!(Shown::of("n", &value), Shown::Number("12345678901234567890.10".to_owned()));
    }

    #[test]
    fn references_become_links_and_code_does_not() {
        assert_eq!(html("artist", &json!("/artists/3")), r#"<a href="/artists/3">/artists/3</a>"#);
        let href = "https://a.example/?b=\"><script>";
        assert_eq!(shown("site", &json!(href)), Shown::Link(href.to_owned()));
        let written = html("site", &json!(href));
        assert!(written.contains("rel=\"noopener noreferrer\""), "{written}");
        assert!(!written.contains("<script"), "{written}");
        for text in ["javascript:alert(1)", "//evil.example", "<a href=/x>"] {
            let written = html("site", &json!(text));
            assert!(!written.contains("<a"), "{written}");
        }
    }

    #[test]
    fn nested_values_are_legible() {
        let written = html("tags", &json!([{ "first_name": "A&B" }, null, true, 7]));
        let bare: String = written.split_whitespace().collect();
        assert!(bare.contains("<dt>Firstname</dt><dd><spanclass=\"text\">A&#38;B<"), "{written}");
        assert!(bare.contains(">—<") && bare.contains(">yes<"), "{written}");
        assert_eq!(bare.matches("<li>").count(), 4, "{written}");
        assert!(html("tags", &json!([])).contains("none"));
    }

    #[test]
    fn labels_are_made_of_names() {
        for (name, wanted) in [
            ("firstname", "Firstname"),
            ("release_date", "Release date"),
            ("mails-of", "Mails of"),
            ("length_ms", "Length"),
            ("took_ms", "Took ms"),
            ("élan", "Élan"),
            ("", ""),
            ("_", "_"),
        ] {
            assert_eq!(label(name), wanted, "{name}");
        }
    }

    #[test]
    fn numbers_stand_right_in_a_column() {
        assert!(shown("a", &json!(1)).is_number());
        assert!(shown("length_ms", &json!(1)).is_number());
        assert!(!shown("a", &json!("1")).is_number());
    }
}
