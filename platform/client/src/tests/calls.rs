//! One call: what is sent, what comes back, and what each failure is called.

use std::{error::Error as _, future::pending, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Mutex,
};

use super::{
    client_of,
    server::{Answer, Server, answer},
    static_discovery, within_limit,
};
use crate::{Cause, Error, Kind, Limits, Stage, TraceParent};

const SHORT: Duration = Duration::from_millis(50);

async fn failing(status: u16, media_type: &'static str, body: &'static str) -> Error {
    let server = Server::start(move |_| async move {
        let mut response = answer(status, body);
        response.headers_mut().insert("content-type", media_type.parse().unwrap());
        response
    })
    .await;
    client_of(&[server.address]).get("/test/1").send().await.unwrap_err()
}

#[tokio::test]
async fn a_call_says_whose_it_is_and_for_whom() {
    let seen = Arc::new(Mutex::new(HeaderMap::new()));
    let keep = seen.clone();
    let server = Server::start(move |request| {
        let keep = keep.clone();
        async move {
            *keep.lock().await = request.headers().clone();
            answer(200, r#"{"name": "x"}"#)
        }
    })
    .await;
    let cause = Cause { correlation: "process-7".into(), ..Cause::root() };
    let client = client_of(&[server.address]);
    let call = client.post("/test/1?a=b").cause(&cause).json(&[1]).idempotency_key("k-1");
    let response = call.accept("application/json").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.json::<serde_json::Value>().unwrap()["name"], "x");

    let seen = seen.lock().await;
    let header = |name: &str| seen[name].to_str().unwrap().to_owned();
    let parent: TraceParent = header("traceparent").parse().unwrap();
    assert_eq!(parent.trace_id, cause.traceparent.trace_id);
    assert_ne!(parent.span_id, cause.traceparent.span_id);
    assert_eq!(header("backline-correlation"), "process-7");
    assert_eq!(header("backline-to"), "test");
    assert_eq!(header("host"), server.address.to_string());
    assert_eq!(header("idempotency-key"), "k-1");
    assert_eq!(header("accept"), "application/json");
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("content-length"), "3");
    assert!(header("user-agent").starts_with("backline-client/"));
    assert!(header("user-agent").ends_with(" tester-1"));
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_anything_is() {
    let server = Server::start(async |_| answer(200, "")).await;
    let client = client_of(&[server.address]);
    let wrong = [
        client.get("http://127.0.0.1:1/test"),
        client.get("//127.0.0.1:1/test"),
        client.get("/test").header("Host", "evil"),
        client.get("/test").header("Traceparent", "00"),
        client.get("/test").header("content-length", "7"),
        client.get("/test").header("a b", "c"),
        client.get("/test").header("x", "a\r\nb: c"),
        client.get("/test").cause(&Cause { correlation: "a\nb".into(), ..Cause::root() }),
        client.post("/test").json(&std::collections::HashMap::from([((1, 2), 3)])),
    ];
    for call in wrong {
        let error = call.send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        assert!(!error.is_away() && !error.is_retry_safe());
    }
    assert_eq!(server.connections().accepted, 0);
}

#[tokio::test]
async fn an_answer_that_does_not_begin_in_time_is_an_error() {
    let server = Server::start(async |_| pending().await).await;
    let client = client_of(&[server.address]);
    let error = client.get("/test").timeout(SHORT).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut(Stage::Head));
    assert!(error.is_away() && error.is_retry_safe());
    let message = error.to_string();
    assert!(message.contains("GET /test of 'test' at 127.0.0.1:"), "{message}");
    let error = client.post("/test").timeout(SHORT).send().await.unwrap_err();
    assert!(error.is_away() && !error.is_retry_safe());
    let keyed = client.post("/test").idempotency_key("k").timeout(SHORT);
    assert!(keyed.send().await.unwrap_err().is_retry_safe());
    server.sees("given up connections are closed", |seen| seen.open == 0).await;
}

#[tokio::test]
async fn an_answer_that_does_not_end_in_time_is_an_error() {
    let server = Server::start(async |_| {
        let chunk = Some(Bytes::from_static(b"begin"));
        answer(200, Answer { chunk, announced: false, stalls: true })
    })
    .await;
    let call = client_of(&[server.address]).get("/test").timeout(SHORT);
    assert_eq!(call.send().await.unwrap_err().kind(), Kind::TimedOut(Stage::Body));
}

