//! Welcome packs in the store.

use backline_chassis::{Migration, Row, StoreError, Tx, params};

pub const MIGRATIONS: [Migration; 1] =
    [Migration { name: "postal-1", sql: include_str!("../migrations/1.sql") }];

pub struct Pack {
    pub id: String,
    pub customer: String,
    pub name: String,
    pub posted: String,
}

impl Pack {
    pub fn href(&self) -> String {
        format!("/postal/packs/{}", self.id)
    }
}

/// Returns false when the customer has had a pack already; then nothing changed.
pub async fn insert(tx: &Tx, pack: &Pack) -> Result<bool, StoreError> {
    let inserted = tx
        .execute(
            "INSERT INTO pack (id, customer, name, posted) VALUES ($1, $2, $3, $4)
             ON CONFLICT (customer) DO NOTHING",
            params![&pack.id, &pack.customer, &pack.name, &pack.posted],
        )
        .await?;
    Ok(inserted == 1)
}

pub async fn find(tx: &Tx, id: &str) -> Result<Option<Pack>, StoreError> {
    let sql = "SELECT id, customer, name, posted FROM pack WHERE id = $1";
    tx.query_opt(sql, params![id]).await?.as_ref().map(pack).transpose()
}

/// A page of all packs, or of those of one customer.
pub async fn page(
    tx: &Tx,
    customer: Option<&str>,
    offset: i64,
    limit: i64,
) -> Result<(i64, Vec<Pack>), StoreError> {
    let total = tx
        .query_one(
            "SELECT count(*) AS total FROM pack WHERE customer = $1 OR $1 IS NULL",
            params![customer],
        )
        .await?;
    let rows = tx
        .query(
            "SELECT id, customer, name, posted FROM pack WHERE customer = $1 OR $1 IS NULL
             ORDER BY posted, id LIMIT $2 OFFSET $3",
            params![customer, limit, offset],
        )
        .await?;
    Ok((total.get("total")?, rows.iter().map(pack).collect::<Result<_, _>>()?))
}

fn pack(row: &Row) -> Result<Pack, StoreError> {
    Ok(Pack {
        id: row.get("id")?,
        customer: row.get("customer")?,
        name: row.get("name")?,
        posted: row.get("posted")?,
    })
}
