//! The inbox: which events of other services have had their effect here.

use std::collections::BTreeSet;

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
                    "SELECT epoch, position FROM backline_cursor WHERE producer = $1
                     ORDER BY turn DESC LIMIT 1",
                    params![&producer],
                )
                .await?;
            row.map(|row| Ok(Cursor { epoch: row.get("epoch")?, position: row.get("position")? }))
                .transpose()
        })
        .await
}

/// Positions above the cursor that are done already, after a start.
///
/// # Errors
/// The store's.
pub(crate) async fn done_above(
    store: &Store,
    producer: &str,
    cursor: &Cursor,
) -> Result<BTreeSet<i64>, Error> {
    let (producer, cursor) = (producer.to_owned(), cursor.clone());
    store
        .read(async move |tx: Tx| {
            let rows = tx
                .query(
                    "SELECT position FROM backline_inbox
                     WHERE producer = $1 AND epoch = $2 AND position > $3",
                    params![&producer, &cursor.epoch, cursor.position],
                )
                .await?;
            rows.iter().map(|row| row.get("position")).collect()
        })
        .await
}

/// Moves the cursor of `producer` forward in its epoch and forgets the marks that it passes.
///
/// It never moves back: a sibling instance may be further on, in this epoch or in a newer one.
///
/// # Errors
/// The store's.
pub async fn advance(tx: &Tx, producer: &str, to: &Cursor) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO backline_cursor (producer, epoch, turn, position)
         SELECT $1, $2, COALESCE(MAX(turn), 0) + 1, $3 FROM backline_cursor WHERE producer = $1
         ON CONFLICT (producer, epoch) DO UPDATE SET position = excluded.position
         WHERE backline_cursor.position < excluded.position",
        params![producer, &to.epoch, to.position],
    )
    .await?;
    tx.execute(
        "DELETE FROM backline_inbox WHERE producer = $1 AND epoch = $2 AND position <= $3",
        params![producer, &to.epoch, to.position],
    )
    .await?;
    Ok(())
}
