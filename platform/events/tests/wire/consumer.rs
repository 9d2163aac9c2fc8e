//! Consumers over a real feed and a real store: each effect exactly once, whatever happens.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::producer::{EFFECTS, Producer, client, open};
use backline_events::{CloudEvent, Consumer, Failure, FeedReader, Handler, MIGRATION, inbox};
use backline_store::{Error, Store, Tx, params};
use backline_testkit::TempDir;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(20);

#[derive(serde::Deserialize)]
struct Counted {
    number: i64,
}

/// Writes each number down; fails as it is told to.
#[derive(Clone)]
struct Writer {
    store: Store,
    /// Numbers that fail, once each.
    fails: Arc<Mutex<HashSet<i64>>>,
    /// A number that panics, once.
    panics: Arc<Mutex<Option<i64>>>,
    /// A number that fails until it is taken away.
    stuck: Arc<Mutex<Option<i64>>>,
}

impl Writer {
    fn new(store: &Store) -> Self {
        Self {
            store: store.clone(),
            fails: Arc::default(),
            panics: Arc::default(),
            stuck: Arc::default(),
        }
    }
}

impl Handler for Writer {
    fn handles(&self, kind: &str) -> bool {
        kind == "counted"
    }

    fn handle(
        &self,
        event: Arc<CloudEvent>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>> {
        let this = self.clone();
        Box::pin(async move {
            let Counted { number } = event.read().map_err(|e| Failure::Reject(e.to_string()))?;
            let panics = this.panics.lock().expect("a lock").take_if(|n| *n == number);
            assert!(panics.is_none(), "as it was told to");
            let stuck = *this.stuck.lock().expect("a lock") == Some(number);
            let fails = this.fails.lock().expect("a lock").remove(&number);
            this.store
                .write(async move |tx: Tx| {
                    if inbox::claim(&tx, "numbers", &event).await? {
                        tx.execute(
                            "INSERT INTO effect (subject, number) VALUES ($1, $2)",
                            params![&event.subject, number],
                        )
                        .await?;
                    }
                    // After the effect: it must not stay.
                    if fails || stuck {
                        return Err(Failure::Wait("as it was told to".into()));
                    }
                    Ok(())
                })
                .await
        })
    }
}

struct Running {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), Error>>,
}

fn follow(producer: &Producer, store: &Store, writer: &Writer) -> Running {
    let stop = CancellationToken::new();
    let reader = FeedReader::new(client(producer.address));
    let consumer = Consumer::new("numbers", reader, store.clone(), Arc::new(writer.clone()));
    let task = tokio::spawn(consumer.run(stop.clone()));
    Running { stop, task }
}

async fn effects(store: &Store) -> Vec<(String, i64)> {
    let rows = store
        .read(async |tx: Tx| {
            tx.query("SELECT subject, number FROM effect ORDER BY position", params![]).await
        })
        .await
        .expect("effects");
    rows.iter()
        .map(|row| (row.get("subject").expect("a subject"), row.get("number").expect("a number")))
        .collect()
}

/// Waits, with each commit, until there are this many effects.
async fn effects_when(store: &Store, count: usize) -> Vec<(String, i64)> {
    let mut commits = store.commits();
    let found = tokio::time::timeout(SOON, async {
        loop {
            commits.borrow_and_update();
            let found = effects(store).await;
            if found.len() >= count {
                return found;
            }
            commits.changed().await.expect("the store lives");
        }
    });
    found.await.expect("the effects come in time")
}

#[tokio::test]
async fn failures_and_panics_are_tried_again_and_leave_no_half_effect() {
    let (producer, dir) = (Producer::start().await, TempDir::new());
    let store = open(&dir, &[MIGRATION, EFFECTS]).await;
    let writer = Writer::new(&store);
    writer.fails.lock().expect("a lock").extend([1, 3]);
    *writer.panics.lock().expect("a lock") = Some(2);
    let running = follow(&producer, &store, &writer);
    producer.emit(&[("/a", 1), ("/b", 2), ("/c", 3), ("/d", 4)]).await;
    let mut found = effects_when(&store, 4).await;
    found.sort();
    let expected = [("/a", 1), ("/b", 2), ("/c", 3), ("/d", 4)].map(|(s, n)| (s.to_owned(), n));
    assert_eq!(found, expected);
    running.stop.cancel();
    running.task.await.expect("no panic").expect("a clean end");
}

