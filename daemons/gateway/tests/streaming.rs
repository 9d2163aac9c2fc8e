//! Bodies pass through as they come, both ways.

mod support;

use std::{
    convert::Infallible,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::header,
};
use futures_util::{StreamExt, stream};
use support::{ENOUGH, Running, serve, start};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, mpsc},
    time::timeout,
};

static GATEWAY: LazyLock<Running> = LazyLock::new(|| start(ENOUGH));

const MIB: usize = 1024 * 1024;
const LARGE: usize = 100 * MIB;

/// Reads until the text has come.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut all = String::new();
    let mut buffer = [0; 4096];
    while !all.contains(text) {
        let read =
            timeout(ENOUGH, stream.read(&mut buffer)).await.expect("in time").expect("bytes");
        assert_ne!(read, 0, "the connection ended after {all:?}");
        all.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    all
}

async fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let met = async {
        while !condition() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    timeout(ENOUGH, met).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

/// Sets its flag when it is dropped.
struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn an_event_arrives_before_the_stream_ends() {
    let (events, source) = mpsc::channel::<&'static str>(4);
    let source = Arc::new(tokio::sync::Mutex::new(source));
    let service = serve(Router::new().fallback(async move || {
        let events = stream::unfold(source, async |source| {
            let event = source.lock().await.recv().await?;
            Some((Ok::<_, Infallible>(Bytes::from(event)), source))
        });
        ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events))
    }))
    .await;
    GATEWAY.route("events-now", &[service.address]);
    let mut stream = GATEWAY.connect().await;
    let request = format!("GET /events-now HTTP/1.1\r\nHost: {}\r\n\r\n", GATEWAY.address);
    stream.write_all(request.as_bytes()).await.expect("sent");
    read_until(&mut stream, "\r\n\r\n").await;
    for event in ["data: one\n\n", "data: two\n\n"] {
        events.send(event).await.expect("somebody reads");
        read_until(&mut stream, event).await;
    }
    drop(events);
    read_until(&mut stream, "0\r\n\r\n").await;
}

#[tokio::test]
async fn a_piece_of_a_request_arrives_before_the_request_ends() {
    let service = serve(Router::new().fallback(async |request: Request| {
        let first = request.into_body().into_data_stream().next().await;
        first.expect("a piece").expect("a piece")
    }))
    .await;
    GATEWAY.route("pieces", &[service.address]);
    let mut stream = GATEWAY.connect().await;
    let request = format!(
        "POST /pieces HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
        GATEWAY.address
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let answer = read_until(&mut stream, "first").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_what_it_asked_for() {
    let (arrived, gone) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let (arrives, goes) = (arrived.clone(), gone.clone());
    let service = serve(Router::new().fallback(async move || {
        let _gone = Flag(goes);
        arrives.notify_one();
        std::future::pending::<()>().await;
    }))
    .await;
    GATEWAY.route("slow", &[service.address]);
    let mut stream = GATEWAY.connect().await;
    let request = format!("GET /slow HTTP/1.1\r\nHost: {}\r\n\r\n", GATEWAY.address);
    stream.write_all(request.as_bytes()).await.expect("sent");
    timeout(ENOUGH, arrived.notified()).await.expect("it arrives");
    drop(stream);
    wait_for("the request to be cancelled", || gone.load(Ordering::SeqCst)).await;
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_stream() {
    let gone = Arc::new(AtomicBool::new(false));
    let goes = gone.clone();
    let service = serve(Router::new().fallback(async move || {
        let endless = stream::unfold(Flag(goes), async |flag| {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"tick\n")), flag))
        });
        Body::from_stream(endless)
    }))
    .await;
    GATEWAY.route("endless", &[service.address]);
    let mut stream = GATEWAY.connect().await;
    let request = format!("GET /endless HTTP/1.1\r\nHost: {}\r\n\r\n", GATEWAY.address);
    stream.write_all(request.as_bytes()).await.expect("sent");
    read_until(&mut stream, "tick").await;
    drop(stream);
    wait_for("the stream to end", || gone.load(Ordering::SeqCst)).await;
}

/// The most memory that this process has had, in bytes (Linux, proc(5)).
fn most_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc(5)");
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a high water mark");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

#[tokio::test]
async fn large_bodies_pass_in_little_memory() {
    let received = Arc::new(AtomicU64::new(0));
    let counted = received.clone();
    let service = serve(Router::new().fallback(async move |request: Request| {
        let mut data = request.into_body().into_data_stream();
        while let Some(Ok(piece)) = data.next().await {
            counted.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        let piece = Bytes::from(vec![b'x'; MIB]);
        Body::from_stream(stream::iter(
            (0..LARGE / MIB).map(move |_| Ok::<_, Infallible>(piece.clone())),
        ))
    }))
    .await;
    GATEWAY.route("large", &[service.address]);
    let before = most_memory();
    let (mut reader, mut writer) = GATEWAY.connect().await.into_split();
    let sending = tokio::spawn(async move {
        let head = format!(
            "PUT /large HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {LARGE}\r\n\r\n",
            GATEWAY.address
        );
        writer.write_all(head.as_bytes()).await.expect("sent");
        let piece = vec![b'y'; MIB];
        for _ in 0..LARGE / MIB {
            writer.write_all(&piece).await.expect("sent");
        }
        writer
    });
    let mut got = 0;
    let mut buffer = vec![0; MIB];
    loop {
        let read =
            timeout(ENOUGH, reader.read(&mut buffer)).await.expect("in time").expect("bytes");
        if read == 0 {
            break;
        }
        got += read;
    }
    sending.await.expect("all was sent");
    assert_eq!(received.load(Ordering::Relaxed), LARGE as u64);
    assert!(got >= LARGE, "{got} bytes came back");
    let grown = most_memory() - before;
    assert!(grown < 32 * MIB, "200 MiB passed and memory grew by {grown} bytes");
}
