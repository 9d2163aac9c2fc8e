//! From nothing to all healthy: the registry first, then everything else at once.

use std::{collections::BTreeSet, fmt, path::PathBuf, time::Duration};

use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, timeout_at},
};

use crate::{
    journal::tail,
    keep::Event,
    plan::Launch,
    supervise::{Crew, Signals},
    terminal::Progress,
};

/// How long the whole start may take.
const MOST: Duration = Duration::from_secs(60);
const TOLD_LINES: usize = 15;

/// How a start ended that was not stopped.
pub enum Outcome {
    Healthy,
    /// The user or the system wants an end.
    Interrupted,
}

/// Why not everything came up.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    Stillborn { id: String, how: String, log: PathBuf, last: Vec<String> },
    TooSlow { waiting: Vec<String> },
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stillborn { id, how, log, last } => {
                write!(f, "{id} {how} before it was healthy, so everything was stopped.")?;
                if last.is_empty() {
                    return write!(f, " It wrote nothing.");
                }
                write!(f, " Its last words (all in '{}'):", log.display())?;
                last.iter().try_for_each(|line| write!(f, "\n  {line}"))
            }
            Self::TooSlow { waiting } => write!(
                f,
                "not healthy within {} s: {}, so everything was stopped; see `backline logs {}`",
                MOST.as_secs(),
                waiting.join(", "),
                waiting.first().map_or("", String::as_str),
            ),
        }
    }
}

/// Starts all of `launches` under `crew` and waits until they are healthy.
pub async fn start(
    crew: &mut Crew,
    launches: &[Launch],
    events: &mut UnboundedReceiver<Event>,
    signals: &mut Signals,
    progress: &Progress,
) -> Result<Outcome, Failed> {
    let deadline = Instant::now() + MOST;
    let mut waiting: BTreeSet<String> = launches.iter().map(|launch| launch.id.clone()).collect();
    let (registry, others): (Vec<_>, Vec<_>) =
        launches.iter().cloned().partition(|launch| launch.service == "registry");
    let mut turns = [registry, others].into_iter();
    let mut begun = BTreeSet::new();
    loop {
        // The next turn comes when all of those before are healthy.
        if begun.is_disjoint(&waiting) {
            let Some(turn) = turns.next() else { return Ok(Outcome::Healthy) };
            begun.extend(turn.iter().map(|launch| launch.id.clone()));
            turn.into_iter().for_each(|launch| crew.keep(launch));
            continue;
        }
        let named: Vec<_> = waiting.iter().cloned().collect();
        progress.show(launches.len() - waiting.len(), &named);
        let event = tokio::select! {
            event = timeout_at(deadline, events.recv()) => event,
            () = signals.next() => return Ok(Outcome::Interrupted),
        };
        match event {
            Ok(Some(Event::Ready { id })) => drop(waiting.remove(&id)),
            Ok(Some(Event::Gone { id })) => drop(waiting.insert(id)),
            Ok(Some(Event::Stillborn { id, how })) => {
                let log =
                    launches.iter().find(|launch| launch.id == id).map(|launch| launch.log.clone());
                let log = log.unwrap_or_default();
                return Err(Failed::Stillborn { last: tail(&log, TOLD_LINES), id, how, log });
            }
            // All senders are gone only when all keepers are, which is a start that failed too.
            Ok(None) | Err(_) => return Err(Failed::TooSlow { waiting: named }),
        }
    }
}
