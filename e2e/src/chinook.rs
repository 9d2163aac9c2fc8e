use std::path::Path;

use rusqlite::{Connection, params};

const SCHEMA: &str = "
    CREATE TABLE Artist (ArtistId INTEGER PRIMARY KEY, Name NVARCHAR(120));
    CREATE TABLE Album (
        AlbumId INTEGER PRIMARY KEY, Title NVARCHAR(160) NOT NULL, ArtistId INTEGER NOT NULL);
    CREATE TABLE Genre (GenreId INTEGER PRIMARY KEY, Name NVARCHAR(120));
    CREATE TABLE MediaType (MediaTypeId INTEGER PRIMARY KEY, Name NVARCHAR(120));
    CREATE TABLE Track (
        TrackId INTEGER PRIMARY KEY, Name NVARCHAR(200) NOT NULL, AlbumId INTEGER,
        MediaTypeId INTEGER NOT NULL, GenreId INTEGER, Composer NVARCHAR(220),
        Milliseconds INTEGER NOT NULL, Bytes INTEGER, UnitPrice NUMERIC(10,2) NOT NULL);
    CREATE TABLE Customer (
        CustomerId INTEGER PRIMARY KEY, FirstName NVARCHAR(40) NOT NULL,
        LastName NVARCHAR(20) NOT NULL, Company NVARCHAR(80), Address NVARCHAR(70),
        City NVARCHAR(40), State NVARCHAR(40), Country NVARCHAR(40), PostalCode NVARCHAR(10),
        Phone NVARCHAR(24), Fax NVARCHAR(24), Email NVARCHAR(60) NOT NULL, SupportRepId INTEGER);";

/// Writes a small database of Chinook's schema: some albums, and this many customers.
///
/// # Panics
/// When the file cannot be written.
pub fn small_chinook(file: &Path, customers: u32) {
    let database = Connection::open(file).expect("a new file in a folder of the test");
    database.execute_batch(SCHEMA).expect("the schema");
    let insert = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        database.execute(sql, values).expect("a row");
    };
    insert("INSERT INTO MediaType VALUES (1, 'MPEG audio file')", &[]);
    for id in 1..=3_u32 {
        insert("INSERT INTO Artist VALUES (?, ?)", params![id, format!("Artist {id}")]);
        insert("INSERT INTO Album VALUES (?, ?, ?)", params![id, format!("Album {id}"), id]);
        for number in 1..=4_u32 {
            insert(
                "INSERT INTO Track VALUES (?, ?, ?, 1, NULL, NULL, 200000, NULL, 0.99)",
                params![id * 10 + number, format!("Track {number}"), id],
            );
        }
    }
    for id in 1..=customers {
        insert(
            "INSERT INTO Customer (CustomerId, FirstName, LastName, Email) VALUES (?, ?, 'Customer', ?)",
            params![id, format!("Number {id}"), format!("customer-{id}@example.com")],
        );
    }
}
