//! Postal: what leaves the house by post. Every new customer gets one welcome pack.
//!
//! A pack is addressed to the name that the customer had when it was made up. Parcels of orders come
//! with shipping, which is another service.

mod api;
mod events;
mod reactions;
mod store;

use std::process::ExitCode;

use backline_chassis::Service;

fn main() -> ExitCode {
    Service::named("postal")
        .version(env!("CARGO_PKG_VERSION"))
        .about("What leaves the house by post: welcome packs.")
        .owner("mail room")
        .store(&store::MIGRATIONS)
        .resources(api::routes())
        .on("customers", "customer.created", reactions::post_welcome_pack)
        .emits::<events::WelcomePackPosted>()
        .run()
}
