//! One task that follows one thing in the registry by blocking queries.

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Catalog, Instance, Key, Keys, Timings,
    consul::{self, Registry},
    keys,
    view::View,
};
use crate::backoff::Backoff;

/// What a watcher has found out, for any number of readers.
pub(crate) struct Watched<T> {
    latest: watch::Receiver<Arc<T>>,
    /// Whether the first answer has come; absent where it is known from the start.
    answered: Option<watch::Receiver<bool>>,
}

impl<T> Clone for Watched<T> {
    fn clone(&self) -> Self {
        Self { latest: self.latest.clone(), answered: self.answered.clone() }
    }
}

impl<T> Watched<T> {
    pub fn fixed(sender: &watch::Sender<Arc<T>>) -> Self {
        Self { latest: sender.subscribe(), answered: None }
    }

    pub fn receiver(&self) -> watch::Receiver<Arc<T>> {
        self.latest.clone()
    }

    /// What is known, after the first answer came.
    pub async fn latest(&self) -> Arc<T> {
        if let Some(answered) = self.answered.as_ref().filter(|answered| !*answered.borrow()) {
            // An error means that the watcher is gone with its runtime: then nothing is known.
            let _ = answered.clone().wait_for(|answered| *answered).await;
        }
        self.latest.borrow().clone()
    }
}

type Decode<V> = fn(&[u8]) -> serde_json::Result<BTreeMap<String, V>>;

pub(super) struct Watcher<V, T> {
    registry: Arc<Registry>,
    timings: Timings,
    path: String,
    /// See [`View`].
    grace: Option<Duration>,
    decode: Decode<V>,
    show: fn(BTreeMap<String, V>) -> T,
}

impl Watcher<Instance, Vec<Instance>> {
    pub fn of_instances(registry: Arc<Registry>, timings: Timings, service: &str) -> Self {
        let path = format!("/v1/health/service/{}?passing=true&", consul::segment(service));
        let show = |by_id: BTreeMap<_, _>| by_id.into_values().collect();
        let grace = Some(timings.grace);
        Self { registry, timings, path, grace, decode: consul::instances, show }
    }
}

impl Watcher<Vec<String>, Catalog> {
    pub fn of_services(registry: Arc<Registry>, timings: Timings) -> Self {
        let path = "/v1/catalog/services?".to_owned();
        Self {
            registry,
            timings,
            path,
            grace: Some(timings.grace),
            decode: consul::services,
            show: |tags_by_name| tags_by_name,
        }
    }
}

impl Watcher<Key, Keys> {
    pub fn of_keys(registry: Arc<Registry>, timings: Timings, prefix: &str) -> Self {
        let path = keys::path_of(prefix);
        Self { registry, timings, path, grace: None, decode: keys::listed, show: |by_name| by_name }
    }
}

impl<V, T> Watcher<V, T>
where
    V: Clone + Send + Sync + 'static,
    T: Default + PartialEq + Send + Sync + 'static,
{
    /// Starts the task. It ends when nobody reads what it finds out.
    pub fn start(self) -> Watched<T> {
        let (latest, latest_of) = watch::channel(Arc::default());
        let (answered, answered_of) = watch::channel(false);
        tokio::spawn(self.run(latest, answered));
        Watched { latest: latest_of, answered: Some(answered_of) }
    }

    async fn run(self, latest: watch::Sender<Arc<T>>, answered: watch::Sender<bool>) {
        tokio::select! {
            () = latest.closed() => {}
            () = self.follow(&latest, &answered) => {}
        }
    }

    async fn follow(&self, latest: &watch::Sender<Arc<T>>, answered: &watch::Sender<bool>) {
        let [first, longest] = self.timings.pauses;
        let mut backoff = Backoff::new(first, longest);
        let mut view = View::new(self.grace);
        loop {
            let asked = Instant::now();
            match self.ask(&mut view, latest).await {
                Some((index, listed)) => {
                    let news = view.take(index, listed, Instant::now());
                    self.publish(&view, latest, !*answered.borrow());
                    answered.send_replace(true);
                    backoff.reset();
                    if !news {
                        sleep_until(asked + self.timings.quiet).await;
                    }
                }
                None => {
                    view.lose();
                    sleep(backoff.pause()).await;
                }
            }
        }
    }

    /// The registry's next answer; meanwhile the grace may end.
    async fn ask(
        &self,
        view: &mut View<V>,
        latest: &watch::Sender<Arc<T>>,
    ) -> Option<(u64, BTreeMap<String, V>)> {
        let answer =
            self.registry.poll(&self.path, view.ask_after(), self.timings.wait, self.decode);
        let mut answer = pin!(answer);
        loop {
            let grace_over = view.keep_until();
            tokio::select! {
                answer = &mut answer => return answer,
                () = sleep_until(grace_over.unwrap_or_else(far)), if grace_over.is_some() => {
                    view.end_grace();
                    self.publish(view, latest, false);
                }
            }
        }
    }

    fn publish(&self, view: &View<V>, latest: &watch::Sender<Arc<T>>, always: bool) {
        let shown = Arc::new((self.show)(view.known()));
        latest.send_if_modified(|last| {
            let changed = always || *last != shown;
            *last = shown;
            changed
        });
    }
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}