#[tokio::test]
async fn events_of_one_subject_keep_their_order_and_others_overtake() {
    let (producer, dir) = (Producer::start().await, TempDir::new());
    let store = open(&dir, &[MIGRATION, EFFECTS]).await;
    let writer = Writer::new(&store);
    *writer.stuck.lock().expect("a lock") = Some(1);
    let _running = follow(&producer, &store, &writer);
    producer.emit(&[("/a", 1), ("/a", 2), ("/b", 3), ("/a", 4), ("/b", 5)]).await;
    let overtaken = effects_when(&store, 2).await;
    assert_eq!(overtaken, [("/b".to_owned(), 3), ("/b".to_owned(), 5)]);
    *writer.stuck.lock().expect("a lock") = None;
    let all = effects_when(&store, 5).await;
    let of_a: Vec<_> = all.iter().filter(|(s, _)| s == "/a").map(|(_, n)| *n).collect();
    assert_eq!(of_a, [1, 2, 4]);
}

#[tokio::test]
async fn a_consumer_that_dies_goes_on_where_it_was() {
    let (producer, dir) = (Producer::start().await, TempDir::new());
    let store = open(&dir, &[MIGRATION, EFFECTS]).await;
    let writer = Writer::new(&store);
    *writer.stuck.lock().expect("a lock") = Some(2);
    let running = follow(&producer, &store, &writer);
    producer.emit(&[("/a", 1), ("/b", 2), ("/c", 3)]).await;
    effects_when(&store, 2).await;
    // Without any farewell: the cursor is not saved, the inbox alone remembers what is done.
    running.task.abort();
    *writer.stuck.lock().expect("a lock") = None;
    let _again = follow(&producer, &store, &writer);
    producer.emit(&[("/d", 4)]).await;
    let mut numbers: Vec<_> = effects_when(&store, 4).await.into_iter().map(|(_, n)| n).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

#[tokio::test]
async fn two_instances_on_one_store_make_each_effect_once() {
    let (producer, dir) = (Producer::start().await, TempDir::new());
    let store = open(&dir, &[MIGRATION, EFFECTS]).await;
    let writer = Writer::new(&store);
    let _one = follow(&producer, &store, &writer);
    let _two = follow(&producer, &store, &writer);
    let events: Vec<_> = (0..50).map(|number| ("/a", number)).collect();
    producer.emit(&events).await;
    effects_when(&store, 50).await;
    producer.emit(&[("/b", 50)]).await;
    let numbers: Vec<_> = effects_when(&store, 51).await.into_iter().map(|(_, n)| n).collect();
    assert_eq!(numbers, (0..51).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_cursor_is_saved_and_the_inbox_emptied() {
    let (producer, dir) = (Producer::start().await, TempDir::new());
    let store = open(&dir, &[MIGRATION, EFFECTS]).await;
    let writer = Writer::new(&store);
    let _running = follow(&producer, &store, &writer);
    producer.emit(&[("/a", 1), ("/b", 2)]).await;
    effects_when(&store, 2).await;
    let mut commits = store.commits();
    let saved = tokio::time::timeout(SOON, async {
        loop {
            commits.borrow_and_update();
            let cursor = inbox::cursor(&store, "numbers").await.expect("the store answers");
            if let Some(cursor) = cursor.filter(|cursor| cursor.position == 2) {
                return cursor;
            }
            commits.changed().await.expect("the store lives");
        }
    });
    let cursor = saved.await.expect("the cursor is saved in time");
    assert_eq!(cursor.epoch, producer.feed.start().epoch);
    let left = store
        .read(async |tx: Tx| tx.query("SELECT 1 AS one FROM backline_inbox", params![]).await)
        .await
        .expect("the inbox");
    assert!(left.is_empty());
}
