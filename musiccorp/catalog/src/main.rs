//! The catalogue: artists, albums, tracks, and finding them.
//!
//! It says what there is and what it costs. How many copies lie on the shelf, and selling them, is
//! the business of others.

mod api;
mod domain;
mod events;
mod store;

use std::process::ExitCode;

use backline_chassis::Service;

fn main() -> ExitCode {
    Service::named("catalog")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Artists, albums and tracks, and finding them.")
        .owner("catalogue team")
        .store(&store::MIGRATIONS)
        .resources(api::routes())
        .emits::<events::ArtistAdded>()
        .emits::<events::AlbumAdded>()
        .run()
}
