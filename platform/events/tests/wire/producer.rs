//! A producer with a real store and a real socket.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::Request};

use backline_client::{Cause, Client, Discovery};
use backline_events::{Emit, Feed, MIGRATION, outbox, routes};
use backline_store::{Error, Migration, Store, Tx};
use backline_testkit::TempDir;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

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

/// One address behind which the producer can be exchanged, as when its store is new.
pub struct Front {
    pub address: SocketAddr,
    behind: Arc<Mutex<Router>>,
    drain: Mutex<CancellationToken>,
}

impl Front {
    pub async fn of(producer: &Producer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let behind = Arc::new(Mutex::new(routes(producer.feed.clone())));
        let ask = behind.clone();
        let app = Router::new().fallback(async move |request: Request| {
            let router = ask.lock().expect("a lock").clone();
            router.oneshot(request).await
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, behind, drain: Mutex::new(producer.drain.clone()) }
    }

    /// The one before ends; what is asked from now on, another answers.
    pub fn lead_to(&self, producer: &Producer) {
        *self.behind.lock().expect("a lock") = routes(producer.feed.clone());
        let mut drain = self.drain.lock().expect("a lock");
        drain.cancel();
        *drain = producer.drain.clone();
    }
}
