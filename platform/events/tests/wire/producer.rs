//! A producer with a real store and a real socket.

use std::net::SocketAddr;

use backline_client::{Cause, Client, Discovery};
use backline_events::{Emit, Feed, MIGRATION, outbox, routes};
use backline_store::{Error, Migration, Store, Tx};
use backline_testkit::TempDir;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Tables of the consumers under test.
pub const EFFECTS: Migration = Migration {
    name: "effects",
    sql: "CREATE TABLE effect (position INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL,
                               number BIGINT NOT NULL);",
};

#[derive(Serialize)]
pub struct Counted {
    pub number: i64,
}

impl Emit for Counted {
    const TYPE: &'static str = "counted";
}

pub struct Producer {
    pub store: Store,
    pub feed: Feed,
    pub drain: CancellationToken,
    pub address: SocketAddr,
    _dir: TempDir,
}

impl Producer {
    pub async fn start() -> Self {
        let dir = TempDir::new();
        let store = open(&dir, &[MIGRATION]).await;
        let drain = CancellationToken::new();
        let feed = Feed::open("numbers", store.clone(), drain.clone()).await.expect("a feed");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let app = routes(feed.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { store, feed, drain, address, _dir: dir }
    }

    pub fn client(&self) -> Client {
        client(self.address)
    }

    /// Emits an event about each subject, one transaction each.
    pub async fn emit(&self, events: &[(&str, i64)]) {
        for (subject, number) in events {
            let (subject, number) = ((*subject).to_owned(), *number);
            self.store
                .write(async move |tx: Tx| {
                    outbox::append(&tx, &Cause::root(), &subject, &Counted { number }).await?;
                    Ok::<_, Error>(())
                })
                .await
                .expect("an event");
        }
    }
}

pub fn client(address: SocketAddr) -> Client {
    let discovery = Discovery::from_url(&format!("static:numbers={address}"), "test-1");
    discovery.expect("a valid URL").client("numbers")
}

pub async fn open(dir: &TempDir, migrations: &[Migration]) -> Store {
    let url = format!("sqlite:{}", dir.join("store.db").display());
    Store::open(&url, migrations).await.expect("a store")
}
