//! Customers: who they are, and where they stand with us (active, suspended, closed).
//!
//! It tells what happened to a customer, and knows nobody who reacts to it: what a new customer
//! gets is the business of those who give it. It holds no address book, no points and no orders.

mod api;
mod domain;
mod events;
mod store;

use std::process::ExitCode;

use backline_chassis::Service;

fn main() -> ExitCode {
    Service::named("customers")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Who our customers are, and where they stand with us.")
        .owner("customer team")
        .store(&store::MIGRATIONS)
        .resources(api::routes())
        .emits::<events::Created>()
        .emits::<events::Changed>()
        .emits::<events::Suspended>()
        .emits::<events::Reinstated>()
        .emits::<events::Closed>()
        .run()
}
