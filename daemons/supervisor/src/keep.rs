//! Keeps one process alive, until it is told to stop.

use std::{
    fmt,
    net::SocketAddr,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::ExitStatus,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::Child,
    sync::mpsc::UnboundedSender,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use ureq::Agent;

use crate::{
    backoff::Backoff, board::Board, launch::spawn, plan::Launch, probe, process::kill_group,
    state::Phase, terminal::human,
};

/// How long a process may take to drain.
pub const DRAIN: Duration = Duration::from_secs(5);
/// How often a starting process is looked at.
const LOOK: Duration = Duration::from_millis(8);

/// What happened to a process while the estate starts.
#[derive(Debug)]
pub enum Event {
    Ready {
        id: String,
    },
    /// It was healthy and ended; it is started again.
    Gone {
        id: String,
    },
    /// It ended before it was ever healthy, and is not started again.
    Stillborn {
        id: String,
        how: String,
    },
}

/// Looks after one process.
pub struct Keeper {
    pub launch: Launch,
    pub board: Arc<Board>,
    pub agent: Agent,
    pub events: UnboundedSender<Event>,
    /// Drain and end.
    pub stop: CancellationToken,
    /// End now.
    pub kill: CancellationToken,
}

/// How a life ended.
enum End {
    AsAsked,
    ByItself { how: String, was_ready: bool },
}

impl Keeper {
    pub async fn run(self) {
        let id = &self.launch.id;
        let mut backoff = Backoff::default();
        let mut ever_ready = false;
        while !self.stop.is_cancelled() {
            let born = Instant::now();
            let End::ByItself { how, was_ready } = self.live().await else { return };
            ever_ready |= was_ready;
            if self.board.phase() == Phase::Starting {
                if !ever_ready {
                    let _ = self.events.send(Event::Stillborn { id: id.clone(), how });
                    return;
                }
                let _ = self.events.send(Event::Gone { id: id.clone() });
            }
            let lived = born.elapsed();
            let wait = backoff.after(lived, fastrand::f64());
            let back = match wait {
                Duration::ZERO => "at once".to_owned(),
                wait => format!("in {}", human(wait)),
            };
            self.board
                .journal
                .note(format_args!("{id} {how} after {}; starts again {back}", human(lived)));
            tokio::select! {
                () = sleep(wait) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// One life, from start to end.
    async fn live(&self) -> End {
        let Launch { id, address_file, .. } = &self.launch;
        // The address of the life before must not be taken for this one's.
        let _ = std::fs::remove_file(address_file);
        let mut child = match spawn(&self.launch) {
            Ok(child) => child,
            Err(error) => {
                return End::ByItself {
                    how: format!("cannot be started: {error}"),
                    was_ready: false,
                };
            }
        };
        let pid = child.id().map_or(0, u32::cast_signed);
        self.board.started(id, pid);
        let born = Instant::now();
        let mut was_ready = false;
        let how = {
            let healthy = self.healthy();
            tokio::pin!(healthy);
            loop {
                tokio::select! {
                    status = child.wait() => break Some(how_it_ended(status)),
                    address = &mut healthy, if !was_ready => {
                        was_ready = true;
                        self.ready(address, born.elapsed());
                    }
                    () = self.stop.cancelled() => break None,
                }
            }
        };
        if how.is_none() {
            self.end(&mut child, pid).await;
        }
        // Its own children, if it left any.
        kill_group(pid);
        self.board.ended(id);
        how.map_or(End::AsAsked, |how| End::ByItself { how: how.to_string(), was_ready })
    }

    fn ready(&self, address: SocketAddr, took: Duration) {
        let id = &self.launch.id;
        self.board.ready(id, address);
        match self.board.phase() {
            Phase::Starting => drop(self.events.send(Event::Ready { id: id.clone() })),
            Phase::Up => {
                let took = human(took);
                self.board.journal.note(format_args!("{id} is back on {address} after {took}"));
            }
            Phase::Stopping => {}
        }
    }

    /// Waits until the process listens and says that it is well.
    async fn healthy(&self) -> SocketAddr {
        loop {
            if let Some(address) = read_address(&self.launch.address_file) {
                let (agent, id) = (self.agent.clone(), self.launch.id.clone());
                let asked =
                    tokio::task::spawn_blocking(move || probe::health(&agent, address, &id));
                if matches!(asked.await, Ok(Some(health)) if health.status != "fail") {
                    return address;
                }
            }
            sleep(LOOK).await;
        }
    }

    /// Asks the process to end, and insists when it takes too long or there is no time.
    async fn end(&self, child: &mut Child, pid: i32) {
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = kill_process(pid, Signal::TERM);
        }
        tokio::select! {
            ended = timeout(DRAIN, child.wait()) => if ended.is_ok() { return },
            () = self.kill.cancelled() => {}
        }
        if !self.kill.is_cancelled() {
            let id = &self.launch.id;
            self.board
                .journal
                .note(format_args!("{id} did not end within {}: killed", human(DRAIN)));
        }
        kill_group(pid);
        let _ = child.wait().await;
    }
}

/// The address that a process wrote; none as long as it has not.
pub fn read_address(file: &Path) -> Option<SocketAddr> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn how_it_ended(status: std::io::Result<ExitStatus>) -> impl fmt::Display {
    match status.as_ref().map(|status| (status.code(), status.signal())) {
        Ok((Some(code), _)) => format!("ended with exit code {code}"),
        Ok((_, Some(signal))) => format!("was ended by {}", signal_name(signal)),
        _ => "ended".to_owned(),
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}
