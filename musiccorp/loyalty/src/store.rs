//! Accounts in the store.

use backline_chassis::{Migration, Row, StoreError, Tx, params};

pub const MIGRATIONS: [Migration; 1] =
    [Migration { name: "loyalty-1", sql: include_str!("../migrations/1.sql") }];

pub struct Account {
    pub id: String,
    pub customer: String,
    pub points: i64,
    pub opened: String,
}

impl Account {
    pub fn href(&self) -> String {
        format!("/loyalty/accounts/{}", self.id)
    }
}

/// Returns false when the customer has an account already; then nothing changed.
pub async fn insert(tx: &Tx, account: &Account) -> Result<bool, StoreError> {
    let inserted = tx
        .execute(
            "INSERT INTO account (id, customer, points, opened) VALUES ($1, $2, $3, $4)
             ON CONFLICT (customer) DO NOTHING",
            params![&account.id, &account.customer, account.points, &account.opened],
        )
        .await?;
    Ok(inserted == 1)
}

pub async fn find(tx: &Tx, id: &str) -> Result<Option<Account>, StoreError> {
    let sql = "SELECT id, customer, points, opened FROM account WHERE id = $1";
    tx.query_opt(sql, params![id]).await?.as_ref().map(account).transpose()
}

/// A page of all accounts, or of those of one customer.
pub async fn page(
    tx: &Tx,
    customer: Option<&str>,
    offset: i64,
    limit: i64,
) -> Result<(i64, Vec<Account>), StoreError> {
    let total = tx
        .query_one(
            "SELECT count(*) AS total FROM account WHERE customer = $1 OR $1 IS NULL",
            params![customer],
        )
        .await?;
    let rows = tx
        .query(
            "SELECT id, customer, points, opened FROM account WHERE customer = $1 OR $1 IS NULL
             ORDER BY opened, id LIMIT $2 OFFSET $3",
            params![customer, limit, offset],
        )
        .await?;
    Ok((total.get("total")?, rows.iter().map(account).collect::<Result<_, _>>()?))
}

fn account(row: &Row) -> Result<Account, StoreError> {
    Ok(Account {
        id: row.get("id")?,
        customer: row.get("customer")?,
        points: row.get("points")?,
        opened: row.get("opened")?,
    })
}
