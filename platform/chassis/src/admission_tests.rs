use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
};

use axum::{Router, middleware::from_fn_with_state, routing::post};
use backline_resilience::Limit;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::Notify;
use tower::ServiceExt;

use super::*;

/// A service of two places: `/quick` answers at once, `/hang` when it is let go.
struct Served {
    router: Router,
    handled: Arc<AtomicUsize>,
    let_go: Arc<Notify>,
    shed: Shed,
}

impl Served {
    fn new(limit: u32) -> Self {
        let shed = Shed::new(Limit::Fixed(limit)).expect("a limit");
        let admission = Admission { shed: shed.clone(), running: Running::default() };
        let (handled, let_go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (count, counted) = (handled.clone(), handled.clone());
        let gate = let_go.clone();
        let quick = async move |body: Bytes| {
            count.fetch_add(1, Ordering::SeqCst);
            body.len().to_string()
        };
        let hang = async move || {
            counted.fetch_add(1, Ordering::SeqCst);
            gate.notified().await;
            "done"
        };
        let router = Router::new()
            .route("/quick", post(quick))
            .route("/hang", post(hang))
            .layer(from_fn_with_state(Arc::new(admission), admit));
        Self { router, handled, let_go, shed }
    }

    fn handled(&self) -> usize {
        self.handled.load(Ordering::SeqCst)
    }

    async fn send(&self, request: Request) -> Response {
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// The code of the problem that a request ends with.
    async fn refused(&self, request: Request) -> (u16, String) {
        let response = self.send(request).await;
        let fault = response.extensions().get::<Fault>().map(|fault| fault.problem.clone());
        let problem = response.extensions().get::<Problem>().cloned().map(Box::new);
        let problem = fault.or(problem).expect("a problem");
        (problem.status().as_u16(), problem.code().to_owned())
    }
}

fn to(path: &str, body: Body) -> Request {
    Request::post(path).body(body).expect("a request")
}

fn within(path: &str, left: Duration) -> Request {
    let mut request = to(path, Body::empty());
    let deadline = Some(Instant::now() + left);
    request.extensions_mut().insert(Cause { deadline, ..Cause::root() });
    request
}

#[tokio::test]
async fn beyond_its_limit_a_service_refuses_before_any_work_and_goes_on_with_what_it_accepted() {
    let served = Arc::new(Served::new(1));
    let first = served.clone();
    let first = tokio::spawn(async move { first.send(to("/hang", Body::empty())).await });
    while served.handled() == 0 {
        tokio::task::yield_now().await;
    }
    // Not even the body is waited for.
    let endless = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let refused = served.refused(to("/quick", endless)).await;
    assert_eq!(refused, (503, "overloaded".to_owned()));
    assert_eq!(served.handled(), 1);
    served.let_go.notify_one();
    assert_eq!(first.await.expect("no panic").status(), StatusCode::OK);
    assert_eq!(served.send(to("/quick", Body::empty())).await.status(), StatusCode::OK);
    assert_eq!(served.shed.snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_handler_gets_as_long_as_its_caller_waits() {
    let served = Served::new(8);
    let begun = Instant::now();
    let late = served.refused(within("/hang", Duration::from_millis(300))).await;
    assert_eq!(late, (504, "deadline-exceeded".to_owned()));
    assert_eq!(begun.elapsed(), Duration::from_millis(300));
    // Nobody says how long: as long as the service gives.
    let begun = Instant::now();
    let late = served.refused(to("/hang", Body::empty())).await;
    assert_eq!(late.0, 504);
    assert_eq!(begun.elapsed(), HANDLED_WITHIN);
    assert_eq!((served.handled(), served.shed.snapshot().in_flight), (2, 0));
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_begun() {
    let served = Served::new(8);
    let late = served.refused(within("/quick", Duration::ZERO)).await;
    assert_eq!(late, (504, "deadline-exceeded".to_owned()));
    assert_eq!((served.handled(), served.shed.snapshot().in_flight), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_or_takes_too_long_is_given_up() {
    let served = Served::new(1);
    let piece = || Ok::<_, Infallible>(Bytes::from_static(b"x"));
    let stalls = stream::iter([piece()]).chain(stream::pending());
    let begun = Instant::now();
    let late = served.refused(to("/quick", Body::from_stream(stalls))).await;
    assert_eq!(late, (408, "body-late".to_owned()));
    assert_eq!(begun.elapsed(), PIECE_WITHIN);
    // A piece each four seconds, for ever.
    let drips = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b"x")), ()))
    });
    let begun = Instant::now();
    let late = served.refused(to("/quick", Body::from_stream(drips))).await;
    assert_eq!(late, (408, "body-late".to_owned()));
    assert!((BODY_WITHIN..BODY_WITHIN + PIECE_WITHIN).contains(&begun.elapsed()));
    // Slow clients hold no place.
    assert_eq!((served.handled(), served.shed.snapshot().admitted), (0, 0));
}

#[tokio::test]
async fn a_body_arrives_whole_up_to_its_limit() {
    let served = Served::new(8);
    let pieces = |size: usize| {
        let piece = Bytes::from(vec![0; size / 4]);
        Body::from_stream(stream::iter(vec![Ok::<_, Infallible>(piece); 4]))
    };
    let answer = served.send(to("/quick", pieces(MAX_BODY))).await.into_body();
    let length = axum::body::to_bytes(answer, 64).await.expect("a body");
    assert_eq!(length, MAX_BODY.to_string());
    let large = served.refused(to("/quick", pieces(MAX_BODY + 4))).await;
    assert_eq!(large, (413, "body-too-large".to_owned()));
}

#[tokio::test]
async fn a_key_is_used_by_one_request_at_a_time() {
    let served = Arc::new(Served::new(8));
    let keyed = |path: &str| {
        let mut request = to(path, Body::empty());
        request.headers_mut().insert("idempotency-key", HeaderValue::from_static("k"));
        request
    };
    let (first, request) = (served.clone(), keyed("/hang"));
    let first = tokio::spawn(async move { first.send(request).await });
    while served.handled() == 0 {
        tokio::task::yield_now().await;
    }
    let second = served.refused(keyed("/hang")).await;
    assert_eq!(second, (409, "idempotency-key-in-use".to_owned()));
    assert_eq!(served.send(keyed("/quick")).await.status(), StatusCode::OK, "another route");
    served.let_go.notify_one();
    assert_eq!(first.await.expect("no panic").status(), StatusCode::OK);
}
