//! Opening the file, with the settings that durability and small memory ask for.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{failure::explain, migrations, pause, slot::Slot, writer::BUSY_LIMIT};
use crate::{Error, Migration};

/// Statements that a connection keeps prepared.
const PREPARED: usize = 64;
/// Between two tries for a lock. Short, for a batch takes about a millisecond.
const RETRY: Duration = Duration::from_micros(100);
/// A reader looks at the clock after so many steps of SQLite's machine, about every 0.1 ms.
const STEPS: i32 = 10_000;

/// Opens the file for the writer and applies the migrations. Returns the log's path too.
pub(crate) fn for_writing(
    file: &Path,
    path: Arc<str>,
    known: &[Migration],
) -> Result<(Arc<Slot>, PathBuf), Error> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| Error::CannotOpen {
            path: path.to_string(),
            why: format!("its folder cannot be made: {error}"),
        })?;
    }
    let raised = |error: &rusqlite::Error| match explain(error, &path, "") {
        Error::CannotOpen { path, why } => {
            let why = format!(
                "{why}: it must be a file, or absent, in a folder that this user may write to"
            );
            Error::CannotOpen { path, why }
        }
        other => other,
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(file, flags).map_err(|error| raised(&error))?;
    wait_for_locks(&mut connection).map_err(|error| raised(&error))?;
    settings(&connection).map_err(|error| raised(&error))?;
    migrations::apply(&mut connection, &path, known)?;
    // SQLite names the log after the file itself, not after a symbolic link to it.
    let mut log = PathBuf::from(connection.path().unwrap_or(&path)).into_os_string();
    log.push("-wal");
    Ok((Slot::new(connection, path), log.into()))
}

fn settings(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(PREPARED);
    // 2 MiB of pages; a log that had to grow is cut back to 16 MiB.
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -2048;
         PRAGMA journal_size_limit = 16777216;",
    )?;
    // Turning a new file to WAL takes a lock that SQLite does not wait for when several
    // processes ask at once.
    let started = Instant::now();
    loop {
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        match mode {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && started.elapsed() < BUSY_LIMIT =>
            {
                pause(RETRY);
            }
            other => return other.map(|_: String| ()),
        }
    }
}

/// Waits for locks in short steps. SQLite's own handler sleeps up to 100 ms between two tries,
/// which lets the process that has just written come first again and again.
fn wait_for_locks(connection: &mut Connection) -> rusqlite::Result<()> {
    let mut since = Instant::now();
    connection.busy_handler(Some(move |tries: i32| {
        if tries == 0 {
            since = Instant::now();
        }
        pause(RETRY * u32::try_from(tries / 16 + 1).unwrap_or(1).min(10));
        since.elapsed() < BUSY_LIMIT
    }))
}

/// When a reader has to end, as microseconds after some instant.
pub(crate) struct Deadline {
    origin: Instant,
    at: Arc<AtomicU64>,
}

impl Deadline {
    /// Ends the statement that runs `after` from now.
    pub fn set(&self, after: Duration) -> Instant {
        let now = Instant::now();
        self.at.store(micros(now - self.origin + after), Ordering::Relaxed);
        now + after
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Opens the file for a reader.
pub(crate) fn for_reading(path: &Arc<str>) -> Result<(Arc<Slot>, Deadline), Error> {
    let opened = (|| {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(Path::new(&**path), flags)?;
        wait_for_locks(&mut connection)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        connection.execute_batch("PRAGMA cache_size = -1024;")?;
        let (origin, at) = (Instant::now(), Arc::new(AtomicU64::new(u64::MAX)));
        let shared = at.clone();
        connection.progress_handler(
            STEPS,
            Some(move || micros(origin.elapsed()) > shared.load(Ordering::Relaxed)),
        )?;
        Ok((connection, Deadline { origin, at }))
    })();
    let (connection, deadline) =
        opened.map_err(|error: rusqlite::Error| explain(&error, path, ""))?;
    Ok((Slot::new(connection, path.clone()), deadline))
}
