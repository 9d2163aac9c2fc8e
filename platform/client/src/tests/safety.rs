//! Breaker, bulkhead, retries and deadlines around real calls.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    client_of,
    server::{Answer, Port, Server, answer},
    static_discovery, within_limit,
};
use crate::{Cause, Client, Kind, Limits, Purpose, Stage};

const MS: Duration = Duration::from_millis(1);

async fn failing() -> Server {
    Server::start(async |_| answer(503, "")).await
}

fn limited(server: &Server, limits: &str) -> Client {
    static_discovery(&[server.address]).client_with("test", Limits::from_text(limits).unwrap())
}

fn state(client: &Client) -> &'static str {
    client.seen().breaker.state
}

#[tokio::test]
async fn an_open_breaker_fails_at_once_and_sends_nothing() {
    let server = failing().await;
    let client = limited(&server, "minimum=4 tries=1 open=60s");
    for _ in 0..4 {
        let error = client.get("/test").send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Status(503));
    }
    let error = client.get("/test").send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Open);
    assert!(error.is_away() && error.is_retry_safe());
    assert!(error.retry_after().is_some_and(|wait| wait > Duration::from_secs(50)), "{error}");
    assert!(error.to_string().contains("the breaker is open"), "{error}");
    assert_eq!(server.connections().requests, 4);
    assert_eq!(client.seen().breaker.refused, 1);
}

#[tokio::test]
async fn recovery_is_seen_within_one_open_period() {
    let well = Arc::new(AtomicBool::new(false));
    let now = well.clone();
    let server = Server::start(move |_| {
        let status = if now.load(Ordering::SeqCst) { 200 } else { 500 };
        async move { answer(status, "") }
    })
    .await;
    let client = limited(&server, "minimum=4 tries=1 open=100ms probes=2");
    while client.get("/test").send().await.unwrap_err().kind() != Kind::Open {}
    well.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    within_limit("an answer", async {
        while client.get("/test").send().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(begun.elapsed() < 300 * MS, "{:?}", begun.elapsed());
    client.get("/test").send().await.unwrap();
    assert_eq!(state(&client), "closed");
}

#[tokio::test]
async fn what_is_the_callers_fault_or_says_nothing_opens_no_breaker() {
    let server = Server::start(async |request| match request.uri().path() {
        "/hang" => pending::<http::Response<Answer>>().await,
        "/busy" => answer(429, ""),
        _ => answer(404, ""),
    })
    .await;
    let client = limited(&server, "minimum=2 tries=1 slow=1s connections=1 wait=0s");
    for path in ["/none", "/none", "/busy", "/busy", "no reference"] {
        client.get(path).send().await.unwrap_err();
    }
    // A caller with less time than a healthy service may need.
    for _ in 0..3 {
        let error = client.get("/hang").timeout(5 * MS).send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::TimedOut(Stage::Head));
    }
    let hanging = tokio::spawn(client.get("/hang").send());
    server.sees("the call", |seen| seen.requests == 8).await;
    for _ in 0..3 {
        assert_eq!(client.get("/none").send().await.unwrap_err().kind(), Kind::Full);
    }
    hanging.abort();
    assert_eq!(state(&client), "closed");
}

#[tokio::test]
async fn a_service_that_does_not_answer_in_time_opens_the_breaker() {
    let server = Server::start(async |_| pending::<http::Response<Answer>>().await).await;
    let client = limited(&server, "minimum=3 tries=1 timeout=40ms");
    for _ in 0..3 {
        let error = client.get("/test").send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::TimedOut(Stage::Head));
    }
    assert_eq!(state(&client), "open");
    // Callers that wait less than a call may take, but long enough.
    let client = limited(&server, "minimum=3 tries=1");
    for _ in 0..3 {
        client.get("/test").until(Instant::now() + 110 * MS).send().await.unwrap_err();
    }
    assert_eq!(state(&client), "open");
}

