//! What is counted of each call.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit, with_local_recorder,
};

use super::{
    client_of,
    server::{Answer, Server, answer},
};
use crate::sync::lock;

/// Writes down each increment and each value by its key.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

struct Note(Notes, String);

impl CounterFn for Note {
    fn increment(&self, by: u64) {
        lock(&self.0.0).push(format!("{} +{by}", self.1));
    }

    fn absolute(&self, _: u64) {}
}

impl HistogramFn for Note {
    fn record(&self, seconds: f64) {
        assert!((0.0..10.0).contains(&seconds));
        lock(&self.0.0).push(self.1.clone());
    }
}

impl Notes {
    fn on(&self, key: &Key) -> Arc<Note> {
        let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
        Arc::new(Note(self.clone(), format!("{}{}", key.name(), labels.collect::<String>())))
    }
}

impl Recorder for Notes {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.on(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.on(key))
    }
}

#[test]
fn each_call_is_counted_once_by_how_it_ended() {
    let notes = Notes::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    with_local_recorder(&notes, || runtime.block_on(calls()));
    let seen = lock(&notes.0);
    let (seconds, counts): (Vec<_>, Vec<_>) =
        seen.iter().map(String::as_str).partition(|note| note.contains("seconds"));
    assert_eq!(seconds, ["client_request_seconds to=test"; 4]);
    let outcomes: Vec<_> = counts
        .iter()
        .map(|note| note.strip_prefix("client_requests_total to=test outcome=").unwrap())
        .collect();
    assert_eq!(outcomes, ["ok +1", "client-error +1", "timeout +1", "cancelled +1"]);
}

async fn calls() {
    let server = Server::start(async |request| match request.uri().path() {
        "/hang" => pending::<http::Response<Answer>>().await,
        "/none" => answer(404, ""),
        _ => answer(200, ""),
    })
    .await;
    let client = client_of(&[server.address]);
    client.get("/test").send().await.unwrap();
    client.get("/none").send().await.unwrap_err();
    client.get("/hang").timeout(Duration::from_millis(50)).send().await.unwrap_err();
    let given_up = tokio::spawn(client.get("/hang").send());
    server.sees("the call", |seen| seen.requests == 4).await;
    given_up.abort();
    let _ = given_up.await;
}
