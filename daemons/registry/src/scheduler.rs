//! Runs the checks: one task for all of them, a bounded number at once.
//!
//! Checks that used up their time when they last ran have a lane of their own, so that services
//! which hang delay nobody but each other.

use std::{collections::VecDeque, sync::Arc};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::{Catalog, Job},
    probe,
};

/// How many checks run at once, and how many of those that were slow.
const AT_ONCE: usize = 256;
const SLOW_AT_ONCE: usize = 128;

struct Lane {
    waiting: VecDeque<Job>,
    running: usize,
    most: usize,
}

impl Lane {
    fn of(most: usize) -> Self {
        Self { waiting: VecDeque::new(), running: 0, most }
    }
}

/// Runs checks, lets them expire and takes out what was critical for too long, until the drain.
pub async fn run(catalog: Arc<Catalog>, drain: CancellationToken) {
    let mut lanes = [Lane::of(AT_ONCE), Lane::of(SLOW_AT_ONCE)];
    let mut running = JoinSet::new();
    loop {
        let next = catalog.take_due(Instant::now(), |job| {
            lanes[usize::from(job.slow)].waiting.push_back(job);
        });
        start(&catalog, &mut lanes, &mut running);
        tokio::select! {
            () = drain.cancelled() => break,
            () = catalog.agenda_changed() => {}
            Some(ended) = running.join_next() => {
                let slow: usize = ended.unwrap_or_default();
                lanes[slow].running = lanes[slow].running.saturating_sub(1);
            }
            () = async { sleep_until(next.unwrap_or_else(Instant::now)).await }, if next.is_some() => {}
        }
    }
    running.shutdown().await;
}

fn start(catalog: &Arc<Catalog>, lanes: &mut [Lane; 2], running: &mut JoinSet<usize>) {
    for (at, lane) in lanes.iter_mut().enumerate() {
        while lane.running < lane.most {
            let Some(job) = lane.waiting.pop_front() else { break };
            lane.running += 1;
            let catalog = catalog.clone();
            running.spawn(async move {
                let outcome = probe::run(&job.probe).await;
                metrics::counter!("registry_checks_total", "found" => outcome.status.as_str())
                    .increment(1);
                catalog.report(&job, outcome);
                at
            });
        }
    }
}
