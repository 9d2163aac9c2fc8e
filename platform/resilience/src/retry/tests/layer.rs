//! The layer, on a paused clock.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, advance, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::{Backoff, BudgetConfig, Retry, RetryBudget, RetryLayer, RetryPolicy, RetryRule};

/// A request; its `Err` says what the rule shall make of it.
#[derive(Clone, Copy, Debug, Default)]
struct Ask {
    once_only: bool,
    deadline: Option<Instant>,
}

type Answer = Result<u32, Retry>;

struct Rule;

impl RetryRule<Ask, u32, Retry> for Rule {
    fn decide(&self, _request: &Ask, result: &Answer) -> Retry {
        result.err().unwrap_or(Retry::No)
    }

    fn copy(&self, request: &Ask) -> Option<Ask> {
        (!request.once_only).then_some(*request)
    }

    fn deadline(&self, request: &Ask) -> Option<Instant> {
        request.deadline
    }
}

/// When the tries came in.
type Log = Arc<Mutex<Vec<Instant>>>;

/// Answers as listed, and with the last one from then on.
async fn ask(policy: &RetryPolicy, request: Ask, answers: &[Answer]) -> (Answer, Vec<Duration>) {
    let (log, start) = (Log::default(), Instant::now());
    let rest = Arc::new(Mutex::new(VecDeque::from(answers.to_vec())));
    let seen = log.clone();
    let inner = service_fn(move |_request: Ask| {
        seen.lock().unwrap().push(Instant::now());
        let mut rest = rest.lock().unwrap();
        let answer = if rest.len() > 1 { rest.pop_front() } else { rest.front().copied() };
        async move { answer.unwrap() }
    });
    let answer = RetryLayer::new(policy.clone(), Rule).layer(inner).oneshot(request).await;
    let tries = log.lock().unwrap().iter().map(|at| *at - start).collect();
    (answer, tries)
}

const AGAIN: Answer = Err(Retry::Yes);

#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_until_it_succeeds() {
    let policy = RetryPolicy::default();
    let (answer, tries) = ask(&policy, Ask::default(), &[AGAIN, Ok(7)]).await;
    assert_eq!((answer, tries.len()), (Ok(7), 2));
    assert!(tries[1] <= Duration::from_millis(26));
    let snapshot = policy.budget.snapshot();
    assert_eq!((snapshot.calls, snapshot.retries), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_tries_are_counted_with_the_first() {
    let (answer, tries) = ask(&RetryPolicy::default(), Ask::default(), &[AGAIN]).await;
    assert_eq!((answer, tries.len()), (AGAIN, 3));
    for tries in [0, 1] {
        let policy = RetryPolicy { tries, ..RetryPolicy::default() };
        assert_eq!(ask(&policy, Ask::default(), &[AGAIN]).await.1.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_safe_or_cannot_be_sent_twice_is_tried_once() {
    let policy = RetryPolicy::default();
    let unsafe_again = [Err(Retry::No), Ok(7)];
    assert_eq!(ask(&policy, Ask::default(), &unsafe_again).await.1.len(), 1);
    let once_only = Ask { once_only: true, ..Ask::default() };
    assert_eq!(ask(&policy, once_only, &[AGAIN, Ok(7)]).await.1.len(), 1);
    assert_eq!(policy.budget.snapshot().retries, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_time_gets_it() {
    let policy = RetryPolicy::default();
    let later = Duration::from_millis(600);
    let (answer, tries) = ask(&policy, Ask::default(), &[Err(Retry::After(later)), Ok(7)]).await;
    assert_eq!(answer, Ok(7));
    assert!((600..=626).contains(&tries[1].as_millis()), "{tries:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_too_much_time_is_not_tried_again() {
    let policy = RetryPolicy::default();
    let wish = Err(Retry::After(Duration::from_millis(1001)));
    let (answer, tries) = ask(&policy, Ask::default(), &[wish, Ok(7)]).await;
    assert_eq!((answer, tries), (wish, vec![Duration::ZERO]));
    assert_eq!(policy.budget.snapshot().retries, 0);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_does_not_fit_the_deadline_is_not_made_nor_paid_for() {
    let policy = RetryPolicy::default();
    let wish = Err(Retry::After(Duration::from_millis(100)));
    for (left, tries) in [(99, 1), (100, 1), (130, 2)] {
        let deadline = Some(Instant::now() + Duration::from_millis(left));
        let (_, seen) = ask(&policy, Ask { deadline, ..Ask::default() }, &[wish, Ok(7)]).await;
        assert_eq!(seen.len(), tries, "{left} ms left");
    }
    assert_eq!(policy.budget.snapshot().retries, 1);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_stops_retries() {
    let deadline = Some(Instant::now());
    advance(Duration::from_millis(1)).await;
    let request = Ask { deadline, ..Ask::default() };
    assert_eq!(ask(&RetryPolicy::default(), request, &[AGAIN]).await.1.len(), 1);
}

/// So many calls that all fail, begun with this time between them, and the tries they made.
async fn outage(policy: &RetryPolicy, calls: u32, gap: Duration) -> u32 {
    let tries = Arc::new(Mutex::new(0));
    let counted = tries.clone();
    let inner = service_fn(move |_request: Ask| {
        *counted.lock().unwrap() += 1;
        async { AGAIN }
    });
    let mut service = RetryLayer::new(policy.clone(), Rule).layer(inner);
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..calls {
        let call = service.ready().await.unwrap().call(Ask::default());
        running.spawn(call);
        if !gap.is_zero() {
            sleep(gap).await;
        }
    }
    running.join_all().await;
    *tries.lock().unwrap()
}

#[tokio::test(start_paused = true)]
async fn in_a_total_outage_tries_stay_within_a_fifth_above_the_calls() {
    let policy = RetryPolicy::default();
    let tries = outage(&policy, 10_000, Duration::from_millis(1)).await;
    assert!((11_900..=12_000).contains(&tries), "{tries}");
}

#[tokio::test(start_paused = true)]
async fn in_a_long_outage_the_reserve_is_no_extra() {
    let policy = RetryPolicy::default();
    let tries = outage(&policy, 60_000, Duration::from_millis(1)).await;
    assert!(tries <= 72_000, "{tries}");
}

// Envoy 30205: retries that waited in their backoff were not counted, so that a thousand failures
// at once became a thousand retries at once, or counted twice, and too few were made.
#[tokio::test(start_paused = true)]
async fn retries_that_wait_are_counted_once() {
    let budget = RetryBudget::new(BudgetConfig { reserve: 0, ..BudgetConfig::default() }).unwrap();
    let backoff = Backoff { base: Duration::from_millis(500), ..Backoff::default() };
    let policy = RetryPolicy { tries: 2, backoff, budget: budget.clone() };
    let paid_while_they_wait = async {
        sleep(Duration::from_millis(1)).await;
        budget.snapshot().retries
    };
    let calls = outage(&policy, 1000, Duration::ZERO);
    assert_eq!(tokio::join!(calls, paid_while_they_wait), (1200, 200));
    assert_eq!(budget.snapshot().retries, 200);
}
