//! What this service does when something happened elsewhere.

use backline_chassis::{Done, Failure, Reaction, Work, now};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    events::AccountOpened,
    store::{self, Account},
};

/// What is read of `customer.created`.
#[derive(Deserialize)]
pub struct CustomerCreated {
    customer: String,
}

/// A new customer gets an account. One who has it already keeps it.
pub async fn open_account(reaction: Reaction, event: CustomerCreated) -> Result<Done, Failure> {
    reaction
        .apply(async move |work: Work| {
            let account = Account {
                id: Uuid::now_v7().to_string(),
                customer: event.customer.clone(),
                points: 0,
                opened: now(),
            };
            if store::insert(&work, &account).await? {
                work.emit(&account.href(), &AccountOpened::of(&account)).await?;
            }
            Ok(())
        })
        .await
}
