//! The threads that read. Each has a connection; both come when needed and go when idle.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    INSIDE,
    job::Job,
    open::{self, Deadline},
    slot::Slot,
    spawn,
    writer::BUSY_LIMIT,
};
use crate::Error;

/// The longest that a read may take.
pub(crate) const READ_LIMIT: Duration = Duration::from_secs(5);
/// A reader without work for so long closes its connection and ends.
pub(crate) const IDLE: Duration = Duration::from_secs(10);
const MOST: usize = 4;

pub(crate) struct Readers(Arc<Shared>);

struct Shared {
    path: Arc<str>,
    /// How long a thread stays without work.
    idle: Duration,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Box<dyn Job>>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Readers {
    pub fn new(path: Arc<str>, idle: Duration) -> Self {
        Self(Arc::new(Shared { path, idle, state: Mutex::default(), work: Condvar::new() }))
    }

    pub fn submit(&self, job: Box<dyn Job>) -> Result<(), Error> {
        let mut state = self.0.lock();
        // Those that are idle may have been given work already that they have not taken yet.
        if state.queue.len() >= state.idle && state.threads < MOST {
            let shared = self.0.clone();
            match spawn("store-reader", &self.0.path, move || shared.serve()) {
                Ok(()) => state.threads += 1,
                Err(error) if state.threads == 0 => return Err(error),
                // Those that are there will come to it.
                Err(_) => {}
            }
        }
        state.queue.push_back(job);
        drop(state);
        self.0.work.notify_one();
        Ok(())
    }
}

#[cfg(test)]
impl Readers {
    pub fn threads(&self) -> usize {
        self.0.lock().threads
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that could panic is done under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        INSIDE.set(true);
        let mut connection = None;
        while let Some(job) = self.next() {
            if job.is_abandoned() {
                job.finish(Ok(()));
                continue;
            }
            let waited = job.waited();
            if waited > BUSY_LIMIT {
                job.finish(Err(Error::Busy { path: self.path.to_string(), waited }));
                continue;
            }
            if connection.is_none() {
                match open::for_reading(&self.path) {
                    Ok(opened) => connection = Some(opened),
                    Err(error) => {
                        job.finish(Err(error));
                        continue;
                    }
                }
            }
            if let Some((slot, deadline)) = &connection
                && !read(job, slot, deadline)
            {
                connection = None;
            }
        }
    }

    /// The next job; none when there was none for long enough, or never will be.
    fn next(&self) -> Option<Box<dyn Job>> {
        let mut state = self.lock();
        let until = Instant::now() + self.idle;
        loop {
            if let Some(job) = state.queue.pop_front() {
                return Some(job);
            }
            let left = until.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.idle -= 1;
        }
    }
}

/// Runs one read. Whether the connection can be used again.
fn read(mut job: Box<dyn Job>, slot: &Arc<Slot>, deadline: &Deadline) -> bool {
    slot.set_deadline(Some(deadline.set(READ_LIMIT)));
    if let Err(error) = slot.run("BEGIN") {
        job.finish(Err(error));
        return false;
    }
    job.run(slot);
    // Ending the snapshot must not be interrupted itself.
    deadline.set(Duration::from_secs(3600));
    let ended = slot.is_autocommit() || slot.run("ROLLBACK").is_ok();
    job.finish(Ok(()));
    ended
}
