//! What is to be done when: checks to run, checks that expire, instances to take out.
//!
//! One ordered map serves all checks, so that a check costs an entry and no task or timer of its
//! own.

use std::{collections::BTreeMap, sync::Arc};

use tokio::time::Instant;

use crate::check::Probe;

/// A check to run now. Its result counts only while the check is the same.
#[derive(Clone, Debug)]
pub struct Job {
    /// The check.
    pub check: String,
    /// Which registration of the check.
    pub ticket: u64,
    /// What to do.
    pub probe: Arc<Probe>,
    /// Whether it used up its time when it last ran.
    pub slow: bool,
}

/// What becomes due, by the ID of the check that it is about.
#[derive(Debug)]
pub(super) enum Due {
    /// The check is to be run.
    Run(String),
    /// Nothing was heard for the check's TTL.
    Expire(String),
    /// The check was critical for as long as it may be.
    Reap(String),
}

/// Names an entry, to take it back.
pub(super) type Entry = (Instant, u64);

#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: BTreeMap<Entry, Due>,
    last: u64,
}

impl Agenda {
    pub fn add(&mut self, at: Instant, due: Due) -> Entry {
        self.last += 1;
        let entry = (at, self.last);
        self.entries.insert(entry, due);
        entry
    }

    pub fn cancel(&mut self, entry: Option<Entry>) {
        if let Some(entry) = entry {
            self.entries.remove(&entry);
        }
    }

    pub fn pop(&mut self, now: Instant) -> Option<Due> {
        let first = self.entries.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub fn next(&self) -> Option<Instant> {
        self.entries.first_key_value().map(|((at, _), _)| *at)
    }
}
