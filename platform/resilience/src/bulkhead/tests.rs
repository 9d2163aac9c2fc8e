//! Places are neither lost nor gained, however a wait or a call ends.

use std::{future::Future, task::Poll, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, advance},
};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{Bulkhead, BulkheadLayer, Full, WalledError};

const WAIT: Duration = Duration::from_millis(100);

/// Lets `future` begin; it must not end at once.
async fn begin<F: Future + Unpin>(future: &mut F) {
    std::future::poll_fn(|cx| {
        assert!(std::pin::Pin::new(&mut *future).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

fn counts(bulkhead: &Bulkhead) -> (usize, usize, u64) {
    let seen = bulkhead.snapshot();
    (seen.taken, seen.waiting, seen.refused)
}

#[tokio::test(start_paused = true)]
async fn a_call_beyond_the_places_waits_its_time_and_is_refused() {
    let bulkhead = Bulkhead::new(2, WAIT);
    let _places = (bulkhead.acquire().await.unwrap(), bulkhead.acquire().await.unwrap());
    let begun = Instant::now();
    let refusal = bulkhead.acquire().await.unwrap_err();
    assert_eq!(refusal, Full { places: 2, waited: WAIT });
    assert!(begun.elapsed() >= WAIT);
    assert_eq!(refusal.to_string(), "all 2 places are taken, and none came free within 100ms");
    assert_eq!(counts(&bulkhead), (2, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_comes_free_in_time_is_taken() {
    let bulkhead = Bulkhead::new(1, WAIT);
    let place = bulkhead.acquire().await.unwrap();
    let mut waits = Box::pin(bulkhead.acquire());
    begin(&mut waits).await;
    assert_eq!(counts(&bulkhead), (1, 1, 0));
    advance(WAIT - Duration::from_millis(1)).await;
    drop(place);
    let _place = waits.await.unwrap();
    assert_eq!(counts(&bulkhead), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_wait_a_full_bulkhead_refuses_at_once() {
    let bulkhead = Bulkhead::new(1, Duration::ZERO);
    let place = bulkhead.acquire().await.unwrap();
    let begun = Instant::now();
    assert!(bulkhead.acquire().await.is_err());
    assert_eq!(begun.elapsed(), Duration::ZERO);
    drop(place);
    assert!(bulkhead.acquire().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn none_counts_as_one_place_and_too_many_as_the_most() {
    let one = Bulkhead::new(0, Duration::ZERO);
    let _place = one.try_acquire().unwrap();
    assert_eq!(one.try_acquire().unwrap_err(), Full { places: 1, waited: Duration::ZERO });
    assert!(Bulkhead::new(usize::MAX, Duration::ZERO).try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_longest_wait_does_not_overflow() {
    let bulkhead = Bulkhead::new(1, Duration::MAX);
    let place = bulkhead.acquire().await.unwrap();
    let mut waits = Box::pin(bulkhead.acquire());
    begin(&mut waits).await;
    drop(place);
    assert!(waits.await.is_ok());
}

// Failsafe 393, 400: a waiter that timed out kept a place for ever.
#[tokio::test(start_paused = true)]
async fn a_wait_that_times_out_eats_no_place() {
    let bulkhead = Bulkhead::new(1, WAIT);
    let place = bulkhead.acquire().await.unwrap();
    for _ in 0..10 {
        assert!(bulkhead.acquire().await.is_err());
    }
    drop(place);
    assert_eq!(counts(&bulkhead), (0, 0, 10));
    assert!(bulkhead.try_acquire().is_ok());
}

// Failsafe 393: the place came free in the moment in which the wait ended.
#[tokio::test(start_paused = true)]
async fn a_place_that_comes_free_as_the_wait_ends_is_not_lost() {
    let bulkhead = Bulkhead::new(1, WAIT);
    let place = bulkhead.acquire().await.unwrap();
    let mut waits = Box::pin(bulkhead.acquire());
    begin(&mut waits).await;
    advance(WAIT + Duration::from_millis(1)).await;
    drop(place);
    drop(waits.await);
    assert_eq!(counts(&bulkhead), (0, 0, 0));
    assert!(bulkhead.try_acquire().is_ok());
}

// resilience4j 332: a call that was cancelled kept its place.
#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_gives_back_even_the_place_it_was_just_handed() {
    let bulkhead = Bulkhead::new(1, WAIT);
    let place = bulkhead.acquire().await.unwrap();
    let mut first = Box::pin(bulkhead.acquire());
    begin(&mut first).await;
    drop(first);
    assert_eq!(counts(&bulkhead), (1, 0, 0));
    let mut handed = Box::pin(bulkhead.acquire());
    begin(&mut handed).await;
    drop(place);
    assert!(bulkhead.try_acquire().is_err(), "who waits comes first");
    drop(handed);
    assert_eq!(counts(&bulkhead), (0, 0, 1));
    assert!(bulkhead.try_acquire().is_ok());
}

// resilience4j 1569: a place that was given back twice let one call too many through.
#[tokio::test(start_paused = true)]
async fn a_place_is_given_back_once() {
    let bulkhead = Bulkhead::new(2, Duration::ZERO);
    for _ in 0..10 {
        let place = bulkhead.try_acquire().unwrap();
        let call = async move {
            let _place = place;
            std::future::pending::<()>().await;
        };
        assert!(tokio::time::timeout(WAIT, call).await.is_err());
    }
    let _places = (bulkhead.try_acquire().unwrap(), bulkhead.try_acquire().unwrap());
    assert!(bulkhead.try_acquire().is_err());
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_served_in_order() {
    let bulkhead = Bulkhead::new(1, WAIT);
    let place = bulkhead.acquire().await.unwrap();
    let (mut first, mut second) = (Box::pin(bulkhead.acquire()), Box::pin(bulkhead.acquire()));
    begin(&mut first).await;
    begin(&mut second).await;
    assert_eq!(bulkhead.snapshot().waiting, 2);
    drop(place);
    begin(&mut second).await;
    drop(first.await.unwrap());
    assert!(second.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_layer_holds_a_place_until_the_answer_or_until_nobody_waits() {
    let bulkhead = Bulkhead::new(1, Duration::ZERO);
    let mut service = BulkheadLayer::new(bulkhead.clone()).layer(service_fn(
        |answer: oneshot::Receiver<u16>| async {
            answer.await.map_err(|_| std::io::Error::other("no answer"))
        },
    ));
    let (tell, answer) = oneshot::channel();
    let mut first = service.ready().await.unwrap().call(answer);
    begin(&mut first).await;
    let refused = service.clone().oneshot(oneshot::channel().1).await.unwrap_err();
    assert!(matches!(refused, WalledError::Full(Full { places: 1, .. })));
    tell.send(200).unwrap();
    assert_eq!(first.await.unwrap(), 200);
    let (_tell, answer) = oneshot::channel();
    let mut given_up = service.ready().await.unwrap().call(answer);
    begin(&mut given_up).await;
    assert_eq!(bulkhead.snapshot().taken, 1);
    drop(given_up);
    assert_eq!(bulkhead.snapshot().taken, 0);
    let (_, answer) = oneshot::channel();
    let failed = service.oneshot(answer).await.unwrap_err();
    assert_eq!(failed.to_string(), "no answer");
    assert_eq!(bulkhead.snapshot().taken, 0);
}
