//! What is waited for, and for how long.

mod support;

use std::{sync::LazyLock, time::Duration};

use axum::{Router, extract::Request};
use futures_util::StreamExt;
use support::{Running, serve, start};
use tokio::io::AsyncWriteExt;

const WITHIN: Duration = Duration::from_millis(400);

static GATEWAY: LazyLock<Running> = LazyLock::new(|| start(WITHIN));

#[tokio::test]
async fn a_service_that_does_not_answer_is_a_504_and_is_not_asked_again() {
    let silent = support::scripted_silent().await;
    let other = support::scripted_silent().await;
    GATEWAY.route("silent", &[silent.address, other.address]);
    let answer = GATEWAY.get("/silent").await;
    assert_eq!((answer.status, &*answer.code()), (504, "upstream-late"));
    assert_eq!(silent.count() + other.count(), 1);
}

#[tokio::test]
async fn a_caller_that_does_not_send_its_body_is_a_408() {
    for head in ["Content-Length: 9", "Content-Length: 99999", "Transfer-Encoding: chunked"] {
        let service = serve(Router::new().fallback(async |request: Request| {
            let body = axum::body::to_bytes(request.into_body(), 1 << 20).await;
            body.map(|body| body.len().to_string()).unwrap_or_default()
        }))
        .await;
        GATEWAY.route("upload", &[service.address]);
        let raw = format!(
            "POST /upload HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{head}\r\n\r\n",
            GATEWAY.address
        );
        let answer = GATEWAY.raw(raw.as_bytes()).await;
        assert_eq!((answer.status, &*answer.code()), (408, "body-late"), "{head}");
    }
}

#[tokio::test]
async fn an_upload_that_moves_may_take_longer_than_an_answer() {
    let service = serve(Router::new().fallback(async |request: Request| {
        let mut data = request.into_body().into_data_stream();
        let mut size = 0;
        while let Some(Ok(piece)) = data.next().await {
            size += piece.len();
        }
        size.to_string()
    }))
    .await;
    GATEWAY.route("moving", &[service.address]);
    let mut stream = GATEWAY.connect().await;
    let head = format!(
        "POST /moving HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
        GATEWAY.address
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut pause = tokio::time::interval(WITHIN / 4);
    for _ in 0..8 {
        pause.tick().await;
        stream.write_all(b"1\r\nx\r\n").await.expect("sent");
    }
    stream.write_all(b"0\r\n\r\n").await.expect("sent");
    let mut all = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut all).await;
    let answer = support::Answer::parse(&all);
    assert_eq!((answer.status, &*answer.body), (200, "8"));
}
