//! The audit log.

use backline_client::Record;
use jiff::Timestamp;

use super::text::Moment;

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
