use std::{pin::Pin, sync::Arc};

use backline_events::{CloudEvent, Failure, Handler, inbox};
use backline_store::{Store, Tx};
use jiff::Timestamp;

use crate::{declaration::Declarations, store};

/// Writes down the events of one service and keeps the instances that they belong to up to date.
pub(crate) struct Observer {
    producer: Arc<str>,
    store: Store,
    declarations: Arc<Declarations>,
}

impl Observer {
    pub fn new(producer: &str, store: Store, declarations: Arc<Declarations>) -> Self {
        Self { producer: producer.into(), store, declarations }
    }
}

impl Handler for Observer {
    /// All: an event that no step names may be one that should not have happened.
    fn handles(&self, _kind: &str) -> bool {
        true
    }

    fn handle(
        &self,
        event: Arc<CloudEvent>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>> {
        let (producer, store) = (self.producer.clone(), self.store.clone());
        let declarations = self.declarations.clone();
        Box::pin(async move {
            // Other languages write times in other forms; kept, they all have one that sorts.
            let at: Timestamp = event.time.parse().map_err(|error| {
                Failure::Reject(format!("the time '{}' of {}: {error}", event.time, event.id))
            })?;
            store
                .write(async move |tx: Tx| {
                    if inbox::claim(&tx, &producer, &event).await? {
                        store::observe(&tx, &producer, &event, at).await?;
                        store::update_instances(&tx, &declarations, &event.correlationid).await?;
                    }
                    Ok::<_, Failure>(())
                })
                .await
        })
    }
}
