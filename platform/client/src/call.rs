//! One call from begin to end.

use std::{io, net::SocketAddr, time::Duration};

use backline_resilience::Outcome;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use metrics::{counter, histogram};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    Client, Error, Kind, Response, Stage,
    balance::Underway,
    cause,
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

    /// Tries until there is an answer, or a retry is not safe, not useful or not within the budget.
    async fn answer(&self, mut asked: Prepared) -> Result<Response, Error> {
        let dependency = self.dependency();
        let time = Time::of(&asked);
        time.within(Stage::Address, &asked.call, self.steered()).await?;
        dependency.retry.budget.deposit();
        let mut before = Vec::new();
        for retry in 1.. {
            let failed = match self.guarded(&mut asked, time, &before).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            if retry >= dependency.retry.tries || !is_worth_a_retry(&failed) {
                return Err(failed);
            }
            // As the other side wishes, and jitter on top: not everybody at the same moment.
            let wished = failed.retry_after().unwrap_or_default();
            let Some(pause) = dependency.retry.wait(retry, wished, Some(time.end)) else {
                return Err(failed);
            };
            tracing::debug!(error = %failed, ?pause, "tried again");
            dependency.note_retry();
            counter!("client_retries_total", "to" => self.name()).increment(1);
            before.extend(asked.call.instance.take());
            sleep(pause).await;
        }
        unreachable!("the loop ends by its returns")
    }

    /// One try, if the breaker lets it through, and what the breaker is to make of it.
    async fn guarded(
        &self,
        asked: &mut Prepared,
        time: Time,
        before: &[SocketAddr],
    ) -> Result<Response, Error> {
        let dependency = self.dependency();
        let permit = dependency.breaker.try_acquire().map_err(|open| {
            asked.call.error(Kind::Open, open.to_string()).with_retry_after(open.retry_after)
        })?;
        let begun = Instant::now();
        let result = self.try_once(asked, time, before).await;
        let took = begun.elapsed();
        let outcome = match &result {
            Ok(_) => Outcome::Success,
            Err(error) => error.verdict(took >= dependency.enough()),
        };
        if asked.long_poll {
            permit.record_untimed(outcome);
        } else {
            permit.record(outcome);
            if outcome != Outcome::Ignored {
                dependency.seen.record(took, Instant::now());
            }
        }
        if let Some(address) = asked.call.instance {
            dependency.outliers.record(&address, outcome);
        }
        result
    }

    async fn try_once(
        &self,
        asked: &mut Prepared,
        time: Time,
        before: &[SocketAddr],
    ) -> Result<Response, Error> {
        let addresses = time.within(Stage::Address, &asked.call, self.addresses(before)).await?;
        let addresses = addresses.map_err(|error| {
            asked.call.error(Kind::Refused, "its host's name cannot be resolved").with_source(error)
        })?;
        if addresses.is_empty() {
            return Err(asked.call.error(Kind::Unknown, "no healthy instance of it is known"));
        }
        let place = time.within(Stage::Slot, &asked.call, self.dependency().bulkhead.acquire());
        let place = place.await?.map_err(|full| asked.call.error(Kind::Full, full.to_string()))?;
        let slot = self.pool().slot(place);
        let (connection, answer, _underway) = self.head(asked, &addresses, &slot, time).await?;
        let (head, body) = answer.into_parts();
        let status = head.status.as_u16();
        let limit = if status < 400 { asked.body_limit } else { ERROR_BODY_LIMIT };
        let call = &asked.call;
        let body = match time.within(Stage::Body, call, read(body, limit)).await {
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
            Ok(Err(Unread::Broken(error))) => return Err(broken(call, error)),
            Err(late) => return Err(late),
        };
        Response { status, headers: head.headers, body, call: call.clone() }.into_result()
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
    ) -> Result<Answering, Error> {
        let mut refused = None;
        for &address in addresses {
            let underway = self.dependency().balance.begin(address, asked.long_poll);
            if let Some(kept) = slot.idle(address) {
                asked.call.instance = Some(address);
                let sent = send(kept, asked.request(address, time));
                match time.within(Stage::Head, &asked.call, sent).await? {
                    Ok((connection, answer)) => return Ok((connection, answer, underway)),
                    Err(lost) if lost.unsent || (asked.call.repeatable && lost.cut()) => {
                        slot.forget(address);
                    }
                    Err(lost) => return Err(broken(&asked.call, lost.error)),
                }
            }
            asked.call.instance = None;
            let connect = slot.connect(address, time.left() / 2);
            match time.within(Stage::Connect, &asked.call, connect).await? {
                Ok(fresh) => {
                    asked.call.instance = Some(address);
                    let sent = send(fresh, asked.request(address, time));
                    return match time.within(Stage::Head, &asked.call, sent).await? {
                        Ok((connection, answer)) => Ok((connection, answer, underway)),
                        Err(lost) => Err(broken(&asked.call, lost.error)),
                    };
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
    fn request(&self, address: SocketAddr, time: Time) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.call.method.clone();
        *request.uri_mut() = self.path.clone().into();
        *request.headers_mut() = self.headers.clone();
        if let Ok(host) = HeaderValue::try_from(address.to_string()) {
            request.headers_mut().insert(header::HOST, host);
        }
        let left = time.left().as_millis();
        let left = HeaderValue::from(u64::try_from(left).unwrap_or(u64::MAX));
        request.headers_mut().insert(cause::TIMEOUT, left);
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
    fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// As long as the call may take, and as somebody waits for it.
    fn of(asked: &Prepared) -> Self {
        let now = Instant::now();
        let own = now + asked.timeout;
        let end = asked.until.map_or(own, |until| until.min(own));
        Self { end, all: end.saturating_duration_since(now) }
    }

    async fn within<T>(
        self,
        stage: Stage,
        call: &Call,
        step: impl Future<Output = T>,
    ) -> Result<T, Error> {
        timeout_at(self.end, step).await.map_err(|_| call.timed_out(stage, self.all))
    }
}

/// An answer's head, what its body comes over, and that it is under way.
type Answering = (Connection, http::Response<Incoming>, Option<Underway>);

/// Whether the same call, made again at once, has a chance: not where the breaker or the bulkhead
/// refuses (they protect the other side, and us, from just that), and not where nobody is there.
fn is_worth_a_retry(failed: &Error) -> bool {
    let refused = matches!(failed.kind(), Kind::Open | Kind::Full | Kind::Unknown);
    !refused && failed.is_away() && failed.is_retry_safe()
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
