use axum::http::StatusCode;
use backline_chassis::{Answer, Cx, Paging, Problem, Query, Resource, StoreError};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{albums, artists, tracks};
use crate::store::{self, Window};

/// The most of each kind that a search shows.
const MOST: i64 = 20;

/// What is looked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Search {
    /// Part of a name or title; upper and lower case are one.
    q: String,
}

/// Find artists, albums and tracks
///
/// At most 20 of each kind; `artists_total` and so on say how many there are.
#[utoipa::path(get, path = "/catalog/search", params(Search), responses(
    (status = 200, description = "What was found", content_type = "application/hal+json"),
    (status = 400, description = "`invalid-query`: nothing to look for")))]
pub(super) async fn search(cx: Cx, Query(search): Query<Search>) -> Answer {
    let text = search.q.trim().to_owned();
    if text.is_empty() {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid-query",
            "The query is not valid",
        )
        .detail("q is empty: give part of a name or title")
        .into());
    }
    let href = Paging::filtered("/catalog/search", &[("q", Some(&text))]);
    let title = format!("Search for '{text}'");
    let window = Window { offset: 0, limit: MOST };
    let (in_artists, in_albums, in_tracks) = cx
        .read(async move |tx| {
            Ok::<_, StoreError>((
                store::artists(&tx, &text, window).await?,
                store::albums(&tx, &text, window).await?,
                store::tracks(&tx, &text, window).await?,
            ))
        })
        .await?;
    Ok(Resource::new(href)
        .title(title)
        .field("artists_total", in_artists.total)
        .field("albums_total", in_albums.total)
        .field("tracks_total", in_tracks.total)
        .embed_all("artists", in_artists.items.iter().map(artists::view))
        .embed_all("albums", in_albums.items.iter().map(albums::view))
        .embed_all("tracks", in_tracks.items.iter().map(tracks::view))
        .templated("search", "/catalog/search{?q}")
        .into())
}
