//! What this service does when something happened elsewhere.

use backline_chassis::{Done, Failure, Reaction, Work, now};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    events::WelcomePackPosted,
    store::{self, Pack},
};

/// What is read of `customer.created`.
#[derive(Deserialize)]
pub struct CustomerCreated {
    customer: String,
    firstname: String,
    lastname: String,
}

/// A new customer gets a welcome pack. One who has had it gets no second.
pub async fn post_welcome_pack(
    reaction: Reaction,
    event: CustomerCreated,
) -> Result<Done, Failure> {
    reaction
        .apply(async move |work: Work| {
            let pack = Pack {
                id: Uuid::now_v7().to_string(),
                customer: event.customer.clone(),
                name: format!("{} {}", event.firstname, event.lastname),
                posted: now(),
            };
            if store::insert(&work, &pack).await? {
                work.emit(&pack.href(), &WelcomePackPosted::of(&pack)).await?;
            }
            Ok(())
        })
        .await
}
