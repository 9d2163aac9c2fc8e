//! The layer around a service that answers when it is told to.

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    task::Poll,
};

use backline_resilience::{Breaker, BreakerLayer, Broken, Outcome, State};
use tokio::sync::oneshot;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{about_to_probe, breaker, calls, config, state};

type Status = io::Result<u16>;
type Answer = oneshot::Receiver<Status>;

fn judge(result: &Status) -> Outcome {
    match result {
        Ok(499) => Outcome::Ignored,
        Ok(status) if *status < 500 => Outcome::Success,
        _ => Outcome::Failure,
    }
}

/// Answers at once.
async fn ask(breaker: &Breaker, answer: Status) -> Result<u16, Broken<io::Error>> {
    let service = service_fn(|answer: Status| async { answer });
    BreakerLayer::new(breaker.clone(), judge).layer(service).oneshot(answer).await
}

async fn poll_once(future: &mut (impl Future + Unpin)) -> bool {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_ready())).await
}

#[tokio::test(start_paused = true)]
async fn results_are_judged_and_passed_on() {
    let breaker = breaker(config());
    assert_eq!(ask(&breaker, Ok(200)).await.unwrap(), 200);
    assert_eq!(ask(&breaker, Ok(499)).await.unwrap(), 499);
    assert_eq!(ask(&breaker, Ok(503)).await.unwrap(), 503);
    let broken = ask(&breaker, Err(io::Error::other("broken pipe"))).await.unwrap_err();
    assert_eq!(broken.to_string(), "broken pipe");
    assert_eq!((breaker.snapshot().calls, breaker.snapshot().failures), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_is_not_made() {
    let breaker = breaker(config());
    calls(&breaker, Outcome::Failure, 4);
    let service = service_fn(|(): ()| async { panic!("the call was made") });
    let layer = BreakerLayer::new(breaker, judge);
    let refused = layer.layer(service).oneshot(()).await.unwrap_err();
    assert!(matches!(refused, Broken::Open(open) if open.state == State::Open));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_waits_for_gives_its_probe_back() {
    let breaker = about_to_probe(config()).await;
    let told = service_fn(|answer: Answer| async { answer.await.unwrap() });
    let mut service = BreakerLayer::new(breaker.clone(), judge).layer(told);
    let (tell, answer) = oneshot::channel();
    let mut given_up = service.ready().await.unwrap().call(answer);
    assert_eq!(breaker.snapshot().probes, 0, "a call begins when it is first waited for");
    assert!(!poll_once(&mut given_up).await);
    assert_eq!(breaker.snapshot().probes, 1);
    drop(given_up);
    assert_eq!((breaker.snapshot().probes, breaker.snapshot().calls), (0, 0));
    drop(tell);
    for _ in 0..3 {
        ask(&breaker, Ok(200)).await.unwrap();
    }
    assert_eq!(state(&breaker), State::Closed);
}
