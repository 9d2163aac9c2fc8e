//! The outbox: a service's own events, written with the change that they tell of.

use backline_client::Cause;
use backline_store::{Error, Row, Store, Tx, params};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{CloudEvent, Emit};

/// Appends an event to the outbox, in the transaction that makes it true.
///
/// Returns the event's id. `subject` is the reference of the resource it happened to.
///
/// # Errors
/// The store's; a payload that is not JSON (a map with keys that are no strings) is
/// [`Error::Application`].
pub async fn append<E: Emit>(
    tx: &Tx,
    cause: &Cause,
    subject: &str,
    event: &E,
) -> Result<String, Error> {
    let data = serde_json::to_string(event)
        .map_err(|error| Error::Application(format!("event {}: {error}", E::TYPE)))?;
    let id = Uuid::now_v7().to_string();
    let time = format!("{:.6}", jiff::Timestamp::now());
    tx.execute(
        "INSERT INTO backline_outbox (id, type, subject, time, data, correlation, causation, traceparent)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        params![
            &id,
            E::TYPE,
            subject,
            &time,
            &data,
            &cause.correlation,
            cause.causation.as_deref(),
            &cause.traceparent.to_string()
        ],
    )
    .await?;
    Ok(id)
}

/// The epoch of this store's feed; chosen at random when the store is new.
///
/// # Errors
/// The store's.
pub async fn epoch(store: &Store) -> Result<String, Error> {
    store
        .write(async |tx: Tx| {
            let fresh = Uuid::new_v4().simple().to_string();
            tx.execute(
                "INSERT INTO backline_feed (epoch)
                 SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM backline_feed)",
                params![&fresh],
            )
            .await?;
            tx.query_one("SELECT epoch FROM backline_feed", params![]).await?.get("epoch")
        })
        .await
}

/// Up to `limit` events after `position`, oldest first.
pub(crate) async fn after(
    store: &Store,
    source: &str,
    epoch: &str,
    position: i64,
    limit: usize,
) -> Result<Vec<CloudEvent>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = store
        .read(async move |tx: Tx| {
            tx.query(
                "SELECT position, id, type, subject, time, data, correlation, causation, traceparent
                 FROM backline_outbox WHERE position > $1 ORDER BY position LIMIT $2",
                params![position, limit],
            )
            .await
        })
        .await?;
    rows.iter().map(|row| event(row, source, epoch)).collect()
}

/// The highest position in the outbox, 0 when it is empty.
pub(crate) async fn head(store: &Store) -> Result<i64, Error> {
    store
        .read(async |tx: Tx| {
            let row = tx
                .query_one(
                    "SELECT COALESCE(MAX(position), 0) AS head FROM backline_outbox",
                    params![],
                )
                .await?;
            row.get("head")
        })
        .await
}

fn event(row: &Row, source: &str, epoch: &str) -> Result<CloudEvent, Error> {
    let position: i64 = row.get("position")?;
    let data = RawValue::from_string(row.get("data")?)
        .map_err(|error| Error::Application(format!("outbox position {position}: {error}")))?;
    Ok(CloudEvent {
        specversion: "1.0".into(),
        id: row.get("id")?,
        source: source.to_owned(),
        kind: row.get("type")?,
        subject: row.get("subject")?,
        time: row.get("time")?,
        datacontenttype: "application/json".into(),
        correlationid: row.get("correlation")?,
        causationid: row.get("causation")?,
        traceparent: row.get("traceparent")?,
        feedepoch: epoch.to_owned(),
        feedposition: position,
        data,
    })
}
