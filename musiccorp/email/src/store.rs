//! Mails in the store.

use backline_chassis::{Cause, Migration, Row, StoreError, Tx, params};

pub const MIGRATIONS: [Migration; 1] =
    [Migration { name: "email-1", sql: include_str!("../migrations/1.sql") }];

pub struct Mail {
    pub id: String,
    pub customer: String,
    pub kind: String,
    pub recipient: String,
    pub name: String,
    pub subject: String,
    pub body: String,
    pub queued: String,
    pub sent: Option<String>,
    pub event_id: String,
    pub correlation: String,
    pub traceparent: String,
}

impl Mail {
    pub fn href(&self) -> String {
        format!("/email/mails/{}", self.id)
    }

    /// What follows from this mail follows from the event that asked for it.
    pub fn cause(&self) -> Cause {
        Cause::of_event(&self.traceparent, &self.correlation, &self.event_id)
    }
}

/// Returns false when the customer has a mail of this kind already; then nothing changed.
pub async fn insert(tx: &Tx, mail: &Mail) -> Result<bool, StoreError> {
    let inserted = tx
        .execute(
            "INSERT INTO mail (id, customer, kind, recipient, name, subject, body, queued, sent,
                               event_id, correlation, traceparent)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT (customer, kind) DO NOTHING",
            params![
                &mail.id,
                &mail.customer,
                &mail.kind,
                &mail.recipient,
                &mail.name,
                &mail.subject,
                &mail.body,
                &mail.queued,
                mail.sent.as_deref(),
                &mail.event_id,
                &mail.correlation,
                &mail.traceparent
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// Takes the oldest mail that waits to be sent and that nobody else is sending, until `lease`.
pub async fn lease(tx: &Tx, now: &str, lease: &str) -> Result<Option<Mail>, StoreError> {
    let row = tx
        .query_opt(
            "SELECT * FROM mail WHERE sent IS NULL AND (leased IS NULL OR leased < $1)
             ORDER BY COALESCE(leased, queued), id LIMIT 1",
            params![now],
        )
        .await?;
    let Some(mail) = row.as_ref().map(mail).transpose()? else { return Ok(None) };
    tx.execute("UPDATE mail SET leased = $2 WHERE id = $1", params![&mail.id, lease]).await?;
    Ok(Some(mail))
}

/// Lets a mail that could not be sent wait until `lease`, so that others overtake it.
pub async fn hold(tx: &Tx, id: &str, lease: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE mail SET leased = $2 WHERE id = $1", params![id, lease]).await?;
    Ok(())
}

/// Returns false when it was marked before.
pub async fn mark_sent(tx: &Tx, id: &str, now: &str) -> Result<bool, StoreError> {
    let marked = tx
        .execute("UPDATE mail SET sent = $2 WHERE id = $1 AND sent IS NULL", params![id, now])
        .await?;
    Ok(marked == 1)
}

pub async fn find(tx: &Tx, id: &str) -> Result<Option<Mail>, StoreError> {
    let row = tx.query_opt("SELECT * FROM mail WHERE id = $1", params![id]).await?;
    row.as_ref().map(mail).transpose()
}

/// A page of all mails, newest first, or of those of one customer.
pub async fn page(
    tx: &Tx,
    customer: Option<&str>,
    offset: i64,
    limit: i64,
) -> Result<(i64, Vec<Mail>), StoreError> {
    let total = tx
        .query_one(
            "SELECT count(*) AS total FROM mail WHERE customer = $1 OR $1 IS NULL",
            params![customer],
        )
        .await?;
    let rows = tx
        .query(
            "SELECT * FROM mail WHERE customer = $1 OR $1 IS NULL
             ORDER BY queued DESC, id DESC LIMIT $2 OFFSET $3",
            params![customer, limit, offset],
        )
        .await?;
    Ok((total.get("total")?, rows.iter().map(mail).collect::<Result<_, _>>()?))
}

fn mail(row: &Row) -> Result<Mail, StoreError> {
    Ok(Mail {
        id: row.get("id")?,
        customer: row.get("customer")?,
        kind: row.get("kind")?,
        recipient: row.get("recipient")?,
        name: row.get("name")?,
        subject: row.get("subject")?,
        body: row.get("body")?,
        queued: row.get("queued")?,
        sent: row.get("sent")?,
        event_id: row.get("event_id")?,
        correlation: row.get("correlation")?,
        traceparent: row.get("traceparent")?,
    })
}
