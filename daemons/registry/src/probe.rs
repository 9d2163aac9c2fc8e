//! One HTTP check: connect, ask, judge.
//!
//! A connection of its own each time, so that a check also tells whether new clients can connect.
//! The connection is driven by the task that waits for the answer: nothing else is started, and
//! nothing stays behind when the time is up. Redirects are answers, not followed.

use std::{net::SocketAddr, pin::pin};

use axum::http::{Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::{
    check::{OUTPUT_KEPT, Outcome, Probe, Status, bounded},
    duration,
};

/// The head of an answer, in bytes, must fit into this.
const MAX_HEAD: usize = 16 * 1024;

/// Runs the check once, within its timeout.
pub async fn run(probe: &Probe) -> Outcome {
    let critical = |output: String, timed_out| Outcome {
        status: Status::Critical,
        output: bounded(output),
        timed_out,
    };
    match tokio::time::timeout(probe.timeout, exchange(probe)).await {
        Ok(Ok((status, body))) => judge(probe, status, &body),
        Ok(Err(reason)) => critical(format!("{} \"{}\": {reason}", probe.method, probe.url), false),
        Err(_) => critical(
            format!(
                "{} \"{}\": no answer within {}",
                probe.method,
                probe.url,
                duration::format(probe.timeout)
            ),
            true,
        ),
    }
}

fn judge(probe: &Probe, status: StatusCode, body: &[u8]) -> Outcome {
    let verdict = match status {
        status if status.is_success() => Status::Passing,
        StatusCode::TOO_MANY_REQUESTS => Status::Warning,
        _ => Status::Critical,
    };
    let remark = if status.is_redirection() { " (redirects are not followed)" } else { "" };
    let text = String::from_utf8_lossy(body);
    let output = format!("HTTP {} {}: {status}{remark} Output: {text}", probe.method, probe.url);
    Outcome { status: verdict, output: bounded(output), timed_out: false }
}

async fn exchange(probe: &Probe) -> Result<(StatusCode, Vec<u8>), String> {
    let stream = connect(&probe.target.resolve().await?).await?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let request = request(probe)?;
    let mut answer = pin!(async {
        let response = sender.send_request(request).await.map_err(|error| describe(&error))?;
        let status = response.status();
        Ok((status, beginning(response.into_body()).await))
    });
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        // A server that closes after its answer ends the connection first.
        _ = &mut connection => answer.await,
    }
}

fn describe(error: &hyper::Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, String> {
    let mut reason = String::from("the name has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => reason = format!("connect to {address}: {error}"),
        }
    }
    Err(reason)
}

fn request(probe: &Probe) -> Result<Request<Full<Bytes>>, String> {
    let mut request = Request::new(Full::new(probe.body.clone()));
    *request.method_mut() = probe.method.clone();
    *request.uri_mut() = probe.target.path.clone();
    let headers = request.headers_mut();
    let authority = probe.target.authority.parse().map_err(|_| "the host is not valid")?;
    headers.insert(header::HOST, authority);
    headers.insert(header::USER_AGENT, header::HeaderValue::from_static("backline-registry"));
    headers.insert(header::ACCEPT, header::HeaderValue::from_static("*/*"));
    for name in probe.headers.keys() {
        headers.remove(name);
    }
    headers.extend(probe.headers.clone());
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    Ok(request)
}

/// The beginning of the body, as much as is kept. A body that breaks off tells what it told.
async fn beginning(mut body: Incoming) -> Vec<u8> {
    let mut kept = Vec::new();
    while kept.len() < OUTPUT_KEPT {
        let Some(Ok(frame)) = body.frame().await else { break };
        if let Ok(data) = frame.into_data() {
            kept.extend_from_slice(&data[..data.len().min(OUTPUT_KEPT - kept.len())]);
        }
    }
    kept
}
