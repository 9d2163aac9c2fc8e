use backline_chassis::{Answer, Cx, Fault, Path, Resource};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Price, albums};
use crate::store::{self, Track};

/// A track.
#[derive(Serialize, ToSchema)]
struct TrackView<'a> {
    /// Its place on the album, from 1.
    number: i64,
    title: &'a str,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    length_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Price>,
}

/// One track
#[utoipa::path(get, path = "/catalog/tracks/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "The track", body = TrackView, content_type = "application/hal+json"),
    (status = 404, description = "`not-found`")))]
pub(super) async fn show(cx: Cx, Path(id): Path<String>) -> Answer {
    let track = cx.read(async move |tx| store::find_track(&tx, &id).await).await?;
    Ok(view(&track.ok_or_else(|| Fault::not_found("No track has this reference."))?).into())
}

pub(super) fn href(id: &str) -> String {
    format!("/catalog/tracks/{id}")
}

pub(super) fn view(track: &Track) -> Resource {
    Resource::new(href(&track.id))
        .title(&track.title)
        .fields(&TrackView {
            number: track.number,
            title: &track.title,
            length_ms: track.length_ms,
            price: track.price.as_ref().map(Into::into),
        })
        .link("album", albums::href(&track.album))
}
