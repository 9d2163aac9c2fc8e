//! Loyalty: the points bank. Every customer has one account, opened when the customer is created.
//!
//! It keeps no customer's name or address: an account refers to its customer. What points are worth
//! and how they are earned comes with orders.

mod api;
mod events;
mod reactions;
mod store;

use std::process::ExitCode;

use backline_chassis::Service;

fn main() -> ExitCode {
    Service::named("loyalty")
        .version(env!("CARGO_PKG_VERSION"))
        .about("The points bank: one account for every customer.")
        .owner("loyalty team")
        .store(&store::MIGRATIONS)
        .resources(api::routes())
        .on("customers", "customer.created", reactions::open_account)
        .emits::<events::AccountOpened>()
        .run()
}
