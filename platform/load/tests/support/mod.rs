//! A real server on this machine, and loads for it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use backline_load::{Outcome, Plan, Shape, run};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves on a free port; the handler gives the status.
pub async fn serve<F, Fut>(handler: F) -> String
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = u16> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let handler = Arc::new(handler);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let handler = handler.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let status = handler(request.uri().path().to_owned());
                async move {
                    let answer = Response::builder().status(status.await);
                    Ok::<_, Infallible>(
                        answer.body(Full::new(Bytes::from("hello"))).expect("an answer"),
                    )
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    url
}

pub fn plan(shapes: Vec<Shape>, rate: f64, duration_ms: u64) -> Plan {
    Plan { duration: Duration::from_millis(duration_ms), ..Plan::new(shapes, rate) }
}

pub async fn carry_out(plan: Plan) -> Outcome {
    run(plan, CancellationToken::new(), |_| {}).await.expect("a valid plan")
}
