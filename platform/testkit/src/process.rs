//! Processes by id: is it alive, end it, which ones belong to a folder.

use std::{fs, path::Path};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Sends a signal; true if there was such a process.
pub(crate) fn signal(pid: u32, signal: Signal) -> bool {
    as_pid(pid).is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Whether there is such a process and it has not ended. One that ended but was not waited for
/// yet (a zombie) has ended.
pub(crate) fn is_alive(pid: u32) -> bool {
    as_pid(pid).is_some_and(|pid| test_kill_process(pid).is_ok()) && !has_ended(pid)
}

fn has_ended(pid: u32) -> bool {
    // proc(5): the state follows the last ')' of the command's name.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    matches!(state, None | Some('Z' | 'X'))
}

fn as_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// All processes that were started with `folder` in their command line or environment. Unlike a
/// list that a supervisor keeps, this finds what the supervisor forgot.
pub(crate) fn of_folder(folder: &Path) -> Vec<u32> {
    let needle = folder.as_os_str().as_encoded_bytes();
    let names = |pid: u32, file: &str| {
        let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        text.windows(needle.len()).any(|window| window == needle)
    };
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| pid != std::process::id())
        .filter(|&pid| names(pid, "cmdline") || names(pid, "environ"))
        .filter(|&pid| is_alive(pid))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::Duration};

    use super::*;
    use crate::{TempDir, wait_for};

    #[test]
    fn a_process_is_known_by_the_folder_it_was_started_with() {
        let dir = TempDir::new();
        let mut child = Command::new("sleep").arg("60").env("HERE", dir.path()).spawn();
        let child = child.as_mut().expect("it starts");
        // Until its exec, the child still has the environment of this process.
        wait_for("the child to be found", Duration::from_secs(10), || {
            (of_folder(dir.path()) == [child.id()]).then_some(())
        });
        assert!(is_alive(child.id()) && signal(child.id(), Signal::KILL));
        wait_for("the killed child to have ended", Duration::from_secs(10), || {
            (!is_alive(child.id())).then_some(())
        });
        assert!(of_folder(dir.path()).is_empty());
        child.wait().expect("it is ours");
        assert!(!signal(child.id(), Signal::KILL));
    }
}
