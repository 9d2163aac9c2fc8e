//! Consumers over a real feed and a real store: each effect exactly once, whatever happens.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::producer::{EFFECTS, Front, Producer, client, open};
use backline_events::{
    CloudEvent, Consumer, Cursor, Failure, FeedReader, Handler, MIGRATION, inbox,
};
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
    /// The numbers it was asked about.
    asked: Arc<Mutex<Vec<i64>>>,
}

impl Writer {
    fn new(store: &Store) -> Self {
        Self {
            store: store.clone(),
            fails: Arc::default(),
            panics: Arc::default(),
            stuck: Arc::default(),
            asked: Arc::default(),
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
            this.asked.lock().expect("a lock").push(number);
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
    // Without any farewell: the cursor stays below what is stuck, the inbox alone remembers more.
    cursor_at(&store, 1).await;
    running.task.abort();
    *writer.stuck.lock().expect("a lock") = None;
    writer.asked.lock().expect("a lock").clear();
    let _again = follow(&producer, &store, &writer);
    producer.emit(&[("/d", 4)]).await;
    let mut numbers: Vec<_> = effects_when(&store, 4).await.into_iter().map(|(_, n)| n).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
    // Nobody is asked again about what is done: it may have gone meanwhile.
    let mut asked = writer.asked.lock().expect("a lock").clone();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked, [2, 4]);
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
    let cursor = cursor_at(&store, 2).await;
    assert_eq!(cursor.epoch, producer.feed.start().epoch);
    let left = store
        .read(async |tx: Tx| tx.query("SELECT 1 AS one FROM backline_inbox", params![]).await)
        .await
        .expect("the inbox");
    assert!(left.is_empty());
}

/// Waits until the cursor is saved at this position.
async fn cursor_at(store: &Store, position: i64) -> Cursor {
    let mut commits = store.commits();
    let saved = tokio::time::timeout(SOON, async {
        loop {
            commits.borrow_and_update();
            let cursor = inbox::cursor(store, "numbers").await.expect("the store answers");
            if let Some(cursor) = cursor.filter(|cursor| cursor.position == position) {
                return cursor;
            }
            commits.changed().await.expect("the store lives");
        }
    });
    saved.await.expect("the cursor is saved in time")
}

/// One event of an epoch, as it comes from a feed.
fn event(epoch: &str, position: i64) -> CloudEvent {
    serde_json::from_value(serde_json::json!({
        "specversion": "1.0", "id": format!("{epoch}-{position}"), "source": "/numbers",
        "type": "counted", "subject": "/a", "time": "2026-01-01T00:00:00Z",
        "datacontenttype": "application/json", "correlationid": "c", "traceparent": "t",
        "feedepoch": epoch, "feedposition": position, "data": {},
    }))
    .expect("an event")
}

async fn claims(store: &Store, event: CloudEvent) -> bool {
    let claimed = store.write(async move |tx: Tx| inbox::claim(&tx, "numbers", &event).await);
    claimed.await.expect("the store answers")
}

async fn advance(store: &Store, epoch: &str, position: i64) {
    let to = Cursor { epoch: epoch.to_owned(), position };
    let moved = store.write(async move |tx: Tx| inbox::advance(&tx, "numbers", &to).await);
    moved.await.expect("the store answers");
}

#[tokio::test]
async fn a_sibling_in_the_old_epoch_takes_nothing_back_and_repeats_nothing() {
    let dir = TempDir::new();
    let store = open(&dir, &[MIGRATION, EFFECTS]).await;
    assert!(claims(&store, event("old", 1)).await);
    advance(&store, "old", 2).await;
    // One instance goes over to the new epoch ...
    assert!(claims(&store, event("new", 1)).await);
    advance(&store, "new", 1).await;
    assert!(claims(&store, event("new", 2)).await);
    // ... while another still works on the old one.
    assert!(!claims(&store, event("old", 1)).await);
    assert!(claims(&store, event("old", 3)).await);
    advance(&store, "old", 3).await;
    assert!(!claims(&store, event("new", 1)).await);
    assert!(!claims(&store, event("new", 2)).await);
    let cursor = inbox::cursor(&store, "numbers").await.expect("a cursor").expect("one");
    assert_eq!((&*cursor.epoch, cursor.position), ("new", 1));
    advance(&store, "new", 0).await;
    let cursor = inbox::cursor(&store, "numbers").await.expect("a cursor").expect("one");
    assert_eq!(cursor.position, 1);
}

#[tokio::test]
async fn a_feed_that_began_anew_is_read_from_its_start_once_the_old_is_done() {
    let (old, new, dir) = (Producer::start().await, Producer::start().await, TempDir::new());
    let store = open(&dir, &[MIGRATION, EFFECTS]).await;
    let writer = Writer::new(&store);
    *writer.stuck.lock().expect("a lock") = Some(1);
    old.emit(&[("/a", 1), ("/b", 2)]).await;
    new.emit(&[("/c", 3), ("/d", 4)]).await;
    let front = Front::of(&old).await;
    let stop = CancellationToken::new();
    let reader = FeedReader::new(client(front.address));
    let consumer = Consumer::new("numbers", reader, store.clone(), Arc::new(writer.clone()));
    let task = tokio::spawn(consumer.run(stop.clone()));
    assert_eq!(effects_when(&store, 1).await, [("/b".to_owned(), 2)]);
    front.lead_to(&new);
    *writer.stuck.lock().expect("a lock") = None;
    let mut numbers: Vec<_> = effects_when(&store, 4).await.into_iter().map(|(_, n)| n).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(cursor_at(&store, 2).await.epoch, new.feed.start().epoch);
    stop.cancel();
    task.await.expect("no panic").expect("a clean end");
}
