use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A folder of the test's own. Removed with this value; after a panic it is kept and its path
/// printed, since what lies in it tells what went wrong.
#[derive(Debug)]
pub struct TempDir {
    path: PathBuf,
}

impl TempDir {
    /// A new, empty folder that only this user can enter.
    ///
    /// # Panics
    /// When the system's folder for temporary files cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let base = std::env::temp_dir();
        loop {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("backline-{}-{number}-{now}", process::id()));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Self { path },
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("no temporary folder at {}: {error}", path.display()),
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of something in it.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

impl Default for TempDir {
    fn default() -> Self {
        Self::new()
    }
}

impl AsRef<Path> for TempDir {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempDir {
    #[expect(clippy::print_stderr, reason = "whoever reads the failed test needs the path")]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the test's files are kept at {}", self.path.display());
        } else {
            // A process that is just ending may still create a file; nothing depends on success.
            let _ = fs::remove_dir_all(&self.path).or_else(|_| fs::remove_dir_all(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic;

    use super::*;

    #[test]
    fn two_folders_differ_and_go_with_their_values() {
        let (one, other) = (TempDir::new(), TempDir::new());
        assert_ne!(one.path(), other.path());
        fs::write(one.join("file"), "text").expect("it can be written");
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && other.path().exists());
    }

    #[test]
    fn after_a_panic_the_folder_is_kept() {
        let panicked = panic::catch_unwind(|| {
            let dir = TempDir::new();
            panic::resume_unwind(Box::new(dir.path().to_owned()));
        });
        let path = panicked.expect_err("it panics").downcast::<PathBuf>().expect("the path");
        assert!(path.is_dir());
        fs::remove_dir_all(*path).expect("it can be removed");
    }
}
