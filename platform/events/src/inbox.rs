//! The inbox: which events of other services have had their effect here.

use backline_store::{Error, Store, Tx, params};

use crate::{CloudEvent, Cursor};

/// Marks `event` of `producer` as done, in the transaction of its effect.
///
/// Returns false when it was done before: then the effect must not be made again.
///
/// # Errors
/// The store's.
pub async fn claim(tx: &Tx, producer: &str, event: &CloudEvent) -> Result<bool, Error> {
    let marked = tx
        .execute(
            "INSERT INTO backline_inbox (producer, epoch, position)
             SELECT $1, $2, $3 WHERE NOT EXISTS (
                 SELECT 1 FROM backline_cursor
                 WHERE producer = $1 AND epoch = $2 AND position >= $3)
             ON CONFLICT DO NOTHING",
            params![producer, &event.feedepoch, event.feedposition],
        )
        .await?;
    Ok(marked == 1)
}

/// Up to where everything of `producer` is done; none before the first event.
///
/// # Errors
/// The store's.
pub async fn cursor(store: &Store, producer: &str) -> Result<Option<Cursor>, Error> {
    let producer = producer.to_owned();
    store
        .read(async move |tx: Tx| {
            let row = tx
                .query_opt(
                    "SELECT epoch, position FROM backline_cursor WHERE producer = $1",
                    params![&producer],
                )
                .await?;
            row.map(|row| Ok(Cursor { epoch: row.get("epoch")?, position: row.get("position")? }))
                .transpose()
        })
        .await
}

/// Moves the cursor of `producer` forward and forgets the marks that it passes.
///
/// A cursor of the same epoch never moves back: a sibling instance may be further on.
///
/// # Errors
/// The store's.
pub async fn advance(tx: &Tx, producer: &str, to: &Cursor) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO backline_cursor (producer, epoch, position) VALUES ($1, $2, $3)
         ON CONFLICT (producer) DO UPDATE SET epoch = excluded.epoch, position = excluded.position
         WHERE backline_cursor.epoch <> excluded.epoch
            OR backline_cursor.position < excluded.position",
        params![producer, &to.epoch, to.position],
    )
    .await?;
    tx.execute(
        "DELETE FROM backline_inbox WHERE producer = $1 AND (epoch <> $2 OR position <= $3)",
        params![producer, &to.epoch, to.position],
    )
    .await?;
    Ok(())
}
