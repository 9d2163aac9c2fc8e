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

/// What can be waited for.
pub(crate) trait Watched {
    /// Ends when there may be news. It is heard from the making of this future on, not only from
    /// its first poll.
    fn bell(&self) -> impl Future<Output = ()> + Send;

    /// Whether its index is another than this.
    fn is_other_than(&self, index: u64) -> impl Future<Output = bool> + Send;
}

/// Looks for news, and looks again whenever the bell rings, until there is some, the time is up or
/// the drain has begun.
pub(crate) async fn until_news(watched: &impl Watched, drain: &CancellationToken, wait: Wait) {
    // Up to a sixteenth more, as in Consul: those who began together do not end together.
    let deadline = Instant::now() + wait.most + wait.most.mul_f64(fastrand::f64() / 16.0);
    let _waiting = Waiting::begin();
    loop {
        // Before looking: a change between looking and waiting is not missed.
        let bell = watched.bell();
        if watched.is_other_than(wait.index).await {
            return;
        }
        tokio::select! {
            () = bell => {}
            () = drain.cancelled() => return,
            () = tokio::time::sleep_until(deadline) => return,
        }
    }
}

/// Reads the catalog, and before that waits for news of the topic where that is asked for.
pub(crate) async fn query(
    catalog: &Catalog,
    drain: &CancellationToken,
    wait: Option<Wait>,
    topic: Topic<'_>,
    read: impl Fn(&Catalog) -> Answer + Sync,
) -> Answer {
    if let Some(wait) = wait {
        until_news(&InCatalog { catalog, topic, read: &read }, drain, wait).await;
    }
    read(catalog)
}

struct InCatalog<'a, R> {
    catalog: &'a Catalog,
    topic: Topic<'a>,
    read: &'a R,
}

impl<R: Fn(&Catalog) -> Answer + Sync> Watched for InCatalog<'_, R> {
    fn bell(&self) -> impl Future<Output = ()> + Send {
        self.catalog.changed(self.topic)
    }

    async fn is_other_than(&self, index: u64) -> bool {
        (self.read)(self.catalog).index != index
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
