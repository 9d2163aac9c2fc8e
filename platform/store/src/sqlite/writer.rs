//! The thread that writes: takes what waits into one transaction, and syncs the disk once for all.

use std::{
    collections::VecDeque,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{job::Job, pause, slot::Slot};
use crate::Error;

/// How long to try for the file's lock, and how long a job may wait before its turn.
pub(crate) const BUSY_LIMIT: Duration = Duration::from_secs(5);
/// A batch ends after so many closures, or so much time: siblings wait for it.
const BATCH: usize = 256;
const BATCH_TIME: Duration = Duration::from_millis(5);
/// The pause after a batch while siblings write too; they try for the lock every 0.1 ms.
const YIELD: Duration = Duration::from_micros(200);
/// A sibling that never got the lock cannot be seen, so there is a pause at least this often.
const YIELD_EVERY: Duration = Duration::from_millis(20);
/// So long after a sibling's commit it counts as writing.
const CONTENDED: Duration = Duration::from_millis(100);

pub(crate) enum Message {
    Job(Box<dyn Job>),
    /// The log has changed: was that a sibling's commit?
    Look,
}

struct Writer<'a> {
    slot: Arc<Slot>,
    commits: &'a watch::Sender<u64>,
    waiting: VecDeque<Box<dyn Job>>,
    /// SQLite's number for what others have committed.
    version: i64,
    sibling_seen: Option<Instant>,
    yielded: Instant,
}

/// Works until the last sender is gone.
pub(crate) fn run(slot: Arc<Slot>, queue: &mpsc::Receiver<Message>, commits: &watch::Sender<u64>) {
    let mut writer = Writer {
        slot,
        commits,
        waiting: VecDeque::new(),
        version: 0,
        sibling_seen: None,
        yielded: Instant::now(),
    };
    // The first look only sets the number to compare with.
    writer.version = writer.slot.ask(VERSION).unwrap_or_default();
    loop {
        let mut look = false;
        if writer.waiting.is_empty() {
            match queue.recv() {
                Ok(message) => writer.take(message, &mut look),
                Err(_) => return,
            }
        }
        while let Ok(message) = queue.try_recv() {
            writer.take(message, &mut look);
        }
        if writer.waiting.is_empty() {
            if look && writer.notice_siblings() {
                writer.announce();
            }
        } else {
            writer.batch();
            writer.let_siblings_in();
        }
    }
}

const VERSION: &str = "PRAGMA data_version";

impl Writer<'_> {
    fn take(&mut self, message: Message, look: &mut bool) {
        match message {
            Message::Job(job) => self.waiting.push_back(job),
            Message::Look => *look = true,
        }
    }

    /// Whether another process has committed since the last time this was asked.
    fn notice_siblings(&mut self) -> bool {
        match self.slot.ask(VERSION) {
            Ok(version) if version == self.version => false,
            Ok(version) => {
                self.version = version;
                self.sibling_seen = Some(Instant::now());
                true
            }
            // Too many looks do no harm, one too few would.
            Err(_) => true,
        }
    }

    fn announce(&self) {
        self.commits.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The next jobs that somebody still waits for.
    fn next_batch(&mut self) -> VecDeque<Box<dyn Job>> {
        let mut batch = VecDeque::new();
        while batch.len() < BATCH
            && let Some(job) = self.waiting.pop_front()
        {
            let waited = job.waited();
            if job.is_abandoned() {
                job.finish(Ok(()));
            } else if waited > BUSY_LIMIT {
                job.finish(Err(Error::Busy { path: self.slot.path().to_string(), waited }));
            } else {
                batch.push_back(job);
            }
        }
        batch
    }

    fn batch(&mut self) {
        let mut batch = self.next_batch();
        if batch.len() < 2 {
            if let Some(job) = batch.pop_front() {
                self.alone(job);
            }
            return;
        }
        if let Err(error) = self.slot.run("BEGIN IMMEDIATE") {
            return give_up(batch, &error);
        }
        let siblings = self.notice_siblings();
        let before = self.slot.changes();
        let started = Instant::now();
        let mut done = Vec::with_capacity(batch.len());
        while started.elapsed() < BATCH_TIME
            && let Some(mut job) = batch.pop_front()
        {
            let kept = self.in_savepoint(&mut *job);
            done.push(job);
            if kept.is_err() {
                // The transaction is gone, and what every one of them did with it.
                self.roll_back();
                return self.each_alone(done, batch);
            }
        }
        // What there was no time for comes first in the next batch.
        while let Some(job) = batch.pop_back() {
            self.waiting.push_front(job);
        }
        match self.slot.run("COMMIT") {
            Ok(()) => {
                if siblings || self.slot.changes() != before {
                    self.announce();
                }
                done.into_iter().for_each(|job| job.finish(Ok(())));
            }
            Err(Error::Constraint { .. }) => {
                // A deferred rule is broken, by one of them: alone, each learns if it was itself.
                self.roll_back();
                self.each_alone(done, VecDeque::new());
            }
            Err(error) => {
                self.roll_back();
                give_up(done, &error);
            }
        }
    }

    /// Runs one of several closures. An error means that the whole transaction is lost.
    fn in_savepoint(&self, job: &mut dyn Job) -> Result<(), Error> {
        self.slot.run("SAVEPOINT closure")?;
        let keep = job.run(&self.slot);
        if self.slot.is_autocommit() {
            return Err(Error::RolledBack);
        }
        if !keep {
            self.slot.run("ROLLBACK TO closure")?;
        }
        self.slot.run("RELEASE closure")
    }

    fn each_alone(&mut self, done: Vec<Box<dyn Job>>, rest: VecDeque<Box<dyn Job>>) {
        for job in done.into_iter().chain(rest) {
            self.alone(job);
        }
    }

    /// Runs one closure in a transaction of its own.
    fn alone(&mut self, mut job: Box<dyn Job>) {
        if let Err(error) = self.slot.run("BEGIN IMMEDIATE") {
            return job.finish(Err(error));
        }
        let siblings = self.notice_siblings();
        let before = self.slot.changes();
        let keep = job.run(&self.slot);
        let ended = if self.slot.is_autocommit() {
            Err(Error::RolledBack)
        } else if keep {
            self.slot.run("COMMIT")
        } else {
            Ok(())
        };
        if ended.is_err() || !keep {
            self.roll_back();
        }
        if siblings || (keep && ended.is_ok() && self.slot.changes() != before) {
            self.announce();
        }
        job.finish(ended);
    }

    fn roll_back(&self) {
        if !self.slot.is_autocommit()
            && let Err(error) = self.slot.run("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be taken back");
        }
    }

    /// Leaves the lock alone for a moment. SQLite does not queue those who wait for it: who has
    /// just had it would have it again before any other looks.
    fn let_siblings_in(&mut self) {
        let contended = self.sibling_seen.is_some_and(|seen| seen.elapsed() < CONTENDED);
        if contended || self.yielded.elapsed() > YIELD_EVERY {
            pause(YIELD);
            self.yielded = Instant::now();
        }
    }
}

fn give_up(jobs: impl IntoIterator<Item = Box<dyn Job>>, error: &Error) {
    for job in jobs {
        job.finish(Err(error.clone()));
    }
}
