//! The audit log.

use jiff::Timestamp;

use super::text::Moment;
use crate::operator::Record;

/// One line of the audit log.
pub(crate) struct Recorded {
    pub at: Option<Moment>,
    pub record: Record,
}

impl Recorded {
    pub fn of(record: Record, now: Timestamp) -> Self {
        Self { at: Moment::read(&record.at, now), record }
    }
}