#[tokio::test]
async fn a_service_that_protects_itself_or_was_given_no_time_opens_no_breaker() {
    let server = Server::start(async |request| {
        let (status, code) = match request.uri().path() {
            "/full" => (503, "overloaded"),
            _ => (504, "deadline-exceeded"),
        };
        let body = format!(r#"{{"type":"urn:backline:error:{code}"}}"#);
        let mut answer = answer(status, body.as_str());
        let kind = "application/problem+json".parse().unwrap();
        answer.headers_mut().insert("content-type", kind);
        answer
    })
    .await;
    let client = limited(&server, "minimum=2 tries=1");
    for path in ["/full", "/full", "/late", "/late"] {
        client.get(path).send().await.unwrap_err();
    }
    assert_eq!(state(&client), "closed");
}

#[tokio::test]
async fn a_wait_that_is_asked_for_without_reason_is_not_waited() {
    let server = Server::start(async |request| {
        let mut answer = answer(503, "");
        let wait = request.uri().path().trim_start_matches('/').parse().unwrap();
        answer.headers_mut().insert("retry-after", wait);
        answer
    })
    .await;
    let client = client_of(&[server.address]);
    let begun = Instant::now();
    for wait in ["60", "3600"] {
        client.get(&format!("/{wait}")).send().await.unwrap_err();
    }
    assert_eq!(server.connections().requests, 2, "no time is left for a retry");
    client.get("/18446744073709551615").send().await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_retry_is_made_where_it_is_safe() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = Server::start(move |_| {
        // Every second request fails.
        let status = if count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) { 503 } else { 200 };
        async move { answer(status, "") }
    })
    .await;
    let client = client_of(&[server.address]);
    client.get("/test").send().await.unwrap();
    client.post("/test").idempotency_key("k").send().await.unwrap();
    assert_eq!(server.connections().requests, 4);
    assert_eq!(client.seen().retries.made, 2);
    // Nobody knows what became of a plain POST.
    assert_eq!(client.post("/test").send().await.unwrap_err().kind(), Kind::Status(503));
    assert_eq!(server.connections().requests, 5);
}

#[tokio::test]
async fn a_retry_goes_to_another_instance() {
    let (sick, well) = (failing().await, Server::start(async |_| answer(200, "")).await);
    let limits = Limits::from_text("retries=100%").unwrap();
    let client = static_discovery(&[sick.address, well.address]).client_with("test", limits);
    for _ in 0..8 {
        client.get("/test").send().await.unwrap();
    }
    assert_eq!(well.connections().requests, 8);
    // After five failures in a row it is left out.
    assert!(sick.connections().requests <= 5);
}

#[tokio::test]
async fn an_instance_that_keeps_failing_gets_no_more_calls() {
    let (sick, well) = (failing().await, Server::start(async |_| answer(200, "")).await);
    let limits = Limits::from_text("tries=1 minimum=1000").unwrap();
    let client = static_discovery(&[sick.address, well.address]).client_with("test", limits);
    for _ in 0..40 {
        let _ = client.get("/test").send().await;
    }
    assert_eq!(sick.connections().requests, 5, "five failures in a row eject");
    assert_eq!(well.connections().requests, 35);
    assert_eq!(client.seen().ejected[0].address, sick.address.to_string());
}

#[tokio::test]
async fn a_key_in_use_is_waited_for() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = Server::start(move |_| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if !first {
                return answer(201, "");
            }
            let mut busy = answer(409, r#"{"type":"urn:backline:error:idempotency-key-in-use"}"#);
            let kind = "application/problem+json".parse().unwrap();
            busy.headers_mut().insert("content-type", kind);
            busy
        }
    })
    .await;
    let client = client_of(&[server.address]);
    let response = client.post("/test").idempotency_key("k").send().await.unwrap();
    assert_eq!(response.status(), 201);
}

#[tokio::test]
async fn in_a_total_outage_tries_stay_below_a_fifth_more_than_calls() {
    let server = failing().await;
    // No breaker to help: it is the budget alone that holds.
    let client = limited(&server, "window=10000 minimum=10000 retries=10%");
    const CALLS: usize = 400;
    for _ in 0..CALLS / 20 {
        let calls = (0..20).map(|_| tokio::spawn(client.get("/test").send())).collect::<Vec<_>>();
        for call in calls {
            call.await.unwrap().unwrap_err();
        }
    }
    let tries = server.connections().requests;
    assert!(tries > CALLS, "there were retries");
    assert!(tries * 10 < CALLS * 12, "{tries} tries for {CALLS} calls");
}

