//! Reads the Chinook sample database: a music shop's tables in SQLite.
//!
//! Every row is judged by itself: one that cannot be read is rejected with its reason, and the
//! others go on. An album's price is not in Chinook and is left out; the sum of its tracks would be
//! no shop's price.

mod cells;
mod schema;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use rusqlite::{Connection, OpenFlags, Row as Cells};
use serde_json::{Value, json};

use crate::source::{Album, Place, Rejected, Row, Source, Table, key};
use cells::{length_ms, number, price_minor, text};
pub use schema::Unusable;

const CURRENCY: &str = "USD";

/// Reads all of it.
pub fn read(file: &Path) -> Result<Source, Unusable> {
    let database = open(file)?;
    let mut reading = Reading { database: &database, source: Source::default() };
    reading.source.name = format!("Chinook in {}", file.display());
    reading.all().map_err(|error| Unusable::of(file, &error))?;
    Ok(reading.source)
}

/// Opens for reading only, in one transaction: what is written meanwhile is not seen.
fn open(file: &Path) -> Result<Connection, Unusable> {
    if !file.is_file() {
        return Err(Unusable::NoFile { file: file.to_owned() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let unusable = |error| Unusable::of(file, &error);
    let database = Connection::open_with_flags(file, flags).map_err(unusable)?;
    database.execute_batch("BEGIN").map_err(unusable)?;
    schema::check(&database, file)?;
    Ok(database)
}

struct Reading<'a> {
    database: &'a Connection,
    source: Source,
}

/// What became of a row that others refer to, by its number.
type Known = HashMap<i64, Option<usize>>;

impl Reading<'_> {
    fn all(&mut self) -> rusqlite::Result<()> {
        let artists = self.artists()?;
        let albums = self.albums(&artists)?;
        self.tracks(&albums)?;
        self.customers()
    }

    fn artists(&mut self) -> rusqlite::Result<Known> {
        let mut known = Known::new();
        let sql = "SELECT ArtistId, Name FROM Artist ORDER BY ArtistId";
        self.each("Artist", sql, |source, at, id, cells| {
            known.insert(id, None);
            let name = text(cells, "Name").map_err(|why| at.clone().unreadable(why))?;
            let key = key("chinook", at.table, &[&at.row, &name]);
            known.insert(id, Some(source.artists.len()));
            source.artists.push(Row { at, key, body: json!({ "name": name }) });
            Ok(())
        })?;
        Ok(known)
    }

    fn albums(&mut self, artists: &Known) -> rusqlite::Result<Known> {
        let mut known = Known::new();
        let sql = "SELECT AlbumId, Title, ArtistId FROM Album ORDER BY AlbumId";
        self.each("Album", sql, |source, at, id, cells| {
            known.insert(id, None);
            let wrong = |why: String| at.clone().unreadable(why);
            let title = text(cells, "Title").map_err(wrong)?;
            let artist = reference(cells, "ArtistId", "Artist", artists).map_err(wrong)?;
            // With the artist's key in its own, an album of an artist whose name was corrected is a
            // new one, as the artist is.
            let of = &source.artists[artist].key;
            let key = key("chinook", at.table, &[&at.row, &title, of]);
            known.insert(id, Some(source.albums.len()));
            let body = json!({ "title": title, "tracks": [] });
            source.albums.push(Album { row: Row { at, key, body }, artist, tracks: Vec::new() });
            Ok(())
        })?;
        Ok(known)
    }

    /// Tracks become parts of their albums, in the order of their numbers.
    fn tracks(&mut self, albums: &Known) -> rusqlite::Result<()> {
        let mut bodies: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
        let sql =
            "SELECT TrackId, Name, AlbumId, Milliseconds, UnitPrice FROM Track ORDER BY TrackId";
        self.each("Track", sql, |source, at, _, cells| {
            let (album, body) = track(cells, albums).map_err(|why| at.clone().unreadable(why))?;
            source.albums[album].tracks.push(at);
            bodies.entry(album).or_default().push(body);
            Ok(())
        })?;
        for (album, tracks) in bodies {
            self.source.albums[album].row.body["tracks"] = tracks.into();
        }
        Ok(())
    }

    fn customers(&mut self) -> rusqlite::Result<()> {
        let sql = "SELECT CustomerId, FirstName, LastName, Email FROM Customer ORDER BY CustomerId";
        self.each("Customer", sql, |source, at, _, cells| {
            let wrong = |why: String| at.clone().unreadable(why);
            let firstname = text(cells, "FirstName").map_err(wrong)?;
            let lastname = text(cells, "LastName").map_err(wrong)?;
            let email = text(cells, "Email").map_err(wrong)?;
            let key = key("chinook", at.table, &[&at.row, &email]);
            let body = json!({ "firstname": firstname, "lastname": lastname, "email": email });
            source.customers.push(Row { at, key, body });
            Ok(())
        })
    }

    /// Hands over every row of a table with its number, which is its first column.
    fn each(
        &mut self,
        table: &'static str,
        sql: &str,
        mut take: impl FnMut(&mut Source, Place, i64, &Cells) -> Result<(), Rejected>,
    ) -> rusqlite::Result<()> {
        let mut statement = self.database.prepare(sql)?;
        let id_column = statement.column_name(0)?.to_owned();
        let mut rows = statement.query([])?;
        let mut count = 0;
        while let Some(cells) = rows.next()? {
            count += 1;
            let taken = match number(cells, &id_column) {
                Ok(id) => take(&mut self.source, Place::new(table, id), id, cells),
                Err(why) => Err(Place::new(table, cells::shown(cells.get_ref(0)?)).unreadable(why)),
            };
            self.source.rejected.extend(taken.err());
        }
        self.source.tables.push(Table { name: table, rows: count });
        Ok(())
    }
}

fn track(cells: &Cells, albums: &Known) -> Result<(usize, Value), String> {
    let mut body = json!({ "title": text(cells, "Name")? });
    if let Some(length) = length_ms(cells, "Milliseconds")? {
        body["length_ms"] = length.into();
    }
    if let Some(amount) = price_minor(cells, "UnitPrice")? {
        body["price"] = json!({ "amount_minor": amount, "currency": CURRENCY });
    }
    Ok((reference(cells, "AlbumId", "Album", albums)?, body))
}

/// The index of the row that a column refers to.
fn reference(cells: &Cells, column: &str, table: &str, known: &Known) -> Result<usize, String> {
    let id = number(cells, column)?;
    let found =
        known.get(&id).ok_or_else(|| format!("{column} is {id}: there is no such {table}"))?;
    found.ok_or_else(|| format!("{column} is {id}: that {table} was rejected itself"))
}
