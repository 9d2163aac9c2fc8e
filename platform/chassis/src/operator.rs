//! The operator's token: who has it may change what the estate does.

use std::{fmt, fs, hint, io::Read as _, os::unix::fs::PermissionsExt as _, path::Path};

/// The fewest characters of a token: what 32 random bytes are in hexadecimal.
const SHORTEST: usize = 64;
const LONGEST: u64 = 4096;

/// The operator's token. It is not shown by `Debug` and not written to any log.
#[derive(Clone)]
pub struct OperatorToken(String);

/// Why a file holds no token, and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum InvalidToken {
    /// It is not there, or not for this process.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It is for more than its owner.
    #[error("others may read it (its mode is {mode:03o}): chmod 600, and put another token in it")]
    Open {
        /// Who may do what with it, as chmod writes it.
        mode: u32,
    },
    /// It is empty, too short, or has more than a token.
    #[error("it must hold one token of {SHORTEST} or more letters, digits or signs, and no more")]
    NoToken,
}

impl OperatorToken {
    /// Reads the token from a file that only its owner may read.
    ///
    /// # Errors
    /// When it cannot be read, when others may read it too, or when it holds no token.
    pub fn read(file: &Path) -> Result<Self, InvalidToken> {
        let file = fs::File::open(file)?;
        // Of the file that is open: what lies at its path may be another by now.
        let mode = file.metadata()?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(InvalidToken::Open { mode });
        }
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text)?;
        let token = text.trim_ascii_end();
        if token.len() < SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidToken::NoToken);
        }
        Ok(Self(token.to_owned()))
    }

    /// Whether `presented` is this token, in a time that tells nothing of where they differ.
    #[must_use]
    pub fn is(&self, presented: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let differing = own.iter().zip(presented).fold(0, |all, (a, b)| all | (a ^ b));
        own.len() == presented.len() && hint::black_box(differing) == 0
    }

    /// The token itself, to be sent to the registry and nowhere else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, mode: u32) -> Result<OperatorToken, String> {
        let name = format!("backline-token-{}-{mode:o}-{}", std::process::id(), text.len());
        let file = std::env::temp_dir().join(name);
        fs::write(&file, text).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("ours");
        let token = OperatorToken::read(&file).map_err(|invalid| invalid.to_string());
        fs::remove_file(&file).expect("there");
        token
    }

    #[test]
    fn a_token_is_itself_and_nothing_else() {
        let text = "5".repeat(SHORTEST);
        let token = read(&format!("{text}\n"), 0o600).expect("a token");
        assert!(token.is(text.as_bytes()));
        for other in ["", "5", &text[1..], &format!("{text}5"), &text.replacen('5', "6", 1)] {
            assert!(!token.is(other.as_bytes()), "{other}");
        }
        assert_eq!(format!("{token:?}"), "OperatorToken(..)");
    }

    #[test]
    fn a_file_that_is_open_to_others_or_holds_no_token_is_refused() {
        let text = "5".repeat(SHORTEST);
        assert!(read(&text, 0o640).expect_err("open").contains("640"));
        assert!(read(&text, 0o604).expect_err("open").contains("chmod 600"));
        for wrong in ["", "short", &format!("{text} {text}")] {
            assert!(read(wrong, 0o600).expect_err("no token").contains("64 or more"), "{wrong}");
        }
        assert!(OperatorToken::read(Path::new("/nowhere/token")).is_err());
    }
}