#[tokio::test]
async fn a_status_counts_even_where_its_body_does_not_end() {
    let server = Server::start(async |_| {
        let chunk = Some(Bytes::from_static(b"begin"));
        answer(503, Answer { chunk, announced: false, stalls: true })
    })
    .await;
    let call = client_of(&[server.address]).get("/test").timeout(SHORT);
    assert_eq!(call.send().await.unwrap_err().status(), Some(503));
}

#[tokio::test]
async fn a_longer_answer_than_asked_for_is_an_error() {
    for announced in [true, false] {
        let server = Server::start(move |_| async move {
            let chunk = Some(Bytes::from(vec![b'x'; 1001]));
            answer(200, Answer { chunk, announced, stalls: false })
        })
        .await;
        let client = client_of(&[server.address]);
        let error = client.get("/test").body_limit(1000).send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::TooLarge);
        assert!(!error.is_away() && error.to_string().contains("1000 bytes"), "{error}");
        let whole = client.get("/test").body_limit(1001).send().await.unwrap();
        assert_eq!(whole.body().len(), 1001);
    }
}

#[tokio::test]
async fn an_error_tells_what_the_problem_says() {
    let body =
        r#"{"type": "urn:backline:error:email-taken", "title": "Taken\n", "detail": "By 7."}"#;
    let error = failing(409, "application/problem+json", body).await;
    assert_eq!((error.status(), error.code()), (Some(409), Some("email-taken")));
    assert!(error.to_string().ends_with("answered 409: Taken : By 7."), "{error}");
    assert!(!error.is_away() && !error.is_retry_safe());
    let plain = failing(500, "text/plain", "no luck").await;
    assert!(plain.to_string().ends_with("answered 500: no luck"), "{plain}");
    assert!(plain.is_retry_safe() && !plain.is_away());
    let page = failing(500, "text/html", "<h1>").await;
    assert!(page.to_string().ends_with("answered 500"), "{page}");
}

#[tokio::test]
async fn some_statuses_mean_that_the_other_side_is_away() {
    for status in [421, 429, 502, 503, 504] {
        assert!(failing(status, "text/plain", "").await.is_away(), "{status}");
    }
    for status in [400, 404, 409, 410, 500, 501] {
        assert!(!failing(status, "text/plain", "").await.is_away(), "{status}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let server = Server::start(async |_| {
        Response::builder().status(303).header("location", "/test/2").body("".into()).unwrap()
    })
    .await;
    let response = client_of(&[server.address]).get("/test/1").send().await.unwrap();
    assert_eq!((response.status(), response.header("Location")), (303, Some("/test/2")));
    assert_eq!(server.connections().requests, 1);
}

#[tokio::test]
async fn json_that_the_caller_does_not_read_is_malformed() {
    let server = Server::start(async |_| answer(200, "[]")).await;
    let response = client_of(&[server.address]).get("/test").send().await.unwrap();
    let error = response.json::<String>().unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed);
    assert!(error.source().is_some() && !error.is_away());
}

/// Answers the first bytes of one connection with this, and closes.
async fn raw(bytes: &'static [u8]) -> Error {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let once = Limits { tries: 1, ..Limits::default() };
    let client = static_discovery(&[listener.local_addr().unwrap()]).client_with("test", once);
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream.write_all(bytes).await.unwrap();
    };
    let (error, ()) =
        within_limit("an error", async { tokio::join!(client.get("/test").send(), server) }).await;
    error.unwrap_err()
}

#[tokio::test]
async fn a_connection_that_ends_early_is_cut() {
    for bytes in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"] {
        let error = raw(bytes.as_bytes()).await;
        assert_eq!(error.kind(), Kind::Cut, "{bytes}");
        assert!(error.is_away() && error.is_retry_safe() && error.source().is_some());
    }
}

#[tokio::test]
async fn what_is_no_http_is_malformed() {
    let error = raw(b"220 mail.example ESMTP\r\n").await;
    assert_eq!(error.kind(), Kind::Malformed);
    assert!(!error.is_away());
}

#[tokio::test]
async fn a_service_that_nobody_offers_is_unknown() {
    let client = static_discovery::<&str>(&[]).client("test");
    let error = client.post("/test").send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unknown);
    assert!(error.is_away() && error.is_retry_safe());
    assert_eq!(error.to_string(), "POST /test of 'test': no healthy instance of it is known");
}
