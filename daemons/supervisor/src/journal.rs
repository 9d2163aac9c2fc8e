//! What the supervisor itself did: one line for each event, in `var/log/supervisor.log` and on the
//! terminal of a supervisor that has one.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use jiff::Timestamp;

use crate::{failure::Failure, place::Var, terminal::say};

/// Logs larger than this are put aside, and one older one is kept: 20 MB for a process at most.
const LARGEST_BYTES: u64 = 10 * 1024 * 1024;

#[derive(Debug)]
pub struct Journal {
    file: File,
    echo: bool,
}

impl Journal {
    /// `echo`: also to the terminal.
    pub fn open(var: &Var, echo: bool) -> Result<Self, Failure> {
        Ok(Self { file: append_to(var)?, echo })
    }

    pub fn note(&self, line: impl fmt::Display) {
        let line = self.record(line);
        if self.echo {
            say(line);
        }
    }

    /// Into the file only; returns the line with its time.
    pub fn record(&self, line: impl fmt::Display) -> String {
        let line = format!("{} {line}", Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ"));
        // A full disk must not end the supervisor.
        let _ = writeln!(&self.file, "{line}");
        line
    }
}

/// The supervisor's log, open for appending.
pub fn append_to(var: &Var) -> Result<File, Failure> {
    let path = var.log("supervisor");
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    opened.map_err(Failure::file("open", path))
}

/// Puts a log aside that has grown too large. Its process goes on writing to the same open file,
/// so that is copied and emptied, not renamed; a line written between the two is lost.
pub fn keep_small(log: &Path) {
    if log.metadata().is_ok_and(|file| file.len() > LARGEST_BYTES) {
        let emptied = std::fs::copy(log, log.with_extension("log.1"))
            .and_then(|_| OpenOptions::new().write(true).open(log))
            .and_then(|file| file.set_len(0));
        // It is tried again in a second.
        drop(emptied);
    }
}

/// The last `lines` lines of a log, from its last 64 KiB, or as many KiB as lines are asked for.
pub fn tail(log: &Path, lines: usize) -> Vec<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut text = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        let length = file.metadata()?.len();
        let most = 1024 * lines.max(64) as u64;
        file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
        file.read_to_end(&mut text)
    });
    if read.is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&text);
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_grew_too_large_is_put_aside_under_its_writer() {
        let folder = std::env::temp_dir().join(format!("backline-journal-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let log = folder.join("loyalty-1.log");
        let mut writer = OpenOptions::new().append(true).create(true).open(&log).expect("a log");
        writer.write_all(b"small\n").expect("written");
        keep_small(&log);
        assert_eq!(tail(&log, 9), ["small"]);
        writer.set_len(LARGEST_BYTES).expect("a long file");
        writer.write_all(b"\nold\n").expect("written");
        keep_small(&log);
        writer.write_all(b"new\n").expect("written");
        assert_eq!(tail(&log, 9), ["new"]);
        assert_eq!(tail(&folder.join("loyalty-1.log.1"), 1), ["old"]);
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
