//! The starter catalogue that comes with the tool: a shop that has something to sell on its first
//! day. Facts are facts; the descriptions are our own.

use std::{collections::HashMap, fmt};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::source::{Album, Place, Row, Source, Table, key};

const DATA: &str = include_str!("../data/starter.toml");
const CURRENCY: &str = "USD";

/// The data that came with the tool cannot be read.
#[derive(Debug)]
pub struct Broken(toml::de::Error);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the starter catalogue in this tool is broken: {}", self.0)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    album: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    artist: String,
    title: String,
    year: i64,
    /// Of the album, in cents.
    price: i64,
    /// Of each track, in cents.
    track_price: i64,
    about: String,
    tracks: Vec<Track>,
}

/// A title, or a title with its length as on the sleeve.
#[derive(Deserialize)]
#[serde(untagged)]
enum Track {
    Title(String),
    WithLength(String, Length),
}

/// Minutes and seconds: `9:22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Length {
    ms: i64,
}

impl TryFrom<String> for Length {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts = text.split_once(':').filter(|(_, seconds)| seconds.len() == 2);
        let parts = parts.and_then(|(m, s)| Some((m.parse::<u16>().ok()?, s.parse::<u8>().ok()?)));
        let (minutes, seconds) = parts
            .filter(|&(_, seconds)| seconds < 60)
            .ok_or_else(|| format!("'{text}' is no length such as 9:22"))?;
        Ok(Self { ms: (i64::from(minutes) * 60 + i64::from(seconds)) * 1_000 })
    }
}

impl Track {
    fn title(&self) -> &str {
        match self {
            Self::Title(title) | Self::WithLength(title, _) => title,
        }
    }

    fn body(&self, price: i64) -> Value {
        let mut body = json!({ "title": self.title(), "price": money(price) });
        if let Self::WithLength(_, length) = self {
            body["length_ms"] = length.ms.into();
        }
        body
    }
}

/// Reads all of it.
pub fn read() -> Result<Source, Broken> {
    let catalogue: Catalogue = toml::from_str(DATA).map_err(Broken)?;
    let mut source = Source { name: "The starter catalogue".to_owned(), ..Source::default() };
    let mut known = HashMap::new();
    for entry in &catalogue.album {
        let artist = *known.entry(entry.artist.as_str()).or_insert_with(|| {
            source.artists.push(artist(&entry.artist));
            source.artists.len() - 1
        });
        source.albums.push(album(entry, artist));
    }
    let tracks = source.albums.iter().map(|album| album.tracks.len()).sum();
    source.tables = vec![
        Table { name: "Artist", rows: source.artists.len() },
        Table { name: "Album", rows: source.albums.len() },
        Table { name: "Track", rows: tracks },
    ];
    Ok(source)
}

fn artist(name: &str) -> Row {
    let key = key("starter", "Artist", &[name]);
    Row { at: Place::new("Artist", name), key, body: json!({ "name": name }) }
}

fn album(entry: &Entry, artist: usize) -> Album {
    let name = format!("{}: {}", entry.artist, entry.title);
    let place = |index| Place::new("Track", format!("{name}, {}", index + 1));
    let tracks = entry.tracks.iter().map(|track| track.body(entry.track_price));
    let body = json!({
        "title": entry.title,
        "year": entry.year,
        "description": entry.about,
        "price": money(entry.price),
        "tracks": tracks.collect::<Vec<_>>(),
    });
    let key = key("starter", "Album", &[&entry.artist, &entry.title]);
    let tracks = (0..entry.tracks.len()).map(place).collect();
    Album { row: Row { at: Place::new("Album", name), key, body }, artist, tracks }
}

fn money(amount_minor: i64) -> Value {
    json!({ "amount_minor": amount_minor, "currency": CURRENCY })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn catalogue() -> Vec<Entry> {
        toml::from_str::<Catalogue>(DATA).expect("the data can be read").album
    }

    #[test]
    fn there_are_at_least_sixty_albums_and_give_blood_is_the_first() {
        let albums = catalogue();
        assert!(albums.len() >= 60, "{} albums", albums.len());
        let first = &albums[0];
        assert_eq!((&*first.title, &*first.artist, first.year), ("Give Blood", "Brakes", 2005));
    }

    #[test]
    fn no_artist_has_an_album_twice_and_no_album_a_track_twice() {
        let mut albums = HashSet::new();
        for entry in catalogue() {
            let name = (entry.artist.to_lowercase(), entry.title.to_lowercase());
            assert!(albums.insert(name.clone()), "{name:?} is there twice");
            let titles: HashSet<_> =
                entry.tracks.iter().map(|t| t.title().to_lowercase()).collect();
            assert_eq!(titles.len(), entry.tracks.len(), "{name:?} has a track twice");
        }
    }

    #[test]
    fn every_album_is_complete_and_plausible() {
        for Entry { artist, title, year, price, track_price, about, tracks } in catalogue() {
            let name = format!("{artist}: {title}");
            assert!((1950..=2025).contains(&year), "{name}: {year}");
            assert!((799..=1999).contains(&price), "{name}: {price}");
            assert!([99, 129].contains(&track_price), "{name}: {track_price}");
            assert!(tracks.len() >= 4, "{name}: {} tracks", tracks.len());
            assert!(about.len() > 30 && about.ends_with('.'), "{name}: {about}");
            let texts = tracks.iter().map(Track::title).chain([&*artist, &*title, &*about]);
            for text in texts {
                let is_clean = !text.is_empty() && text.trim() == text && !text.contains("  ");
                assert!(is_clean && !text.chars().any(char::is_control), "{name}: {text:?}");
            }
        }
    }

    #[test]
    fn the_albums_span_seven_decades() {
        let decades: HashSet<_> = catalogue().iter().map(|entry| entry.year / 10).collect();
        assert!(decades.len() >= 7, "{decades:?}");
    }

    #[test]
    fn an_album_becomes_what_the_shop_takes() {
        let source = read().expect("the data can be read");
        let album = &source.albums[0];
        assert_eq!(source.artists[album.artist].body["name"], "Brakes");
        assert_eq!(album.row.body["price"]["currency"], "USD");
        assert_eq!(album.row.body["tracks"].as_array().map(Vec::len), Some(album.tracks.len()));
        let keys: HashSet<_> = source.albums.iter().map(|album| &album.row.key).collect();
        assert_eq!(keys.len(), source.albums.len());
    }

    #[test]
    fn a_length_is_minutes_and_seconds() {
        let ms = |text: &str| Length::try_from(text.to_owned()).ok().map(|length| length.ms);
        assert_eq!(["9:22", "0:06", "23:31"].map(ms), [562_000, 6_000, 1_411_000].map(Some));
        assert_eq!(["9", "9:2", "9:60", "9:222", ":10", "-1:00"].map(ms), [None; 6]);
    }
}
