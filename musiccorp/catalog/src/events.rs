//! What this service tells others.

use backline_chassis::Emit;
use serde::Serialize;
use utoipa::ToSchema;

/// An artist is in the catalogue.
#[derive(Serialize, ToSchema)]
pub struct ArtistAdded {
    /// Reference of the artist.
    pub artist: String,
    pub name: String,
}

/// An album is in the catalogue, with all its tracks.
#[derive(Serialize, ToSchema)]
pub struct AlbumAdded {
    /// Reference of the album.
    pub album: String,
    /// Reference of its artist.
    pub artist: String,
    pub title: String,
    /// References of its tracks, in order.
    pub tracks: Vec<String>,
}

impl Emit for ArtistAdded {
    const TYPE: &'static str = "artist.added";
}

impl Emit for AlbumAdded {
    const TYPE: &'static str = "album.added";
}
