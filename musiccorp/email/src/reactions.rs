//! What this service does when something happened elsewhere.

use backline_chassis::{Done, Failure, Reaction, Work, now};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    domain,
    events::WelcomeMailSent,
    outgoing,
    store::{self, Mail},
};

/// What is read of `customer.created`: whom to ask about. What it says of the customer may be old.
#[derive(Deserialize)]
pub struct CustomerCreated {
    customer: String,
}

/// What is read of a customer.
#[derive(Deserialize)]
struct Customer {
    firstname: String,
    lastname: String,
    email: String,
}

/// A new customer gets a welcome letter, at the address that holds when it is written.
pub async fn welcome(reaction: Reaction, event: CustomerCreated) -> Result<Done, Failure> {
    let answer = reaction.client("customers").get(&event.customer).send().await?;
    let customer: Customer = answer.json()?;
    let by_server = reaction.setting(outgoing::SERVER).is_some();
    let event_id = reaction.event_id().to_owned();
    reaction
        .apply(async move |work: Work| {
            let letter = domain::welcome(&customer.firstname);
            let queued = now();
            let mail = Mail {
                id: Uuid::now_v7().to_string(),
                customer: event.customer.clone(),
                kind: "welcome".into(),
                recipient: customer.email.clone(),
                name: format!("{} {}", customer.firstname, customer.lastname),
                subject: letter.subject,
                body: letter.body,
                sent: (!by_server).then(|| queued.clone()),
                queued,
                event_id: event_id.clone(),
                correlation: work.cause().correlation.clone(),
                traceparent: work.cause().traceparent.to_string(),
            };
            if store::insert(&work, &mail).await? && mail.sent.is_some() {
                work.emit(&mail.href(), &WelcomeMailSent::of(&mail)).await?;
            }
            Ok(())
        })
        .await
}
