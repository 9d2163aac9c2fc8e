//! Which connection a call takes: balancing, keeping, limits.

use std::{future::pending, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    client_of,
    server::{Answer, Port, Server, answer},
    static_discovery, within_limit,
};
use crate::{Client, Kind, Limits, RequestBuilder, Stage};

fn one() -> Limits {
    Limits { connections: Some(1), idle: Duration::from_secs(60), ..Limits::default() }
}

fn limited<A: std::fmt::Display>(addresses: &[A], limits: Limits) -> Client {
    static_discovery(addresses).client_with("test", limits)
}

/// Answers at once, except under `/hang`.
async fn hanging_server() -> Server {
    Server::start(async |request| match request.uri().path() {
        "/hang" => pending::<http::Response<Answer>>().await,
        _ => answer(200, "ok"),
    })
    .await
}

#[tokio::test]
async fn calls_go_round_robin_over_the_instances() {
    let servers = [
        Server::start(async |_| answer(200, "")).await,
        Server::start(async |_| answer(200, "")).await,
        Server::start(async |_| answer(200, "")).await,
    ];
    let client = client_of(&servers.each_ref().map(|server| server.address));
    for _ in 0..6 {
        client.get("/test").send().await.unwrap();
    }
    assert_eq!(servers.each_ref().map(|server| server.connections().requests), [2, 2, 2]);
}

#[tokio::test]
async fn an_instance_that_refuses_is_passed_over_and_then_tried_last() {
    let port = Port::take();
    let server = Server::start(async |_| answer(200, "")).await;
    let client = client_of(&[port.address, server.address]);
    for _ in 0..4 {
        client.post("/test").send().await.unwrap();
    }
    assert_eq!(server.connections().requests, 4);
    let mut order = [port.address, server.address];
    client.refusals().put_last(&mut order, tokio::time::Instant::now());
    assert_eq!(order, [server.address, port.address]);
}

#[tokio::test]
async fn when_every_instance_refuses_nothing_was_sent() {
    let ports = [Port::take(), Port::take()];
    let client = client_of(&ports.each_ref().map(|port| port.address));
    let error = client.post("/test").send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.is_away() && error.is_retry_safe());
    assert_eq!(
        error.to_string(),
        "POST /test of 'test': none of its 2 instances takes a connection"
    );
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn a_connection_serves_call_after_call() {
    let server = hanging_server().await;
    let client = client_of(&[server.address]);
    for method in [Client::get, Client::post, Client::put, Client::patch, Client::delete] {
        assert_eq!(method(&client, "/test").send().await.unwrap().body(), "ok");
    }
    assert_eq!(server.connections().accepted, 1);
    drop(client);
    server.sees("a dropped client closes its connections", |seen| seen.open == 0).await;
}

#[tokio::test]
async fn the_wait_for_a_connection_is_limited_too() {
    let server = hanging_server().await;
    let client = limited(&[server.address], one());
    let hanging = tokio::spawn(client.get("/hang").timeout(Duration::from_secs(60)).send());
    server.sees("the first call", |seen| seen.requests == 1).await;
    let late = client.post("/test").timeout(Duration::from_millis(50)).send().await.unwrap_err();
    assert_eq!(late.kind(), Kind::TimedOut(Stage::Slot));
    assert!(late.is_away() && late.is_retry_safe());
    let full = client.get("/test").send().await.unwrap_err();
    assert_eq!(full.kind(), Kind::Full);
    assert!(full.is_away() && full.is_retry_safe());
    assert!(full.to_string().contains("all 1 places are taken"), "{full}");
    assert_eq!(server.connections().accepted, 1);
    hanging.abort();
    client.get("/test").send().await.unwrap();
}

#[tokio::test]
async fn a_call_given_up_gives_its_slot_back_and_closes_its_connection() {
    let server = hanging_server().await;
    let client = limited(&[server.address], one());
    for _ in 0..5 {
        let before = server.connections().requests;
        let hanging = tokio::spawn(client.get("/hang").timeout(Duration::from_secs(60)).send());
        server.sees("the call", |seen| seen.requests > before).await;
        hanging.abort();
        assert!(hanging.await.unwrap_err().is_cancelled());
        client.get("/test").send().await.unwrap();
        server.sees("one is closed, one is kept", |seen| seen.open == 1).await;
    }
}

#[tokio::test]
async fn idle_connections_count_against_the_limit() {
    let servers = [hanging_server().await, hanging_server().await];
    let client = limited(&servers.each_ref().map(|server| server.address), one());
    client.get("/test").send().await.unwrap();
    client.get("/test").send().await.unwrap();
    servers[0].sees("the idle one makes room", |seen| seen.accepted == 1 && seen.open == 0).await;
    assert_eq!(servers[1].connections().open, 1);
}

#[tokio::test]
async fn idle_connections_are_closed_after_a_while() {
    let server = hanging_server().await;
    let limits =
        Limits { connections: Some(8), idle: Duration::from_millis(50), ..Limits::default() };
    let client = limited(&[server.address], limits);
    for round in 1..=2 {
        client.get("/test").send().await.unwrap();
        server
            .sees("the idle one is closed", |seen| seen.accepted == round && seen.open == 0)
            .await;
    }
}

async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut bytes = [0; 1024];
        let count = stream.read(&mut bytes).await.unwrap();
        assert_ne!(count, 0, "the caller closed early");
        head.extend_from_slice(&bytes[..count]);
    }
}

/// Two calls, the second over a connection that the server closes instead of answering.
async fn over_a_stale_connection(
    second: impl FnOnce(&Client) -> RequestBuilder,
) -> (Result<crate::Response, crate::Error>, usize) {
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(&[listener.local_addr().unwrap()]);
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        stream.write_all(OK).await.unwrap();
        read_head(&mut stream).await;
        drop(stream);
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        stream.write_all(OK).await.unwrap();
        1
    });
    within_limit("two calls", async {
        client.get("/test").send().await.unwrap();
        let answer = second(&client).send().await;
        // After a failure nobody connects again.
        let again = if answer.is_ok() { server.await.unwrap() } else { 0 };
        (answer, again)
    })
    .await
}

#[tokio::test]
async fn over_a_stale_connection_only_what_may_be_repeated_is_sent_again() {
    for method in [Client::get, Client::put, Client::delete] {
        let (answer, again) = over_a_stale_connection(|client| method(client, "/test")).await;
        assert_eq!((answer.unwrap().status(), again), (200, 1));
    }
    let keyed = |client: &Client| client.post("/test").idempotency_key("k");
    assert!(over_a_stale_connection(keyed).await.0.is_ok());
    for method in [Client::post, Client::patch] {
        let (answer, _) = over_a_stale_connection(|client| method(client, "/test")).await;
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), Kind::Cut);
        assert!(error.is_away() && !error.is_retry_safe());
    }
}
