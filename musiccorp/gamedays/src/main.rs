//! `cascade`: the classified-ads story as a scenario; see `musiccorp_gamedays::cascade`.

fn main() -> std::process::ExitCode {
    musiccorp_gamedays::cascade::main()
}
