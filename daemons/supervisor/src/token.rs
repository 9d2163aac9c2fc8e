//! `var/operator.token`: who can read it may change what the estate does.
//!
//! It is made once and kept. A file that others can read is refused, not repaired: whoever has
//! read it knows the token for good.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::{failure::Failure, place::remove};

/// Why the file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Exposed {
    #[error(
        "others can read the operator's token in '{}' (its mode is {mode:03o}): remove the file, \
         and the next start makes another with mode 600",
        path.display()
    )]
    Readable { path: PathBuf, mode: u32 },
    #[error("'{}' is no plain file: move it away, and the next start makes one", .0.display())]
    NoFile(PathBuf),
    #[error("there is no operator's token in '{}': the next `backline up` makes one", .0.display())]
    Missing(PathBuf),
}

/// Sees to it that there is a token, and that nobody else knows it. The supervisor's lock is held.
pub fn see_to_it(path: &Path) -> Result<(), Failure> {
    if is_there(path)? { Ok(()) } else { make(path) }
}

/// The token, for who may read it.
pub fn read(path: &Path) -> Result<String, Failure> {
    if !is_there(path)? {
        return Err(Exposed::Missing(path.to_owned()).into());
    }
    let text = fs::read_to_string(path).map_err(Failure::file("read", path))?;
    Ok(text.trim().to_owned())
}

/// Whether there is one that nobody else can read.
fn is_there(path: &Path) -> Result<bool, Failure> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::file("look at", path)(error)),
        Ok(found) if !found.is_file() => Err(Exposed::NoFile(path.to_owned()).into()),
        Ok(found) => match found.permissions().mode() & 0o777 {
            mode if mode & 0o077 == 0 => Ok(true),
            mode => Err(Exposed::Readable { path: path.to_owned(), mode }.into()),
        },
    }
}

/// Whole or not at all: a crash leaves no half token behind.
fn make(path: &Path) -> Result<(), Failure> {
    let new = path.with_extension("token.new");
    remove(&new)?;
    let token = random().map_err(Failure::os("read /dev/urandom"))?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| {
            file.write_all(token.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&new, path))
        .map_err(Failure::file("write", path))
}

/// 32 random bytes in hexadecimal, and a line's end.
fn random() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    token.push('\n');
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("backline-token-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn a_token_is_made_once_for_its_owner_alone() {
        let folder = folder("made");
        let path = folder.join("operator.token");
        assert!(read(&path).expect_err("missing").to_string().contains("backline up"));
        see_to_it(&path).expect("made");
        let token = fs::read_to_string(&path).expect("there");
        assert!(token.len() == 65 && token.trim_end().bytes().all(|b| b.is_ascii_hexdigit()));
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        see_to_it(&path).expect("kept");
        assert_eq!(fs::read_to_string(&path).expect("there"), token);
        assert_eq!(read(&path).expect("readable"), token.trim());
        assert_eq!(fs::read_dir(&folder).expect("ours").count(), 1, "nothing is left beside it");
        fs::remove_dir_all(folder).expect("ours");
    }

    #[test]
    fn a_token_that_others_can_read_is_refused_and_left_alone() {
        let folder = folder("exposed");
        let path = folder.join("operator.token");
        see_to_it(&path).expect("made");
        for mode in [0o640, 0o604, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
            let said = see_to_it(&path).expect_err("exposed").to_string();
            assert!(said.contains(&format!("{mode:o}")) && said.contains("remove"), "{said}");
        }
        fs::remove_file(&path).expect("ours");
        std::os::unix::fs::symlink("/dev/null", &path).expect("a link");
        assert!(see_to_it(&path).expect_err("a link").to_string().contains("no plain file"));
        fs::remove_dir_all(folder).expect("ours");
    }
}
