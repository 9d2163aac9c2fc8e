use std::{pin::Pin, sync::Arc};

use backline_events::{CloudEvent, Failure, Handler, inbox};
use backline_store::{Error, Tx};
use serde::de::DeserializeOwned;

use crate::{App, Calls, Cause, Work};

/// One event of another service: what a reaction works with.
pub struct Reaction {
    app: App,
    producer: Arc<str>,
    event: Arc<CloudEvent>,
    cause: Cause,
}

/// Proof that an event's effect and its inbox mark are committed. Only [`Reaction::apply`] gives it.
#[derive(Debug)]
pub struct Done(());

impl Reaction {
    /// Reference of the resource that the event happened to.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.event.subject
    }

    /// The event's id: unique, and the same at every try.
    #[must_use]
    pub fn event_id(&self) -> &str {
        &self.event.id
    }

    /// Whose consequence the event is.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// A setting of the service's own; see [`App::setting`].
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.app.setting(name)
    }

    /// Reads from the store: a snapshot, read-only.
    ///
    /// # Errors
    /// The store's, or what the closure returns.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: AsyncFn(Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.app.read(f).await
    }

    /// A client for another service, which `main` has declared with `.calls(..)`.
    #[must_use]
    pub fn client(&self, dependency: &str) -> Calls<'_> {
        self.app.client(dependency, &self.cause)
    }

    /// Makes the event's effect: one transaction with the inbox mark and what is emitted. An event
    /// that was applied before is not applied again.
    ///
    /// The closure may run again and may await nothing but the store.
    ///
    /// # Errors
    /// The store's, or what the closure returns: then nothing was changed, and the event will be
    /// tried again.
    pub async fn apply<F>(&self, f: F) -> Result<Done, Failure>
    where
        F: AsyncFn(Work) -> Result<(), Failure> + Send + 'static,
    {
        let (producer, event) = (self.producer.clone(), self.event.clone());
        self.app
            .write(&self.cause, async move |work: Work| {
                if inbox::claim(&work, &producer, &event).await? {
                    f(work).await?;
                }
                Ok::<_, Failure>(Done(()))
            })
            .await
    }
}

type Run =
    dyn Fn(Reaction) -> Pin<Box<dyn Future<Output = Result<Done, Failure>> + Send>> + Send + Sync;

/// The reactions of a service to the events of one producer.
#[derive(Clone, Default)]
pub(crate) struct Reactions(Vec<(&'static str, Arc<Run>)>);

impl Reactions {
    pub fn add<T, F, Fut>(&mut self, kind: &'static str, f: F)
    where
        T: DeserializeOwned + Send + 'static,
        F: Fn(Reaction, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Done, Failure>> + Send + 'static,
    {
        let run: Arc<Run> = Arc::new(move |reaction: Reaction| match reaction.event.read::<T>() {
            Ok(payload) => Box::pin(f(reaction, payload)),
            Err(error) => Box::pin(std::future::ready(Err(Failure::Reject(format!(
                "the payload of {} {} lacks what this service reads: {error}",
                reaction.event.kind, reaction.event.id
            ))))),
        });
        self.0.push((kind, run));
    }

    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(kind, _)| *kind)
    }

    pub fn handler(&self, app: App, producer: &str) -> Arc<dyn Handler> {
        Arc::new(Dispatch { app, producer: producer.into(), reactions: self.clone() })
    }
}

struct Dispatch {
    app: App,
    producer: Arc<str>,
    reactions: Reactions,
}

impl Handler for Dispatch {
    fn handles(&self, kind: &str) -> bool {
        self.reactions.kinds().any(|known| known == kind)
    }

    fn handle(
        &self,
        event: Arc<CloudEvent>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>> {
        let run = self.reactions.0.iter().find(|(kind, _)| *kind == event.kind);
        let Some((_, run)) = run else { return Box::pin(std::future::ready(Ok(()))) };
        let cause = Cause::of_event(&event.traceparent, &event.correlationid, &event.id);
        let reaction =
            Reaction { app: self.app.clone(), producer: self.producer.clone(), event, cause };
        let done = run(reaction);
        Box::pin(async move { done.await.map(|Done(())| ()) })
    }
}
