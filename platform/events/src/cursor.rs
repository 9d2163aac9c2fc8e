use std::{fmt, str::FromStr};

/// A place in a feed: everything up to and including `position` of `epoch` lies behind it.
///
/// Written `<epoch>.<position>` on the wire. Readers treat that text as opaque.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Which life of the producer's store the position belongs to. Changes when the store is new.
    pub epoch: String,
    /// Counts from 1; 0 stands before the first event. Positions ascend but may leave gaps.
    pub position: i64,
}

/// A cursor that is not of the form `<epoch>.<position>`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no cursor: give the one of a feed's `next` link unchanged, or none to start at the beginning"
)]
pub struct InvalidCursor(String);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.position)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidCursor(text.chars().take(80).collect());
        let (epoch, position) = text.rsplit_once('.').ok_or_else(invalid)?;
        let well_formed = !epoch.is_empty()
            && epoch.len() <= 64
            && epoch.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let position = position.parse().map_err(|_| invalid())?;
        if !well_formed || position < 0 {
            return Err(invalid());
        }
        Ok(Self { epoch: epoch.to_owned(), position })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_wire() {
        let cursor = Cursor { epoch: "0198-ab".into(), position: 42 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", "7", ".7", "e.", "e.-1", "e.x", "e e.1", "é.1", "e.99999999999999999999"]
        {
            assert!(text.parse::<Cursor>().is_err(), "{text:?} was taken");
        }
    }
}
