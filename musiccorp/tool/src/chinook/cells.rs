//! Values of a row. SQLite lets any type stand in any column, so each is looked at.

use rusqlite::{Row, types::ValueRef};

/// The largest sum of money that a REAL still holds to the cent.
const MAX_MINOR: f64 = 9e15;

/// A value as people would write it.
pub fn shown(value: ValueRef) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) => format!("'{}'", String::from_utf8_lossy(bytes)),
        ValueRef::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
    }
}

/// Text that says something.
pub fn text(cells: &Row, column: &str) -> Result<String, String> {
    let wrong = |value| Err(format!("{column} is {}: it must be text", shown(value)));
    match get(cells, column)? {
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if text.trim().is_empty() => Err(format!("{column} is empty")),
            Ok(text) => Ok(text.trim().to_owned()),
            Err(_) => Err(format!("{column} is not valid UTF-8")),
        },
        value => wrong(value),
    }
}

/// A whole number.
pub fn number(cells: &Row, column: &str) -> Result<i64, String> {
    match get(cells, column)? {
        ValueRef::Integer(number) => Ok(number),
        value => Err(format!("{column} is {}: it must be a whole number", shown(value))),
    }
}

/// A length in milliseconds, if it is known.
pub fn length_ms(cells: &Row, column: &str) -> Result<Option<i64>, String> {
    if get(cells, column)? == ValueRef::Null {
        return Ok(None);
    }
    match number(cells, column)? {
        length if length > 0 => Ok(Some(length)),
        length => Err(format!("{column} is {length}: it must be more than 0")),
    }
}

/// A price in minor units, if there is one.
pub fn price_minor(cells: &Row, column: &str) -> Result<Option<i64>, String> {
    let value = get(cells, column)?;
    let minor = match value {
        ValueRef::Null => return Ok(None),
        ValueRef::Integer(major) => major.checked_mul(100),
        ValueRef::Real(major) => minor_of_real(major),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok().and_then(minor_of_text),
        ValueRef::Blob(_) => None,
    };
    match minor {
        Some(minor) if minor >= 0 => Ok(Some(minor)),
        Some(_) => Err(format!("{column} is {}: it must not be negative", shown(value))),
        None => Err(format!("{column} is {}: it must be an amount in whole cents", shown(value))),
    }
}

/// A REAL is never exactly 0.99; it must be as near as a computation leaves it.
fn minor_of_real(major: f64) -> Option<i64> {
    let exact = major * 100.0;
    let rounded = exact.round();
    let is_near = (exact - rounded).abs() <= 1e-6 && rounded.abs() <= MAX_MINOR;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within MAX_MINOR")]
    is_near.then_some(rounded as i64)
}

/// Decimal text, exactly: `0.99`, `1`, `-1.5`, `0.990`.
fn minor_of_text(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let (cents, rest) = fraction.split_at(fraction.len().min(2));
    if rest.bytes().any(|b| b != b'0') {
        return None;
    }
    let minor = whole.parse::<i64>().ok()?.checked_mul(100)?;
    Some(sign * minor.checked_add(format!("{cents:0<2}").parse().ok()?)?)
}

fn get<'a>(cells: &'a Row, column: &str) -> Result<ValueRef<'a>, String> {
    cells.get_ref(column).map_err(|error| format!("{column} cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_cents_exactly_or_not_at_all() {
        let cents = ["0.99", "1", "1.9", "12.990", "-0.99", " 0.00 "].map(minor_of_text);
        assert_eq!(cents, [99, 100, 190, 1299, -99, 0].map(Some));
        let wrong =
            ["", "-", ".", "1.", ".5", "0.999", "1,99", "1e2", "0x1", "99999999999999999999"];
        assert_eq!(wrong.map(minor_of_text), [None; 10]);
    }

    #[test]
    fn a_real_becomes_cents_when_it_is_one_but_for_its_last_bits() {
        let cents = [0.99, 1.99, 0.1 + 0.2, 1e6, -0.99, 0.0].map(minor_of_real);
        assert_eq!(cents, [99, 199, 30, 100_000_000, -99, 0].map(Some));
        let wrong = [0.995, 0.991, 1e30, f64::INFINITY, f64::NAN].map(minor_of_real);
        assert_eq!(wrong, [None; 5]);
    }

    #[test]
    fn every_cent_is_itself() {
        for cents in 0..100_000_i32 {
            assert_eq!(minor_of_real(f64::from(cents) / 100.0), Some(i64::from(cents)));
        }
    }
}
