//! Blocking queries: an answer that waits until there is something new to tell.
//!
//! A query waits as long as the index is the one that the client knows. Any other is told at
//! once, a lower one too: the client knows then that the registry has started again. A waiting
//! query holds no lock and no memory besides its own; it ends at the drain.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    api::Wait,
    catalog::{Answer, Catalog, Topic},
};

/// Reads, and reads again after each change of the topic, until the index is another, the time
/// is up or the drain has begun.
pub(crate) async fn query(
    catalog: &Catalog,
    drain: &CancellationToken,
    wait: Option<Wait>,
    topic: Topic<'_>,
    read: impl Fn(&Catalog) -> Answer,
) -> Answer {
    let Some(wait) = wait else { return read(catalog) };
    // Up to a sixteenth more, as in Consul: those who began together do not end together.
    let deadline = Instant::now() + wait.most + wait.most.mul_f64(fastrand::f64() / 16.0);
    let _waiting = Waiting::begin();
    loop {
        let mut changed = std::pin::pin!(catalog.changed(topic));
        // Heard from here on: a change between reading and waiting is not missed.
        changed.as_mut().enable();
        let answer = read(catalog);
        if answer.index != wait.index {
            return answer;
        }
        tokio::select! {
            () = changed => {}
            () = drain.cancelled() => return answer,
            () = tokio::time::sleep_until(deadline) => return read(catalog),
        }
    }
}

/// Counts those who wait.
struct Waiting;

impl Waiting {
    fn begin() -> Self {
        metrics::gauge!("registry_blocking_queries").increment(1.0);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        metrics::gauge!("registry_blocking_queries").decrement(1.0);
    }
}
