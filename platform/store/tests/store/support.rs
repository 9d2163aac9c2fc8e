//! What the tests of the store share.

use std::{
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
};

use backline_store::{Error, Migration, Store, Tx, params};
use tokio::task::JoinHandle;

/// A folder of its own for each test, gone when dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("backline-store-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    pub fn file(&self) -> PathBuf {
        self.0.join("test.db")
    }

    pub fn url(&self) -> String {
        format!("sqlite:{}", self.file().display())
    }

    pub async fn store(&self) -> Store {
        Store::open(&self.url(), &[ITEMS]).await.expect("a store")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub const ITEMS: Migration = Migration {
    name: "items-1",
    sql: "CREATE TABLE items (
              id   INTEGER PRIMARY KEY,
              name TEXT UNIQUE,
              note TEXT
          );
          CREATE TABLE notes (
              item INTEGER REFERENCES items (id) DEFERRABLE INITIALLY DEFERRED
          );",
};

/// Waits for the writer to be in a closure, and keeps it there until released, so that what is
/// written in between becomes one batch.
pub struct Gate {
    release: mpsc::Sender<()>,
    holder: JoinHandle<Result<(), Error>>,
}

impl Gate {
    pub async fn hold(store: &Store) -> Self {
        let (release, held) = mpsc::channel();
        let held = Mutex::new(held);
        let (inside, entered) = tokio::sync::oneshot::channel();
        let inside = Mutex::new(Some(inside));
        let store = store.clone();
        let holder = tokio::spawn(async move {
            store
                .write(async move |_: Tx| {
                    if let Some(inside) = inside.lock().expect("unharmed").take() {
                        let _ = inside.send(());
                    }
                    let _ = held.lock().expect("unharmed").recv();
                    Ok(())
                })
                .await
        });
        entered.await.expect("the writer runs");
        Self { release, holder }
    }

    /// To be called on a runtime with one thread: then all tasks that were spawned before have
    /// handed their writes over by now.
    pub async fn release(self) {
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        self.release.send(()).expect("the writer waits");
        self.holder.await.expect("no panic").expect("nothing went wrong");
    }
}

pub async fn insert(tx: &Tx, id: i64) -> Result<(), Error> {
    tx.execute("INSERT INTO items (id, name) VALUES ($1, $2)", params![id, format!("item {id}")])
        .await
        .map(drop)
}

pub async fn ids(store: &Store) -> Vec<i64> {
    let rows = store
        .read(async |tx: Tx| tx.query("SELECT id FROM items ORDER BY id", params![]).await)
        .await
        .expect("a read");
    rows.iter().map(|row| row.get("id").expect("an id")).collect()
}
