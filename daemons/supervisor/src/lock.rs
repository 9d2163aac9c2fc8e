//! One supervisor for one `var`.
//!
//! A lock that the kernel holds for the process (flock): it is gone when the process is, however
//! that happened. What stands in the file is for people only.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Write as _},
    path::PathBuf,
};

use jiff::Timestamp;

use crate::{failure::Failure, place::Var};

/// The lock, held as long as this lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Somebody else's lock.
#[derive(Debug, thiserror::Error)]
#[error(
    "'{}' is in use by another supervisor ({holder}): see `backline status`, end it with \
     `backline down`, or give this one a folder of its own with --var DIR", var.display()
)]
pub struct Held {
    var: PathBuf,
    holder: String,
}

impl Lock {
    /// Takes the lock for this process.
    pub fn take(var: &Var) -> Result<Self, Failure> {
        let mut lock = Self::try_take(var)?;
        let since = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        let text = format!("pid {}, since {since}", std::process::id());
        lock._file
            .set_len(0)
            .and_then(|()| lock._file.write_all(text.as_bytes()))
            .map_err(Failure::file("write", var.lock()))?;
        Ok(lock)
    }

    /// Fails where another process holds the lock, before anything costly is done.
    pub fn check(var: &Var) -> Result<(), Failure> {
        if var.lock().exists() { Self::try_take(var).map(drop) } else { Ok(()) }
    }

    fn try_take(var: &Var) -> Result<Self, Failure> {
        let path = var.lock();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Failure::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                Err(Held { var: var.root().to_owned(), holder }.into())
            }
            Err(TryLockError::Error(error)) => Err(Failure::file("lock", path)(error)),
        }
    }
}
