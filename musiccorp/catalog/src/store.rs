//! The catalogue in the store.

use backline_chassis::{Migration, Row, StoreError, Tx, params};
use uuid::Uuid;

use crate::domain::{Money, NewAlbum};

pub const MIGRATIONS: [Migration; 1] =
    [Migration { name: "catalog-1", sql: include_str!("../migrations/1.sql") }];

pub struct Artist {
    pub id: String,
    pub name: String,
}

pub struct Album {
    pub id: String,
    pub artist: Artist,
    pub title: String,
    pub year: Option<i64>,
    pub description: Option<String>,
    pub price: Option<Money>,
}

pub struct Track {
    pub id: String,
    pub album: String,
    pub number: i64,
    pub title: String,
    pub length_ms: Option<i64>,
    pub price: Option<Money>,
}

/// Some of many, and how many there are.
pub struct Found<T> {
    pub total: i64,
    pub items: Vec<T>,
}

/// Which ones, of those that are asked for.
#[derive(Clone, Copy)]
pub struct Window {
    pub offset: i64,
    pub limit: i64,
}

const ALBUM: &str =
    "SELECT album.id, album.title, album.year, album.description, album.price_minor,
                            album.price_currency, artist.id AS artist_id, artist.name AS artist_name
                     FROM album JOIN artist ON artist.id = album.artist";

pub async fn insert_artist(tx: &Tx, artist: &Artist) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO artist (id, name, name_key) VALUES ($1, $2, $3)",
        params![&artist.id, &artist.name, &artist.name.to_lowercase()],
    )
    .await?;
    Ok(())
}

/// Returns the album's id and those of its tracks.
pub async fn insert_album(
    tx: &Tx,
    artist: &str,
    album: &NewAlbum,
) -> Result<(String, Vec<String>), StoreError> {
    let id = Uuid::now_v7().to_string();
    tx.execute(
        "INSERT INTO album (id, artist, title, title_key, year, description, price_minor, price_currency)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        params![
            &id,
            artist,
            &album.title,
            &album.title.to_lowercase(),
            album.year,
            album.description.as_deref(),
            album.price.as_ref().map(|price| price.amount_minor),
            album.price.as_ref().map(|price| price.currency.as_str())
        ],
    )
    .await?;
    let mut tracks = Vec::new();
    for (number, track) in (1_i64..).zip(&album.tracks) {
        let track_id = Uuid::now_v7().to_string();
        tx.execute(
            "INSERT INTO track (id, album, number, title, title_key, length_ms, price_minor, price_currency)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params![
                &track_id,
                &id,
                number,
                &track.title,
                &track.title.to_lowercase(),
                track.length_ms,
                track.price.as_ref().map(|price| price.amount_minor),
                track.price.as_ref().map(|price| price.currency.as_str())
            ],
        )
        .await?;
        tracks.push(track_id);
    }
    Ok((id, tracks))
}

pub async fn find_artist(tx: &Tx, id: &str) -> Result<Option<Artist>, StoreError> {
    let row = tx.query_opt("SELECT id, name FROM artist WHERE id = $1", params![id]).await?;
    row.as_ref().map(artist).transpose()
}

pub async fn find_album(tx: &Tx, id: &str) -> Result<Option<Album>, StoreError> {
    let row = tx.query_opt(&format!("{ALBUM} WHERE album.id = $1"), params![id]).await?;
    row.as_ref().map(album).transpose()
}

pub async fn find_track(tx: &Tx, id: &str) -> Result<Option<Track>, StoreError> {
    let row = tx.query_opt("SELECT * FROM track WHERE id = $1", params![id]).await?;
    row.as_ref().map(track).transpose()
}

/// Artists whose name contains the text, in the order of names.
pub async fn artists(tx: &Tx, text: &str, window: Window) -> Result<Found<Artist>, StoreError> {
    let like = containing(text);
    let total =
        count(tx, "SELECT count(*) AS n FROM artist WHERE name_key LIKE $1 ESCAPE '!'", &like);
    let total = total.await?;
    let rows = tx
        .query(
            "SELECT id, name FROM artist WHERE name_key LIKE $1 ESCAPE '!'
             ORDER BY name_key, id LIMIT $2 OFFSET $3",
            params![&like, window.limit, window.offset],
        )
        .await?;
    Ok(Found { total, items: rows.iter().map(artist).collect::<Result<_, _>>()? })
}

