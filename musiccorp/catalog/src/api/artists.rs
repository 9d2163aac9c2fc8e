use backline_chassis::{
    Action, Answer, Cx, Fault, Field, Json, Paging, Path, Query, Reply, Resource, Work,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{albums, invalid};
use crate::{
    domain,
    events::ArtistAdded,
    store::{self, Artist, Window},
};

/// A new artist.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewArtist {
    #[schema(example = "Brakes", min_length = 1, max_length = 300)]
    name: String,
}

/// An artist.
#[derive(Serialize, ToSchema)]
struct ArtistView<'a> {
    name: &'a str,
}

/// Which artists.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Part of the name.
    q: Option<String>,
}

/// Artists by name
#[utoipa::path(get, path = "/catalog/artists", params(Filter, Paging),
    responses((status = 200, description = "A page of artists", content_type = "application/hal+json")))]
pub(super) async fn list(cx: Cx, Query(filter): Query<Filter>, paging: Paging) -> Answer {
    let href = Paging::filtered("/catalog/artists", &[("q", filter.q.as_deref())]);
    let window = Window { offset: paging.offset(), limit: Paging::SIZE };
    let text = filter.q.unwrap_or_default();
    let found = cx.read(async move |tx| store::artists(&tx, &text, window).await).await?;
    let create = Action::post("create", "/catalog/artists")
        .title("Add an artist")
        .field(Field::text("name").title("Name").required());
    Ok(paging
        .collection(&href, "artists", found.total, found.items.iter().map(view))
        .title("Artists")
        .action(create)
        .into())
}

/// Add an artist
#[utoipa::path(post, path = "/catalog/artists", request_body = NewArtist, responses(
    (status = 201, description = "Added", body = ArtistView, content_type = "application/hal+json"),
    (status = 422, description = "`invalid-catalog-entry`: says what is wrong")))]
pub(super) async fn create(cx: Cx, Json(new): Json<NewArtist>) -> Answer {
    if let Some(wrong) = domain::title("name", &new.name) {
        return Err(invalid(&[wrong]));
    }
    let name = new.name.trim().to_owned();
    cx.write(async move |work: Work| {
        let artist = Artist { id: Uuid::now_v7().to_string(), name: name.clone() };
        store::insert_artist(&work, &artist).await?;
        let href = href(&artist.id);
        let event = ArtistAdded { artist: href.clone(), name: artist.name.clone() };
        work.emit(&href, &event).await?;
        Ok(Reply::created(view(&artist)))
    })
    .await
}

/// One artist, with albums
#[utoipa::path(get, path = "/catalog/artists/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "The artist", body = ArtistView, content_type = "application/hal+json"),
    (status = 404, description = "`not-found`")))]
pub(super) async fn show(cx: Cx, Path(id): Path<String>) -> Answer {
    let found = cx
        .read(async move |tx| {
            let artist = store::find_artist(&tx, &id).await?;
            Ok::<_, Fault>((artist, store::albums_of(&tx, &id).await?))
        })
        .await?;
    let (Some(artist), made) = found else {
        return Err(Fault::not_found("No artist has this reference."));
    };
    Ok(view(&artist)
        .link_titled("collection", "/catalog/artists", "All artists")
        .embed_all("albums", made.iter().map(albums::view))
        .into())
}

pub(super) fn href(id: &str) -> String {
    format!("/catalog/artists/{id}")
}

pub(super) fn view(artist: &Artist) -> Resource {
    Resource::new(href(&artist.id)).title(&artist.name).fields(&ArtistView { name: &artist.name })
}
