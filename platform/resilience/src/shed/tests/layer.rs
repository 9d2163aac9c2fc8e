//! The layer around a service that answers when it is told to.

use std::convert::Infallible;

use tokio::sync::oneshot;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::fixed;
use crate::{Outcome, Overloaded, ShedLayer, ShedRule};

struct Status;

type Answer = Result<u16, Infallible>;

impl ShedRule<u16, Infallible> for Status {
    fn outcome(&self, _result: &Answer) -> Outcome {
        Outcome::Success
    }

    fn refusal(&self, _overloaded: Overloaded) -> Answer {
        Ok(503)
    }
}

/// An answer that never comes, as its sender is gone.
fn untold() -> oneshot::Receiver<u16> {
    oneshot::channel().1
}

#[tokio::test]
async fn a_place_is_held_until_the_answer_or_until_nobody_waits() {
    let shed = fixed(1);
    let mut service = ShedLayer::new(shed.clone(), Status)
        .layer(service_fn(|answer: oneshot::Receiver<u16>| async { Ok(answer.await.unwrap()) }));
    let (tell, answer) = oneshot::channel();
    let first = service.ready().await.unwrap().call(answer);
    assert_eq!(service.ready().await.unwrap().call(untold()).await, Ok(503));
    tell.send(200).unwrap();
    assert_eq!(first.await, Ok(200));
    assert_eq!(shed.snapshot().in_flight, 0);
    let given_up = service.ready().await.unwrap().call(untold());
    assert_eq!(shed.snapshot().in_flight, 1);
    drop(given_up);
    assert_eq!(shed.snapshot().in_flight, 0);
}

#[tokio::test]
async fn a_refused_call_does_no_work() {
    let shed = fixed(1);
    let _other = shed.try_acquire().unwrap();
    let service = ShedLayer::new(shed, Status).layer(service_fn(|(): ()| async {
        panic!("the work was begun");
        #[expect(unreachable_code, reason = "it gives the block its type")]
        Ok(200)
    }));
    assert_eq!(service.oneshot(()).await, Ok(503));
}
