use axum::http::StatusCode;
use backline_chassis::{
    Action, Answer, Cx, Fault, Field, Json, Paging, Path, Problem, Query, Reply, Resource, Work,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Price, artists, invalid, tracks};
use crate::{
    domain::{NewAlbum, NewTrack, Wrong},
    events::AlbumAdded,
    store::{self, Album, Artist, Window},
};

/// Where customers order until the shop sells online. (555 is nobody's number.)
const PHONE: &str = "+1 202 555 0142";

/// A new album with its tracks, in order.
#[derive(Deserialize, ToSchema)]
pub(super) struct AlbumBody {
    #[schema(example = "Give Blood", min_length = 1, max_length = 300)]
    title: String,
    /// Reference of the artist.
    #[schema(example = "/catalog/artists/0198c0de-0000-7000-8000-000000000000")]
    artist: String,
    #[schema(example = 2005)]
    year: Option<i64>,
    #[schema(example = "Awesome, short, brutish, funny and loud. Must buy!", max_length = 5000)]
    description: Option<String>,
    price: Option<Price>,
    #[serde(default)]
    tracks: Vec<TrackBody>,
}

/// A track of a new album.
#[derive(Deserialize, ToSchema)]
pub(super) struct TrackBody {
    #[schema(example = "Ring a Ding Ding", min_length = 1, max_length = 300)]
    title: String,
    /// Milliseconds.
    #[schema(example = 112_000)]
    length_ms: Option<i64>,
    price: Option<Price>,
}

/// An album.
#[derive(Serialize, ToSchema)]
struct AlbumView<'a> {
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    year: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Price>,
}

/// Which albums.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Part of the title.
    q: Option<String>,
}

/// Albums by title
#[utoipa::path(get, path = "/catalog/albums", params(Filter, Paging),
    responses((status = 200, description = "A page of albums", content_type = "application/hal+json")))]
pub(super) async fn list(cx: Cx, Query(filter): Query<Filter>, paging: Paging) -> Answer {
    let href = Paging::filtered("/catalog/albums", &[("q", filter.q.as_deref())]);
    let window = Window { offset: paging.offset(), limit: Paging::SIZE };
    let text = filter.q.unwrap_or_default();
    let found = cx.read(async move |tx| store::albums(&tx, &text, window).await).await?;
    let create = Action::post("create", "/catalog/albums")
        .title("Add an album")
        .field(Field::text("title").title("Title").required())
        .field(Field::text("artist").title("Reference of the artist").required())
        .field(Field::number("year").title("Year"))
        .field(Field::text("description").title("Description"));
    Ok(paging
        .collection(&href, "albums", found.total, found.items.iter().map(view))
        .title("Albums")
        .action(create)
        .into())
}

/// Add an album with its tracks
#[utoipa::path(post, path = "/catalog/albums", request_body = AlbumBody, responses(
    (status = 201, description = "Added", body = AlbumView, content_type = "application/hal+json"),
    (status = 422, description = "`invalid-catalog-entry`: says what is wrong, all at once")))]
pub(super) async fn create(cx: Cx, Json(body): Json<AlbumBody>) -> Answer {
    let artist_id = body.artist.strip_prefix("/catalog/artists/").unwrap_or_default().to_owned();
    let new = new_album(body);
    let wrong = new.mistakes();
    if !wrong.is_empty() {
        return Err(invalid(&wrong));
    }
    cx.write(async move |work: Work| {
        let artist = store::find_artist(&work, &artist_id).await?.ok_or_else(|| {
            invalid(&[Wrong::new("artist", "give the reference of an artist of this catalogue")])
        })?;
        let (id, tracks) = store::insert_album(&work, &artist_id, &new).await?;
        let event = AlbumAdded {
            album: href(&id),
            artist: artists::href(&artist_id),
            title: new.title.clone(),
            tracks: tracks.iter().map(|id| tracks::href(id)).collect(),
        };
        work.emit(&href(&id), &event).await?;
        Ok(Reply::created(view(&album(id, artist, &new))))
    })
    .await
}

fn new_album(body: AlbumBody) -> NewAlbum {
    let track = |track: TrackBody| NewTrack {
        title: track.title.trim().to_owned(),
        length_ms: track.length_ms,
        price: track.price.map(Into::into),
    };
    NewAlbum {
        title: body.title.trim().to_owned(),
        year: body.year,
        description: body.description,
        price: body.price.map(Into::into),
        tracks: body.tracks.into_iter().map(track).collect(),
    }
}

fn album(id: String, artist: Artist, new: &NewAlbum) -> Album {
    Album {
        id,
        artist,
        title: new.title.clone(),
        year: new.year,
        description: new.description.clone(),
        price: new.price.clone(),
    }
}

/// One album, with tracks
#[utoipa::path(get, path = "/catalog/albums/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "The album", body = AlbumView, content_type = "application/hal+json"),
    (status = 404, description = "`not-found`")))]
pub(super) async fn show(cx: Cx, Path(id): Path<String>) -> Answer {
    let (album, tracks) = cx
        .read(async move |tx| {
            let album = store::find_album(&tx, &id).await?.ok_or_else(missing)?;
            Ok::<_, Fault>((album, store::tracks_of(&tx, &id).await?))
        })
        .await?;
    Ok(view(&album)
        .link_titled("collection", "/catalog/albums", "All albums")
        .embed_all("tracks", tracks.iter().map(tracks::view))
        .into())
}

/// How to buy an album
#[utoipa::path(get, path = "/catalog/albums/{id}/instantpurchase", params(("id" = String, Path)), responses(
    (status = 200, description = "The offer", content_type = "application/hal+json"),
    (status = 404, description = "`not-found`"),
    (status = 409, description = "`not-for-sale`: the album has no price")))]
pub(super) async fn offer(cx: Cx, Path(id): Path<String>) -> Answer {
    let album = cx.read(async move |tx| store::find_album(&tx, &id).await).await?;
    let album = album.ok_or_else(missing)?;
    let price = album.price.as_ref().ok_or_else(|| {
        Problem::new(StatusCode::CONFLICT, "not-for-sale", "This album has no price")
            .link("album", href(&album.id))
    })?;
    Ok(Resource::new(offer_href(&album.id))
        .title(format!("Buy '{}'", album.title))
        .field("price", Price::from(price))
        .field("order_by_phone", PHONE)
        .link_titled("album", href(&album.id), &album.title)
        .into())
}

pub(super) fn href(id: &str) -> String {
    format!("/catalog/albums/{id}")
}

fn offer_href(id: &str) -> String {
    format!("/catalog/albums/{id}/instantpurchase")
}

/// The links are those of an album: its artist, and how to buy it, where it is for sale.
pub(super) fn view(album: &Album) -> Resource {
    let resource = Resource::new(href(&album.id))
        .title(&album.title)
        .fields(&AlbumView {
            title: &album.title,
            year: album.year,
            description: album.description.as_deref(),
            price: album.price.as_ref().map(Into::into),
        })
        .link_titled("artist", artists::href(&album.artist.id), &album.artist.name);
    if album.price.is_some() {
        resource.link_titled("instantpurchase", offer_href(&album.id), "Buy it")
    } else {
        resource
    }
}

fn missing() -> Fault {
    Fault::not_found("No album has this reference.")
}
