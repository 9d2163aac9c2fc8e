//! What was observed, and the instances of processes that it adds up to.

use backline_events::CloudEvent;
use backline_store::{Error, Migration, Row, Store, Tx, params};
use jiff::Timestamp;

use crate::{
    declaration::{Declarations, Process},
    evaluation::{InstanceState, Seen, evaluate},
};

pub(crate) const MIGRATION: Migration =
    Migration { name: "backline-monitor-1", sql: include_str!("tables.sql") };

/// An instance of a process, without its steps.
pub(crate) struct Instance {
    pub process: String,
    pub correlation: String,
    pub subject: String,
    pub started: String,
}

/// How many instances of a process are in which state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Counts {
    pub running: i64,
    pub complete: i64,
    pub late: i64,
}

/// Text that sorts as moments do.
pub(crate) fn sortable(moment: Timestamp) -> String {
    format!("{moment:.6}")
}

/// Writes an event down.
pub(crate) async fn observe(
    tx: &Tx,
    producer: &str,
    event: &CloudEvent,
    at: Timestamp,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO observed (event_id, producer, type, subject, correlation, at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (event_id) DO NOTHING",
        params![
            &event.id,
            producer,
            &event.kind,
            &event.subject,
            &event.correlationid,
            &sortable(at)
        ],
    )
    .await?;
    Ok(())
}

/// Brings the instances of one correlation up to what was observed.
pub(crate) async fn update_instances(
    tx: &Tx,
    declarations: &Declarations,
    correlation: &str,
) -> Result<(), Error> {
    let seen = seen(tx, correlation).await?;
    for process in &declarations.0 {
        if let Some(first) = seen.iter().find(|event| concerns(process, event)) {
            save(tx, process, correlation, first, &seen).await?;
        }
    }
    Ok(())
}

fn concerns(process: &Process, event: &Seen) -> bool {
    process.steps.iter().any(|step| step.service == event.service && step.event == event.event)
}

async fn save(
    tx: &Tx,
    process: &Process,
    correlation: &str,
    first: &Seen,
    seen: &[Seen],
) -> Result<(), Error> {
    let evaluation = evaluate(process, seen, first.at);
    let complete = evaluation.state == InstanceState::Complete;
    // A step that was passed over is late from now on; another when its time runs out.
    let due = match evaluation.state {
        InstanceState::Complete => None,
        InstanceState::Late => Some(sortable(first.at)),
        InstanceState::Running => evaluation.due.map(sortable),
    };
    tx.execute(
        "INSERT INTO instance (process, correlation, subject, started, complete, due)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (process, correlation) DO UPDATE SET subject = excluded.subject,
             started = excluded.started, complete = excluded.complete, due = excluded.due",
        params![
            &process.name,
            correlation,
            &first.subject,
            &sortable(first.at),
            complete,
            due.as_deref()
        ],
    )
    .await?;
    Ok(())
}

/// The events of one correlation, oldest first.
pub(crate) async fn seen(tx: &Tx, correlation: &str) -> Result<Vec<Seen>, Error> {
    let rows = tx
        .query(
            "SELECT event_id, producer, type, subject, at FROM observed
             WHERE correlation = $1 ORDER BY at, event_id",
            params![correlation],
        )
        .await?;
    rows.iter().map(event).collect()
}

fn event(row: &Row) -> Result<Seen, Error> {
    let at: String = row.get("at")?;
    Ok(Seen {
        service: row.get("producer")?,
        event: row.get("type")?,
        event_id: row.get("event_id")?,
        subject: row.get("subject")?,
        at: at.parse().map_err(|error| Error::Application(format!("time '{at}': {error}")))?,
    })
}

/// The newest instances, or those of one correlation.
pub(crate) async fn instances(
    tx: &Tx,
    correlation: Option<&str>,
    limit: i64,
) -> Result<Vec<Instance>, Error> {
    let rows = tx
        .query(
            "SELECT process, correlation, subject, started FROM instance
             WHERE correlation = $1 OR $1 IS NULL
             ORDER BY started DESC, correlation LIMIT $2",
            params![correlation, limit],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Instance {
                process: row.get("process")?,
                correlation: row.get("correlation")?,
                subject: row.get("subject")?,
                started: row.get("started")?,
            })
        })
        .collect()
}

/// How many instances of a process there are, by state at a moment.
pub(crate) async fn counts(tx: &Tx, process: &str, now: Timestamp) -> Result<Counts, Error> {
    let row = tx
        .query_one(
            "SELECT count(*) AS instances,
                    count(CASE WHEN complete THEN 1 END) AS complete,
                    count(CASE WHEN NOT complete AND due < $2 THEN 1 END) AS late
             FROM instance WHERE process = $1",
            params![process, &sortable(now)],
        )
        .await?;
    let (instances, complete, late): (i64, i64, i64) =
        (row.get("instances")?, row.get("complete")?, row.get("late")?);
    Ok(Counts { running: instances - complete - late, complete, late })
}

/// When the declarations are not those that the instances were made by, makes them again from what
/// was observed.
pub(crate) async fn follow_declarations(
    store: &Store,
    declarations: &Declarations,
) -> Result<(), Error> {
    let declared = serde_json::to_string(&declarations.0)
        .map_err(|error| Error::Application(format!("declarations: {error}")))?;
    let processes = std::sync::Arc::new(Declarations(declarations.0.clone()));
    store
        .write(async move |tx: Tx| {
            let known = tx.query_opt("SELECT declared FROM declarations", params![]).await?;
            if known.map(|row| row.get::<String>("declared")).transpose()?.as_ref()
                == Some(&declared)
            {
                return Ok(());
            }
            tx.execute("DELETE FROM declarations", params![]).await?;
            tx.execute("INSERT INTO declarations (declared) VALUES ($1)", params![&declared])
                .await?;
            tx.execute("DELETE FROM instance", params![]).await?;
            let rows = tx.query("SELECT DISTINCT correlation FROM observed", params![]).await?;
            for row in &rows {
                let correlation: String = row.get("correlation")?;
                update_instances(&tx, &processes, &correlation).await?;
            }
            Ok(())
        })
        .await
}
