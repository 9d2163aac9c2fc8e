//! One call from begin to end.

use std::{io, net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use metrics::{counter, histogram};
use tokio::time::{Instant, timeout_at};

use crate::{
    Client, Error, Kind, Response, Stage,
    error::Call,
    pool::{Connection, Slot},
    request::Prepared,
};

/// Of an answer that is an error, this much is read: enough for a problem.
const ERROR_BODY_LIMIT: usize = 64 * 1024;

impl Client {
    pub(crate) async fn call(&self, prepared: Prepared) -> Result<Response, Error> {
        let mut measured = Measured::start(self);
        let result = self.answer(prepared).await;
        measured.outcome = match &result {
            Ok(_) => "ok",
            Err(error) => error.outcome(),
        };
        result
    }

    async fn answer(&self, mut asked: Prepared) -> Result<Response, Error> {
        let time = Time { end: Instant::now() + asked.timeout, all: asked.timeout };
        let addresses = time.within(Stage::Address, &asked.call, self.addresses()).await?;
        let addresses = addresses.map_err(|error| {
            asked.call.error(Kind::Refused, "its host's name cannot be resolved").with_source(error)
        })?;
        if addresses.is_empty() {
            return Err(asked.call.error(Kind::Unknown, "no healthy instance of it is known"));
        }
        let slot = time.within(Stage::Slot, &asked.call, self.pool().slot()).await?;
        let (connection, answer) = self.head(&mut asked, &addresses, &slot, time).await?;
        let (head, body) = answer.into_parts();
        let status = head.status.as_u16();
        let limit = if status < 400 { asked.body_limit } else { ERROR_BODY_LIMIT };
        let call = asked.call;
        let body = match time.within(Stage::Body, &call, read(body, limit)).await {
            Ok(Ok(body)) => {
                slot.keep(connection).await;
                body
            }
            // The status alone says enough; what could not be read is not what is wrong.
            Ok(Err(_)) | Err(_) if status >= 400 => Bytes::new(),
            Ok(Err(Unread::TooLarge)) => {
                let what = format!("the answer is longer than the {limit} bytes that are taken");
                return Err(call.error(Kind::TooLarge, what));
            }
            Ok(Err(Unread::Broken(error))) => return Err(broken(&call, error)),
            Err(late) => return Err(late),
        };
        Response { status, headers: head.headers, body, call }.into_result()
    }

    /// Sends the request to the first instance that takes it, and waits for the answer's head.
    ///
    /// Sent again is only what was not sent at all, or what may be repeated and hit a kept
    /// connection that its other side had given up.
    async fn head(
        &self,
        asked: &mut Prepared,
        addresses: &[SocketAddr],
        slot: &Slot,
        time: Time,
    ) -> Result<(Connection, http::Response<Incoming>), Error> {
        let mut refused = None;
        for &address in addresses {
            if let Some(kept) = slot.idle(address) {
                asked.call.instance = Some(address);
                let sent = send(kept, asked.request(address));
                match time.within(Stage::Head, &asked.call, sent).await? {
                    Ok(answered) => return Ok(answered),
                    Err(lost) if lost.unsent || (asked.call.repeatable && lost.cut()) => {
                        slot.forget(address);
                    }
                    Err(lost) => return Err(broken(&asked.call, lost.error)),
                }
            }
            asked.call.instance = None;
            match time.within(Stage::Connect, &asked.call, slot.connect(address)).await? {
                Ok(fresh) => {
                    asked.call.instance = Some(address);
                    let sent = send(fresh, asked.request(address));
                    let answered = time.within(Stage::Head, &asked.call, sent).await?;
                    return answered.map_err(|lost| broken(&asked.call, lost.error));
                }
                Err(error) => {
                    self.refusals().note(address, Instant::now());
                    refused = Some(error);
                }
            }
        }
        Err(none_connects(&asked.call, addresses.len(), refused))
    }
}

impl Prepared {
    fn request(&self, address: SocketAddr) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.call.method.clone();
        *request.uri_mut() = self.path.clone().into();
        *request.headers_mut() = self.headers.clone();
        if let Ok(host) = HeaderValue::try_from(address.to_string()) {
            request.headers_mut().insert(header::HOST, host);
        }
        request
    }
}

/// The end of a call's time.
#[derive(Clone, Copy)]
struct Time {
    end: Instant,
    all: Duration,
}

impl Time {
    async fn within<T>(
        self,
        stage: Stage,
        call: &Call,
        step: impl Future<Output = T>,
    ) -> Result<T, Error> {
        timeout_at(self.end, step).await.map_err(|_| call.timed_out(stage, self.all))
    }
}

/// A connection was lost before an answer's head was complete.
struct Lost {
    error: hyper::Error,
    /// Nothing of the request was sent.
    unsent: bool,
}

impl Lost {
    /// Ended by the other side, not by what it said or what we did.
    fn cut(&self) -> bool {
        !self.error.is_parse() && !self.error.is_user()
    }
}

async fn send(
    mut connection: Connection,
    request: Request<Full<Bytes>>,
) -> Result<(Connection, http::Response<Incoming>), Lost> {
    match connection.sender.try_send_request(request).await {
        Ok(answer) => Ok((connection, answer)),
        Err(mut failed) => {
            let unsent = failed.take_message().is_some();
            Err(Lost { error: failed.into_error(), unsent })
        }
    }
}

/// Why a body was not read to its end.
enum Unread {
    TooLarge,
    Broken(hyper::Error),
}

async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, Unread> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(Unread::TooLarge);
    }
    // Most answers come in one piece, which needs no copy.
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Unread::Broken)?.into_data() else { continue };
        if first.len() + whole.len() + data.len() > limit {
            return Err(Unread::TooLarge);
        }
        if first.is_empty() && whole.is_empty() {
            first = data;
            continue;
        }
        if whole.is_empty() {
            whole.reserve(announced);
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

fn broken(call: &Call, error: hyper::Error) -> Error {
    let (kind, what) = if error.is_parse() {
        (Kind::Malformed, "what came is no HTTP answer")
    } else {
        (Kind::Cut, "the connection ended before the answer was complete")
    };
    call.error(kind, what).with_source(error)
}

fn none_connects(call: &Call, instances: usize, last: Option<io::Error>) -> Error {
    let what = match instances {
        1 => "its instance takes no connection".to_owned(),
        several => format!("none of its {several} instances takes a connection"),
    };
    let error = call.error(Kind::Refused, what);
    match last {
        Some(source) => error.with_source(source),
        None => error,
    }
}

/// Counts a call when it ends, however it ends.
struct Measured {
    to: metrics::SharedString,
    started: Instant,
    outcome: &'static str,
}

impl Measured {
    fn start(client: &Client) -> Self {
        Self { to: client.name().into(), started: Instant::now(), outcome: "cancelled" }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        let to = &self.to;
        counter!("client_requests_total", "to" => to.clone(), "outcome" => self.outcome)
            .increment(1);
        histogram!("client_request_seconds", "to" => to.clone()).record(seconds);
    }
}
