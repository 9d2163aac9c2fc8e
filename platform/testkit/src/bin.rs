use std::path::{Path, PathBuf};

/// A binary of the workspace, from the target folder that the running test itself lies in.
///
/// # Panics
/// When it was not built. Cargo builds the binaries of the tested package only; those of others
/// must be built before.
#[must_use]
#[track_caller]
pub fn bin(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let path = beside(&test).join(name);
    assert!(
        path.is_file(),
        "the binary '{name}' is not at {}: run `cargo build --workspace` first",
        path.display()
    );
    path
}

/// Tests lie in `<target>/<profile>/deps`, examples in `examples` beside it, binaries one level above.
fn beside(test: &Path) -> &Path {
    let folder = test.parent().unwrap_or(test);
    match folder.parent() {
        Some(profile) if folder.ends_with("deps") || folder.ends_with("examples") => profile,
        _ => folder,
    }
}

/// The root of the workspace: where `system.toml` is.
pub(crate) fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[cfg(test)]
mod tests {
    use std::panic;

    use super::*;

    #[test]
    fn binaries_are_found_beside_the_folder_of_the_tests() {
        assert_eq!(beside(Path::new("/t/debug/deps/x-1")), Path::new("/t/debug"));
        assert_eq!(beside(Path::new("/t/debug/examples/x")), Path::new("/t/debug"));
        assert_eq!(beside(Path::new("/t/release/x")), Path::new("/t/release"));
    }

    #[test]
    fn a_missing_binary_is_answered_with_how_to_build_it() {
        let panicked = panic::catch_unwind(|| bin("never-built")).expect_err("there is none");
        let text = panicked.downcast_ref::<String>().expect("a message");
        assert!(text.contains("never-built") && text.contains("cargo build --workspace"), "{text}");
    }

    #[test]
    fn the_workspace_is_the_folder_of_all_members() {
        assert!(workspace().join("platform/testkit/Cargo.toml").is_file());
    }
}
