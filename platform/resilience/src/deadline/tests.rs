//! The end of the time, to the millisecond.

use std::{
    convert::Infallible,
    future::{pending, ready},
    io,
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, advance, sleep};
use tower::{Layer, ServiceExt, service_fn};

use super::{Deadline, LateError, TimedOut, TimeoutLayer};

const TIME: Duration = Duration::from_millis(100);
const MOMENT: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn what_is_left_shrinks_to_nothing_and_the_moment_itself_is_over() {
    let deadline = Deadline::after(TIME);
    assert_eq!(deadline, Deadline::at(Instant::now() + TIME));
    assert_eq!(deadline.moment(), Instant::now() + TIME);
    advance(TIME - MOMENT).await;
    assert_eq!((deadline.remaining(), deadline.is_over()), (MOMENT, false));
    advance(MOMENT).await;
    assert_eq!((deadline.remaining(), deadline.is_over()), (Duration::ZERO, true));
    advance(TIME).await;
    assert_eq!(deadline.remaining(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_earlier_of_two_holds() {
    let (soon, late) = (Deadline::after(MOMENT), Deadline::after(TIME));
    assert_eq!((soon.earlier(late), late.earlier(soon)), (soon, soon));
}

#[tokio::test(start_paused = true)]
async fn steps_share_one_deadline() {
    let deadline = Deadline::after(TIME);
    assert_eq!(deadline.within(sleep(TIME / 2)).await, Ok(()));
    assert_eq!(deadline.within(sleep(TIME)).await, Err(TimedOut));
    assert!(deadline.is_over());
    assert_eq!(TimedOut.to_string(), "its time was over");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_begun_when_the_time_is_over() {
    let deadline = Deadline::after(Duration::ZERO);
    assert_eq!(deadline.within(async { panic!("it was begun") }).await, Err::<(), _>(TimedOut));
}

#[tokio::test(start_paused = true)]
async fn work_is_dropped_when_the_time_is_over() {
    let held = Arc::new(());
    let own = held.clone();
    let work = async move {
        let _own = own;
        pending::<()>().await;
    };
    assert_eq!(Deadline::after(TIME).within(work).await, Err(TimedOut));
    assert_eq!(Arc::strong_count(&held), 1);
}

#[tokio::test(start_paused = true)]
async fn the_longest_time_does_not_overflow() {
    let deadline = Deadline::after(Duration::MAX);
    assert!(deadline.remaining() > Duration::from_secs(365 * 24 * 3600));
    assert_eq!(deadline.within(ready(7)).await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn the_layer_answers_ends_or_passes_the_error_on() {
    let layer = TimeoutLayer::new(TIME);
    let echo = service_fn(|takes: Duration| async move {
        sleep(takes).await;
        Ok::<_, Infallible>(takes)
    });
    let in_time = TIME - MOMENT;
    assert_eq!(layer.layer(echo).oneshot(in_time).await.unwrap(), in_time);
    let begun = Instant::now();
    let late = layer.layer(echo).oneshot(2 * TIME).await.unwrap_err();
    assert!(matches!(late, LateError::TimedOut(TimedOut)));
    assert!(begun.elapsed() >= TIME && begun.elapsed() < 2 * TIME);
    let broken = service_fn(|(): ()| async { Err::<(), _>(io::Error::other("broken")) });
    assert_eq!(layer.layer(broken).oneshot(()).await.unwrap_err().to_string(), "broken");
}

#[tokio::test(start_paused = true)]
async fn a_call_without_time_fails_at_once() {
    let service = service_fn(|(): ()| async { Ok::<_, Infallible>(()) });
    let late = TimeoutLayer::new(Duration::ZERO).layer(service).oneshot(()).await;
    assert!(matches!(late, Err(LateError::TimedOut(TimedOut))));
}
