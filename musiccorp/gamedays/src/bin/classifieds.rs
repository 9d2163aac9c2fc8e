//! The classified-ads site; see `musiccorp_gamedays::classifieds`.

fn main() -> std::process::ExitCode {
    musiccorp_gamedays::classifieds::run()
}
