//! Processes as the kernel tells of them.
//!
//! A process is known by its pid *and* its start time: pids come again, and what is stopped must
//! be what was started. Signals go through a pidfd that was opened before the start time was
//! compared, so nothing can slip in between.

use std::{os::fd::OwnedFd, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal},
};
use serde::{Deserialize, Serialize};

/// Which process: unique as long as the machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pid: i32,
    /// Clock ticks between the machine's start and the process's: field 22 of `/proc/<pid>/stat`.
    pub start_ticks: u64,
}

impl Identity {
    /// The living process with this pid.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self { pid, start_ticks: start_ticks(&stat)? })
    }

    /// The process itself, if it still lives.
    pub fn open(self) -> Option<Handle> {
        let fd = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        (Self::of(self.pid)? == self).then_some(Handle { fd, pid: self.pid })
    }

    pub fn lives(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// A process held by a pidfd.
#[derive(Debug)]
pub struct Handle {
    fd: OwnedFd,
    pid: i32,
}

impl Handle {
    /// Sends a signal; one to a process that just ended is no failure.
    pub fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.fd, signal);
    }

    /// Kills the process and its group, if it leads one.
    pub fn kill_group(&self) {
        kill_group(self.pid);
        self.signal(Signal::KILL);
    }

    /// Waits until the process ended; false if it still lives after `most`.
    pub fn ended_within(&self, most: Duration) -> bool {
        let timeout =
            Timespec { tv_sec: most.as_secs().cast_signed(), tv_nsec: most.subsec_nanos().into() };
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        // A pidfd becomes readable when its process ends (pidfd_open(2)).
        matches!(poll(&mut fds, Some(&timeout)), Ok(1..))
    }
}

/// Kills what is left in the process group of a child.
pub fn kill_group(leader: i32) {
    if let Some(leader) = Pid::from_raw(leader) {
        let _ = kill_process_group(leader, Signal::KILL);
    }
}

/// This machine run's id: pids and start times mean nothing after a reboot.
pub fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.unwrap_or_default().trim().to_owned()
}

/// The process's share of the machine's memory in bytes: pages shared by n processes count 1/n.
pub fn memory_pss(pid: i32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// The start time in a line of `/proc/<pid>/stat`; none for a process that only waits to be reaped.
fn start_ticks(stat: &str) -> Option<u64> {
    // The second field is the name in parentheses and may hold spaces and parentheses itself.
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?;
    (state != "Z" && state != "X").then(|| fields.nth(18)?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_time_too() {
        let me = Identity::of(std::process::id().cast_signed()).expect("I live");
        assert!(me.lives() && me.open().is_some());
        let namesake = Identity { start_ticks: me.start_ticks + 1, ..me };
        assert!(!namesake.lives() && namesake.open().is_none());
    }

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9";
        assert_eq!(start_ticks(stat), Some(4242));
        assert_eq!(start_ticks(&stat.replace(") S ", ") Z ")), None);
    }

    #[test]
    fn memory_is_told_in_bytes() {
        let own = memory_pss(std::process::id().cast_signed()).expect("readable");
        assert!(own > 100_000, "{own}");
    }
}
