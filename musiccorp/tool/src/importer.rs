//! Brings a source into the shop: artists, then albums, then customers; in each stage a few rows at
//! a time.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use serde_json::Value;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};

use crate::{
    api::{Api, link},
    arguments::Options,
    progress::{Progress, Stage},
    report::Report,
    retry::{Course, Halted},
    source::{Album, Rejected, Row, Source},
};

/// How many rows are on their way at a time.
const WORKERS: usize = 4;
/// Where the shop's services begin; from there on, links are followed.
const CATALOG: &str = "/catalog";
const CUSTOMERS: &str = "/customers";

/// What became of a row.
#[derive(Debug)]
pub enum Outcome {
    /// It is in the shop, under this reference.
    There {
        href: String,
        is_new: bool,
    },
    Rejected(Rejected),
    /// It was not its turn before everything was halted.
    Left,
}

/// What became of all rows; each list is as long as the source's.
#[derive(Debug)]
pub struct Outcomes {
    pub artists: Vec<Outcome>,
    pub albums: Vec<Outcome>,
    pub customers: Vec<Outcome>,
}

/// Imports all of it, and tells what became of it.
pub fn run(source: &Source, options: &Options) -> Result<Report, String> {
    let course = Arc::new(Course::new(options.patience));
    halt_on_signals(Arc::clone(&course))
        .map_err(|error| format!("signals cannot be listened for: {error}"))?;
    let progress = Progress::new(options.progress);
    let importer =
        Importer { api: Api::new(&options.gateway), course: &course, progress: &progress };
    let begun = Instant::now();
    let outcomes = importer.all(source);
    let report = Report::new(source, &outcomes, &options.gateway, course.halted(), begun.elapsed());
    report.print();
    if let Some(file) = &options.report {
        report.write(file)?;
    }
    Ok(report)
}

/// The first signal lets the requests on their way end; the second ends the process.
fn halt_on_signals(course: Arc<Course>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || {
        for (count, signal) in signals.forever().enumerate() {
            course.halt(Halted::Interrupted);
            if count > 0 {
                let _ = emulate_default_handler(signal);
            }
        }
    });
    Ok(())
}

struct Importer<'a> {
    api: Api,
    course: &'a Course,
    progress: &'a Progress,
}

/// The catalogue's collections, as its root links to them.
struct Catalog {
    artists: String,
    albums: String,
}

impl Importer<'_> {
    fn all(&self, source: &Source) -> Outcomes {
        let needs_catalog = !source.artists.is_empty() || !source.albums.is_empty();
        let catalog = if needs_catalog { self.catalog() } else { None };
        let (artists, albums) = match &catalog {
            Some(catalog) => self.music(source, catalog),
            None => (left(&source.artists), left(&source.albums)),
        };
        let customers = self.stage("customers", &source.customers, |stage, row| {
            self.create(stage, CUSTOMERS, row, &row.body)
        });
        Outcomes { artists, albums, customers }
    }

    fn music(&self, source: &Source, catalog: &Catalog) -> (Vec<Outcome>, Vec<Outcome>) {
        let artists = self.stage("artists", &source.artists, |stage, row| {
            self.create(stage, &catalog.artists, row, &row.body)
        });
        let albums = self.stage("albums", &source.albums, |stage, album| {
            let artist = &source.artists[album.artist];
            self.album(stage, &catalog.albums, album, artist, &artists[album.artist])
        });
        (artists, albums)
    }

    fn album(
        &self,
        stage: &Stage,
        collection: &str,
        album: &Album,
        artist: &Row,
        outcome: &Outcome,
    ) -> Outcome {
        let row = &album.row;
        match outcome {
            Outcome::There { href, .. } => {
                let mut body = row.body.clone();
                body["artist"] = href.as_str().into();
                self.create(stage, collection, row, &body)
            }
            Outcome::Rejected(_) => Outcome::Rejected(
                row.at.clone().unreadable(format!("its artist ({}) was rejected", artist.at)),
            ),
            Outcome::Left => Outcome::Left,
        }
    }

    /// Follows the links of the catalogue's root.
    fn catalog(&self) -> Option<Catalog> {
        let root =
            self.course.insist(&|line| self.progress.tell(line), || self.api.get(CATALOG))?;
        let found = root.map_err(|refusal| refusal.to_string()).and_then(|root| {
            let collection = |rel| {
                link(&root, rel).map(str::to_owned).ok_or_else(|| format!("it has no link '{rel}'"))
            };
            Ok(Catalog { artists: collection("artists")?, albums: collection("albums")? })
        });
        let halt = |reason| self.course.halt(Halted::Refused { what: "the catalogue", reason });
        found.map_err(halt).ok()
    }

    fn create(&self, stage: &Stage, collection: &str, row: &Row, body: &Value) -> Outcome {
        let tell = |line: &str| stage.tell(line);
        let created = self.course.insist(&tell, || self.api.create(collection, &row.key, body));
        match created {
            None => Outcome::Left,
            Some(Ok(created)) => Outcome::There { href: created.href, is_new: !created.replayed },
            Some(Err(refusal)) => {
                let reason = if refusal.is_changed_row() {
                    "it was imported before with other content; the shop keeps what it has"
                        .to_owned()
                } else {
                    refusal.to_string()
                };
                let status = Some(refusal.status).filter(|&status| status != 0);
                Outcome::Rejected(Rejected { at: row.at.clone(), reason, status })
            }
        }
    }

    /// Does something with each row, a few at a time; the outcomes are in the rows' order.
    fn stage<T: Sync>(
        &self,
        name: &'static str,
        rows: &[T],
        act: impl Fn(&Stage, &T) -> Outcome + Sync,
    ) -> Vec<Outcome> {
        if rows.is_empty() || self.course.halted().is_some() {
            return left(rows);
        }
        let stage = self.progress.stage(name, rows.len());
        let outcomes: Vec<OnceLock<Outcome>> = rows.iter().map(|_| OnceLock::new()).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            while self.course.halted().is_none() {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let (Some(row), Some(outcome)) = (rows.get(index), outcomes.get(index)) else {
                    break;
                };
                let done = act(&stage, row);
                if !matches!(done, Outcome::Left) {
                    stage.step();
                }
                // Nobody else has this index.
                let _ = outcome.set(done);
            }
        };
        thread::scope(|scope| {
            for _ in 0..WORKERS.min(rows.len()) {
                scope.spawn(work);
            }
        });
        stage.finish();
        outcomes.into_iter().map(|outcome| outcome.into_inner().unwrap_or(Outcome::Left)).collect()
    }
}

fn left<T>(rows: &[T]) -> Vec<Outcome> {
    rows.iter().map(|_| Outcome::Left).collect()
}
