//! The old ads of the classified-ads site; see `musiccorp_gamedays::ads`.

fn main() -> std::process::ExitCode {
    musiccorp_gamedays::ads::run("old-ads")
}