/// Albums whose title contains the text, in the order of titles.
pub async fn albums(tx: &Tx, text: &str, window: Window) -> Result<Found<Album>, StoreError> {
    let like = containing(text);
    let total =
        count(tx, "SELECT count(*) AS n FROM album WHERE title_key LIKE $1 ESCAPE '!'", &like);
    let total = total.await?;
    let rows = tx
        .query(
            &format!(
                "{ALBUM} WHERE album.title_key LIKE $1 ESCAPE '!'
                 ORDER BY album.title_key, album.id LIMIT $2 OFFSET $3"
            ),
            params![&like, window.limit, window.offset],
        )
        .await?;
    Ok(Found { total, items: rows.iter().map(album).collect::<Result<_, _>>()? })
}

/// Tracks whose title contains the text, in the order of titles.
pub async fn tracks(tx: &Tx, text: &str, window: Window) -> Result<Found<Track>, StoreError> {
    let like = containing(text);
    let total =
        count(tx, "SELECT count(*) AS n FROM track WHERE title_key LIKE $1 ESCAPE '!'", &like);
    let total = total.await?;
    let rows = tx
        .query(
            "SELECT * FROM track WHERE title_key LIKE $1 ESCAPE '!'
             ORDER BY title_key, id LIMIT $2 OFFSET $3",
            params![&like, window.limit, window.offset],
        )
        .await?;
    Ok(Found { total, items: rows.iter().map(track).collect::<Result<_, _>>()? })
}

/// An artist's albums, oldest first.
pub async fn albums_of(tx: &Tx, artist: &str) -> Result<Vec<Album>, StoreError> {
    let sql =
        format!("{ALBUM} WHERE album.artist = $1 ORDER BY album.year, album.title_key, album.id");
    tx.query(&sql, params![artist]).await?.iter().map(album).collect()
}

/// An album's tracks, in order.
pub async fn tracks_of(tx: &Tx, album: &str) -> Result<Vec<Track>, StoreError> {
    let sql = "SELECT * FROM track WHERE album = $1 ORDER BY number";
    tx.query(sql, params![album]).await?.iter().map(track).collect()
}

async fn count(tx: &Tx, sql: &str, like: &str) -> Result<i64, StoreError> {
    tx.query_one(sql, params![like]).await?.get("n")
}

/// A pattern for LIKE that finds the text wherever it stands.
fn containing(text: &str) -> String {
    let mut like = String::from("%");
    for c in text.trim().to_lowercase().chars() {
        if matches!(c, '%' | '_' | '!') {
            like.push('!');
        }
        like.push(c);
    }
    like.push('%');
    like
}

fn artist(row: &Row) -> Result<Artist, StoreError> {
    Ok(Artist { id: row.get("id")?, name: row.get("name")? })
}

fn album(row: &Row) -> Result<Album, StoreError> {
    Ok(Album {
        id: row.get("id")?,
        artist: Artist { id: row.get("artist_id")?, name: row.get("artist_name")? },
        title: row.get("title")?,
        year: row.get("year")?,
        description: row.get("description")?,
        price: price(row)?,
    })
}

fn track(row: &Row) -> Result<Track, StoreError> {
    Ok(Track {
        id: row.get("id")?,
        album: row.get("album")?,
        number: row.get("number")?,
        title: row.get("title")?,
        length_ms: row.get("length_ms")?,
        price: price(row)?,
    })
}

fn price(row: &Row) -> Result<Option<Money>, StoreError> {
    let amount: Option<i64> = row.get("price_minor")?;
    let currency: Option<String> = row.get("price_currency")?;
    Ok(amount.zip(currency).map(|(amount_minor, currency)| Money { amount_minor, currency }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_no_pattern() {
        assert_eq!(containing(" 100%_Hits! "), "%100!%!_hits!!%");
    }
}
