//! What the tests need: a shop, a small database, and the tool itself.

pub mod shop;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use backline_testkit::{Finished, TempDir};
use rusqlite::Connection;
use serde_json::Value;

/// A run that takes longer hangs.
pub const LIMIT: Duration = Duration::from_secs(60);

const SCHEMA: &str = "
    CREATE TABLE [Artist] ([ArtistId] INTEGER NOT NULL, [Name] NVARCHAR(120),
        CONSTRAINT [PK_Artist] PRIMARY KEY ([ArtistId]));
    CREATE TABLE [Album] ([AlbumId] INTEGER NOT NULL, [Title] NVARCHAR(160), [ArtistId] INTEGER,
        CONSTRAINT [PK_Album] PRIMARY KEY ([AlbumId]));
    CREATE TABLE [Track] ([TrackId] INTEGER NOT NULL, [Name] NVARCHAR(200), [AlbumId] INTEGER,
        [MediaTypeId] INTEGER, [GenreId] INTEGER, [Composer] NVARCHAR(220), [Milliseconds] INTEGER,
        [Bytes] INTEGER, [UnitPrice] NUMERIC(10,2), CONSTRAINT [PK_Track] PRIMARY KEY ([TrackId]));
    CREATE TABLE [Customer] ([CustomerId] INTEGER NOT NULL, [FirstName] NVARCHAR(40),
        [LastName] NVARCHAR(20), [Email] NVARCHAR(60),
        CONSTRAINT [PK_Customer] PRIMARY KEY ([CustomerId]));";

/// Four artists, of whom the last has no album; an album each, with two tracks; five customers.
const ROWS: &str = "
    INSERT INTO Artist VALUES (1, 'Sigur Rós'), (2, 'Brakes'), (3, 'The Clash'), (9, 'Nobody Yet');
    INSERT INTO Album VALUES (1, 'Takk...', 1), (2, 'Give Blood', 2), (3, 'London Calling', 3);
    INSERT INTO Track (TrackId, Name, AlbumId, Milliseconds, UnitPrice) VALUES
        (11, 'Glósóli', 1, 376000, 0.99), (10, 'Takk...', 1, 117000, 0.99),
        (20, 'Ring a Ding Ding', 2, 112000, 1.99), (21, 'NY Pie', 2, NULL, 0.99),
        (30, 'London Calling', 3, 199000, 1), (31, 'Brand New Cadillac', 3, 129000, 0.99);
    INSERT INTO Customer VALUES
        (1, 'Luís', 'Gonçalves', 'luis@example.com'), (2, 'Leonie', 'Köhler', 'leonie@example.com'),
        (3, 'François', 'Tremblay', 'francois@example.com'), (4, 'Bjørn', 'Hansen', 'bjorn@example.com'),
        (5, 'František', 'Wichterlová', 'frantisek@example.com');";

/// How many rows become resources of their own.
pub const RESOURCES: usize = 4 + 3 + 5;

/// A small database of Chinook's schema, in a folder of its own.
pub struct Chinook {
    dir: TempDir,
}

impl Chinook {
    pub fn small() -> Self {
        let chinook = Self { dir: TempDir::new() };
        chinook.execute(SCHEMA);
        chinook.execute(ROWS);
        chinook
    }

    pub fn execute(&self, sql: &str) {
        let database = Connection::open(self.file()).expect("a file of our own");
        database.execute_batch(sql).expect("valid SQL");
    }

    pub fn file(&self) -> PathBuf {
        self.dir.join("chinook.sqlite")
    }

    /// `musiccorp import chinook FILE` into the shop at `gateway`.
    pub fn import(&self, gateway: &str) -> Command {
        let mut command = tool(&["import", "chinook"]);
        command.arg(self.file()).args(["--gateway", gateway]).arg("--report").arg(self.report());
        command
    }

    fn report(&self) -> PathBuf {
        self.dir.join("report.json")
    }

    /// The report of the last run.
    pub fn last_report(&self) -> Value {
        read_json(&self.report())
    }
}

pub fn read_json(file: &Path) -> Value {
    let text = std::fs::read(file).expect("the report was written");
    serde_json::from_slice(&text).expect("the report is JSON")
}

pub fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_musiccorp"));
    command.args(arguments);
    command
}

/// Runs it to its end.
#[track_caller]
pub fn run(mut command: Command, exit_code: i32) -> Finished {
    let finished = backline_testkit::run(&mut command, LIMIT);
    assert_eq!(finished.status.code(), Some(exit_code), "{finished}");
    finished
}

/// `[read, created, already there, rejected, left]` of a table in a report.
#[track_caller]
pub fn counts(report: &Value, table: &str) -> [u64; 5] {
    let tables = report["tables"].as_array().expect("tables");
    let found = tables.iter().find(|counts| counts["table"] == table).expect("the table");
    ["read", "created", "already_there", "rejected", "left"]
        .map(|name| found[name].as_u64().expect("a number"))
}

/// The rejected rows of a report, as `table row: reason`.
pub fn rejected(report: &Value) -> Vec<String> {
    let text = |row: &Value, name: &str| row[name].as_str().expect("text").to_owned();
    let rows = report["rejected"].as_array().expect("a list").iter();
    rows.map(|row| format!("{} {}: {}", text(row, "table"), text(row, "row"), text(row, "reason")))
        .collect()
}
