//! The beginning and the end of a gateway.

mod support;

use std::{process::ExitCode, sync::Arc, time::Duration};

use axum::Router;
use support::{Answer, ENOUGH, serve, start};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    time::timeout,
};

#[tokio::test]
async fn it_begins_knowing_nothing_and_ends_with_its_last_request() {
    let gateway = start(ENOUGH);
    let early = gateway.get("/slow").await;
    assert_eq!((early.status, &*early.code()), (503, "routes-unknown"), "it knows nothing yet");
    assert_eq!(early.header("retry-after"), Some("1"));
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (arrives, goes) = (arrived.clone(), go.clone());
    let service = serve(Router::new().fallback(async move || {
        arrives.notify_one();
        goes.notified().await;
        "finished"
    }))
    .await;
    gateway.route("slow", &[service.address]);
    let mut stream = gateway.connect().await;
    let request = format!("POST /slow HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.address);
    stream.write_all(request.as_bytes()).await.expect("sent");
    timeout(ENOUGH, arrived.notified()).await.expect("it arrives");
    gateway.drain.cancel();
    let refused = async {
        while TcpStream::connect(gateway.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(ENOUGH, refused).await.expect("no more connections are taken");
    go.notify_one();
    let mut all = Vec::new();
    timeout(ENOUGH, stream.read_to_end(&mut all)).await.expect("in time").expect("an answer");
    let answer = Answer::parse(&all);
    assert_eq!((answer.status, &*answer.body), (200, "finished"));
    let ended = tokio::task::spawn_blocking(move || gateway.ended.join());
    let code = timeout(ENOUGH, ended).await.expect("in time").expect("joined").expect("no panic");
    assert_eq!(code, ExitCode::SUCCESS);
}
