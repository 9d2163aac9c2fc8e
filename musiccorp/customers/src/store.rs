//! Customers in the store.

use backline_chassis::{Migration, Row, StoreError, Tx, params};

use crate::domain::{Details, State};

pub const MIGRATIONS: [Migration; 1] =
    [Migration { name: "customers-1", sql: include_str!("../migrations/1.sql") }];

#[derive(Clone)]
pub struct Customer {
    pub id: String,
    pub details: Details,
    pub state: State,
    pub created: String,
}

impl Customer {
    pub fn href(&self) -> String {
        format!("/customers/{}", self.id)
    }
}

/// Fails with a unique violation when another customer has the address.
pub async fn insert(tx: &Tx, customer: &Customer) -> Result<(), StoreError> {
    let details = &customer.details;
    tx.execute(
        "INSERT INTO customer (id, firstname, lastname, email, email_key, state, created)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![
            &customer.id,
            &details.firstname,
            &details.lastname,
            &details.email,
            &details.email_key(),
            customer.state.as_str(),
            &customer.created
        ],
    )
    .await?;
    Ok(())
}

/// Fails with a unique violation when another customer has the address.
pub async fn update(tx: &Tx, customer: &Customer) -> Result<(), StoreError> {
    let details = &customer.details;
    tx.execute(
        "UPDATE customer SET firstname = $2, lastname = $3, email = $4, email_key = $5, state = $6
         WHERE id = $1",
        params![
            &customer.id,
            &details.firstname,
            &details.lastname,
            &details.email,
            &details.email_key(),
            customer.state.as_str()
        ],
    )
    .await?;
    Ok(())
}

pub async fn find(tx: &Tx, id: &str) -> Result<Option<Customer>, StoreError> {
    let sql = "SELECT id, firstname, lastname, email, state, created FROM customer WHERE id = $1";
    tx.query_opt(sql, params![id]).await?.as_ref().map(customer).transpose()
}

pub async fn page(tx: &Tx, offset: i64, limit: i64) -> Result<(i64, Vec<Customer>), StoreError> {
    let total = tx.query_one("SELECT count(*) AS total FROM customer", params![]).await?;
    let rows = tx
        .query(
            "SELECT id, firstname, lastname, email, state, created FROM customer
             ORDER BY created, id LIMIT $1 OFFSET $2",
            params![limit, offset],
        )
        .await?;
    Ok((total.get("total")?, rows.iter().map(customer).collect::<Result<_, _>>()?))
}

fn customer(row: &Row) -> Result<Customer, StoreError> {
    Ok(Customer {
        id: row.get("id")?,
        details: Details {
            firstname: row.get("firstname")?,
            lastname: row.get("lastname")?,
            email: row.get("email")?,
        },
        state: row.get::<String>("state")?.parse().map_err(StoreError::Application)?,
        created: row.get("created")?,
    })
}