#[tokio::test]
async fn the_time_that_is_left_travels_along_and_ends_the_call() {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let notes = told.clone();
    let server = Server::start(move |request| {
        let left = request.headers()["backline-timeout"].to_str().unwrap().parse::<u64>().unwrap();
        crate::sync::lock(&notes).push(left);
        let hang = request.uri().path() == "/hang";
        async move { if hang { pending().await } else { answer(200, "") } }
    })
    .await;
    let client = client_of(&[server.address]);
    let cause = Cause { deadline: Some(Instant::now() + 300 * MS), ..Cause::root() };
    client.get("/test").send().await.unwrap();
    client.get("/test").cause(&cause).send().await.unwrap();
    client.get("/test").cause(&cause).timeout(100 * MS).send().await.unwrap();
    client.get("/test").until(Instant::now() + 50 * MS).send().await.unwrap();
    let begun = Instant::now();
    let error = client.get("/hang").cause(&cause).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut(Stage::Head));
    assert!(begun.elapsed() < Duration::from_secs(2));
    let told = crate::sync::lock(&told).clone();
    let [own, inherited, shorter, until, _] = told[..] else { panic!("{told:?}") };
    assert!((4000..=5000).contains(&own), "{told:?}");
    assert!((1..=300).contains(&inherited), "{told:?}");
    assert!((1..=100).contains(&shorter) && (1..=50).contains(&until), "{told:?}");
}

#[tokio::test]
async fn a_long_poll_is_never_slow_and_no_load() {
    let server = Server::start(async |_| {
        // Slower than what is slow below.
        within_limit("some time", tokio::time::interval_at(Instant::now() + 30 * MS, MS).tick())
            .await;
        answer(200, "")
    })
    .await;
    let client = limited(&server, "minimum=2 slow=1ms slow-rate=30%");
    for _ in 0..4 {
        client.get("/test").long_poll().send().await.unwrap();
    }
    assert_eq!(state(&client), "closed");
    assert_eq!(client.seen().latency_ms, None);
    for _ in 0..2 {
        client.get("/test").send().await.unwrap();
    }
    assert_eq!(state(&client), "open");
}

#[tokio::test]
async fn a_process_has_one_set_of_measures_for_each_dependency_and_purpose() {
    let server = Server::start(async |_| answer(200, "")).await;
    let discovery = static_discovery(&[server.address]);
    let (first, second) = (discovery.client("test"), discovery.client("test"));
    let feed = discovery.client_for("test", Purpose::Feed);
    first.get("/test").send().await.unwrap();
    second.get("/test").send().await.unwrap();
    feed.get("/test").send().await.unwrap();
    assert_eq!(server.connections().accepted, 2);
    let seen: Vec<_> =
        discovery.dependencies().iter().map(|seen| (seen.purpose, seen.to.clone())).collect();
    assert_eq!(seen, [("calls", "test".to_owned()), ("feed", "test".to_owned())]);
    drop((first, second));
    assert_eq!(discovery.dependencies().len(), 1);
}

#[tokio::test]
async fn links_are_followed_by_their_relation() {
    let body = r#"{"_links": {"self": {"href": "/test"}, "artist": [{"href": "/catalog/artists/1"}],
                   "search": {"href": "/catalog{?q}", "templated": true}}}"#;
    let server = Server::start(move |_| async move { answer(200, body) }).await;
    let response = client_of(&[server.address]).get("/test").send().await.unwrap();
    assert_eq!(response.link("artist").unwrap(), "/catalog/artists/1");
    let missing = response.link("cover").unwrap_err();
    assert_eq!(missing.kind(), Kind::Malformed);
    assert!(missing.to_string().contains("it has: artist, search, self"), "{missing}");
    assert!(response.link("search").unwrap_err().to_string().contains("template"));
}

#[tokio::test]
async fn a_dependency_that_comes_back_gets_no_stampede() {
    let port = Port::take();
    let limits = Limits::from_text("minimum=4 tries=1 open=50ms probes=3").unwrap();
    let client = static_discovery(&[port.address]).client_with("test", limits);
    while client.get("/test").send().await.unwrap_err().kind() != Kind::Open {}
    // It is back, and slow at first, as what has just started is.
    let (warm, gate) = tokio::sync::watch::channel(false);
    let server = Server::on(port.listen(), move |_| {
        let mut gate = gate.clone();
        async move {
            drop(gate.wait_for(|warm| *warm).await);
            answer(200, "")
        }
    });
    let mut callers = tokio::task::JoinSet::new();
    let call = || client.get("/test").send();
    within_limit("the probes", async {
        while server.connections().requests < 3 {
            callers.spawn(call());
            tokio::task::yield_now().await;
        }
    })
    .await;
    for _ in 0..100 {
        assert_eq!(call().await.unwrap_err().kind(), Kind::Open);
    }
    assert_eq!(server.connections().requests, 3, "no more than its probes");
    warm.send_replace(true);
    within_limit("an answer", async {
        while call().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(state(&client), "closed");
}
