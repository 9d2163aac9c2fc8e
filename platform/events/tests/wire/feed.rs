//! The feed over a real socket.

use std::time::{Duration, Instant};

use crate::producer::{Counted, Producer};
use backline_client::Cause;
use backline_events::{FeedReader, ReadError, outbox};
use backline_store::{Error, Tx};

const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(20);

fn numbers(page: &backline_events::Page) -> Vec<i64> {
    #[derive(serde::Deserialize)]
    struct Number {
        number: i64,
    }
    page.events.iter().map(|event| event.read::<Number>().expect("a number").number).collect()
}

#[tokio::test]
async fn every_event_is_read_once_and_in_order_however_small_the_pages() {
    let producer = Producer::start().await;
    // More than the feed keeps in memory.
    for first in (0..1_500).step_by(100) {
        producer
            .store
            .write(async move |tx: Tx| {
                for number in first..first + 100 {
                    let event = Counted { number };
                    outbox::append(&tx, &Cause::root(), "/numbers", &event).await?;
                }
                Ok::<_, Error>(())
            })
            .await
            .expect("events");
    }
    let reader = FeedReader::new(producer.client());
    let (mut cursor, mut read) = (None, Vec::new());
    loop {
        let page = reader.poll(cursor.as_ref(), 170, NOW).await.expect("a page");
        assert!(page.events.len() <= 170);
        if page.events.is_empty() {
            break;
        }
        read.extend(numbers(&page));
        cursor = page.next;
    }
    assert_eq!(read, (0..1_500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_long_poll_is_answered_when_an_event_comes() {
    let producer = Producer::start().await;
    producer.emit(&[("/a", 1)]).await;
    let reader = FeedReader::new(producer.client());
    let first = reader.poll(None, 10, LONG).await.expect("a page");
    assert_eq!(numbers(&first), [1]);
    let waiting = reader.poll(first.next.as_ref(), 10, LONG);
    let started = Instant::now();
    let (page, ()) = tokio::join!(waiting, producer.emit(&[("/a", 2)]));
    assert_eq!(numbers(&page.expect("a page")), [2]);
    assert!(started.elapsed() < LONG / 4);
}

#[tokio::test]
async fn a_long_poll_is_answered_at_once_on_drain() {
    let producer = Producer::start().await;
    let reader = FeedReader::new(producer.client());
    let started = Instant::now();
    let (page, ()) = tokio::join!(reader.poll(None, 10, LONG), async {
        tokio::task::yield_now().await;
        producer.drain.cancel();
    });
    assert!(page.expect("a page").events.is_empty());
    assert!(started.elapsed() < LONG / 4);
}

#[tokio::test]
async fn what_is_rolled_back_is_never_served() {
    let producer = Producer::start().await;
    let failed: Result<(), Error> = producer
        .store
        .write(async |tx: Tx| {
            outbox::append(&tx, &Cause::root(), "/a", &Counted { number: 1 }).await?;
            Err(Error::Application("changed its mind".into()))
        })
        .await;
    assert!(failed.is_err());
    producer.emit(&[("/a", 2)]).await;
    let page = FeedReader::new(producer.client()).poll(None, 10, LONG).await.expect("a page");
    assert_eq!(numbers(&page), [2]);
}

#[tokio::test]
async fn a_cursor_of_another_life_is_told_so() {
    let (old, new) = (Producer::start().await, Producer::start().await);
    old.emit(&[("/a", 1)]).await;
    let page = FeedReader::new(old.client()).poll(None, 10, LONG).await.expect("a page");
    let gone = FeedReader::new(new.client()).poll(page.next.as_ref(), 10, NOW).await;
    assert!(matches!(gone, Err(ReadError::EpochGone)), "{gone:?}");
}

#[tokio::test]
async fn the_atom_page_holds_the_same_events() {
    let producer = Producer::start().await;
    producer.emit(&[("/a", 1), ("/b<&>\"", 2)]).await;
    let answer = producer.client().get("/events").send().await.expect("an answer");
    assert!(answer.header("content-type").is_some_and(|t| t.starts_with("application/atom+xml")));
    let text = std::str::from_utf8(answer.body()).expect("UTF-8");
    let mut xml = quick_xml::Reader::from_str(text);
    let (mut entries, mut depth) = (0, 0);
    loop {
        match xml.read_event().expect("well-formed XML") {
            quick_xml::events::Event::Start(tag) => {
                depth += 1;
                entries += usize::from(tag.name().as_ref() == "entry");
            }
            quick_xml::events::Event::End(_) => depth -= 1,
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!((entries, depth), (2, 0));
    assert!(text.contains("rel=\"next\""));
}

#[tokio::test]
async fn a_page_ends_before_it_is_too_large_to_take() {
    let producer = Producer::start().await;
    let subject = format!("/{}", "x".repeat(10));
    producer
        .store
        .write(async move |tx: Tx| {
            for _ in 0..20 {
                let event = Bulky { text: "x".repeat(200_000) };
                outbox::append(&tx, &Cause::root(), &subject, &event).await?;
            }
            Ok::<_, Error>(())
        })
        .await
        .expect("events");
    let reader = FeedReader::new(producer.client());
    let (mut cursor, mut pages) = (None, Vec::new());
    while pages.iter().sum::<usize>() < 20 {
        let page = reader.poll(cursor.as_ref(), 500, LONG).await.expect("a page");
        pages.push(page.events.len());
        cursor = page.next;
    }
    // 1 MiB is passed with the sixth event.
    assert_eq!(pages, [6, 6, 6, 2]);
}

#[tokio::test]
async fn a_cursor_beyond_the_end_is_an_error_and_no_empty_page() {
    let producer = Producer::start().await;
    producer.emit(&[("/a", 1)]).await;
    let start = producer.feed.start();
    let get = |position: i64| {
        let path = format!("/events?after={}.{position}", start.epoch);
        let client = producer.client();
        async move { client.get(&path).send().await.map(|answer| answer.status()) }
    };
    assert_eq!(get(1).await.expect("an answer"), 200);
    let beyond = get(2).await.expect_err("a place that nobody was given");
    assert_eq!((beyond.status(), beyond.code()), (Some(409), Some("feed-restored")));
}

#[tokio::test]
async fn what_xml_cannot_hold_is_escaped() {
    let producer = Producer::start().await;
    producer
        .store
        .write(async move |tx: Tx| {
            let event = Bulky { text: "\u{ffff}\u{fffe}\u{1}".into() };
            outbox::append(&tx, &Cause::root(), "/a", &event).await
        })
        .await
        .expect("an event");
    let answer = producer.client().get("/events").send().await.expect("an answer");
    let text = std::str::from_utf8(answer.body()).expect("UTF-8");
    assert!(text.contains("\\uffff\\ufffe\\u0001"), "{text}");
    assert!(!text.contains(['\u{ffff}', '\u{fffe}', '\u{1}']));
}

#[derive(serde::Serialize)]
struct Bulky {
    text: String,
}

impl backline_events::Emit for Bulky {
    const TYPE: &'static str = "bulky";
}
