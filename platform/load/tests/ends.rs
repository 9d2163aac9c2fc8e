//! The begin and the end of a load, and what it may take of this machine.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backline_load::{Arrivals, Failure, Goal, Plan, Shape, find_max, run};
use support::{carry_out, plan, serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::{Notify, mpsc},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_rare_load_ends_soon_after_it_is_told_to() {
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let url = serve(move |_| {
        stopping.cancel();
        async { 200 }
    })
    .await;
    // The second request would be due after ten minutes.
    let rare = plan(vec![Shape::get("a", &url).unwrap()], 1.0 / 600.0, 1_800_000);
    let rare = Plan { arrivals: Arrivals::Steady, ..rare };
    let outcome = timeout(LIMIT, run(rare, stop, |_| {})).await.expect("it ends").unwrap();
    assert_eq!(outcome.total.ok, 1);
    assert!(outcome.seconds.len() <= 5, "{} seconds that never were", outcome.seconds.len());
}

#[tokio::test]
async fn a_load_that_nobody_waits_for_any_more_ends() {
    let (asked, come) = mpsc::unbounded_channel();
    let url = serve(move |_| {
        let _ = asked.send(());
        async { 200 }
    })
    .await;
    let long = plan(vec![Shape::get("a", &url).unwrap()], 200.0, 600_000);
    let load = tokio::spawn(run(long, CancellationToken::new(), |_| {}));
    let mut come = come;
    for _ in 0..10 {
        come.recv().await.expect("requests come");
    }
    load.abort();
    let silence = async { while timeout(Duration::from_millis(500), come.recv()).await.is_ok() {} };
    timeout(LIMIT, silence).await.expect("no more requests come");
}

#[tokio::test]
async fn a_load_lasts_as_long_as_it_was_planned() {
    let url = serve(async |_| 200).await;
    let rare = Plan {
        arrivals: Arrivals::Steady,
        ..plan(vec![Shape::get("a", &url).unwrap()], 2.0, 1000)
    };
    let outcome = carry_out(rare).await;
    assert_eq!((outcome.total.ok, outcome.lasted), (2, Duration::from_secs(1)));
    assert!((1.99..2.01).contains(&outcome.throughput()), "{}", outcome.throughput());
}

#[tokio::test]
async fn the_statuses_that_are_good_are_told_by_the_shape() {
    let url = serve(async |path: String| if path == "/gone" { 404 } else { 302 }).await;
    let gone = Shape::get("gone", &format!("{url}/gone")).unwrap();
    let moved = Shape::get("moved", &url).unwrap();
    let shapes = vec![gone.accepting(|status| status == 404), moved.accepting(|s| s == 200)];
    let outcome = carry_out(plan(shapes, 200.0, 500)).await;
    let (gone, moved) = (outcome.shape("gone").unwrap(), outcome.shape("moved").unwrap());
    assert_eq!((gone.failed(), moved.ok), (0, 0));
    assert_eq!(moved.failures.keys().collect::<Vec<_>>(), [&Failure::Status(302)]);
}

/// Counts its connections, and the most that were open at once, beside other servers that do so.
async fn counting(open: Arc<AtomicU64>, most: Arc<AtomicU64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let (open, most) = (open.clone(), most.clone());
            tokio::spawn(async move {
                most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
                    stream.write_all(answer).await.expect("answered");
                }
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    url
}

// One thread: what is closed before something is opened is seen in this order, too.
#[tokio::test]
async fn connections_to_all_servers_together_stay_within_the_limit() {
    let (open, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut shapes = Vec::new();
    for _ in 0..4 {
        let url = counting(open.clone(), most.clone()).await;
        shapes.push(Shape::get("a", &url).unwrap());
    }
    let outcome = carry_out(Plan { connections: 3, ..plan(shapes, 300.0, 1000) }).await;
    assert_eq!(outcome.total.failed(), 0, "{:?}", outcome.total.failures);
    let most = most.load(Ordering::SeqCst);
    // A server may see the end of one connection just after another has seen a begin.
    assert!(most <= 4, "{most} connections at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seconds_tell_when_answers_came() {
    let begun = Instant::now();
    let until = begun + Duration::from_millis(1000);
    let url = serve(move |_| async move {
        tokio::time::sleep_until(until).await;
        200
    })
    .await;
    let stalled = plan(vec![Shape::get("a", &url).unwrap()], 100.0, 2000);
    let outcome = carry_out(Plan { arrivals: Arrivals::Steady, ..stalled }).await;
    let [first, second] = &outcome.seconds[..] else { panic!("two seconds") };
    assert!(first.answered < 20 && second.answered > 170, "{} {}", first.answered, second.answered);
    assert!((99..=101).contains(&first.tally.ok), "{}", first.tally.ok);
}

#[tokio::test]
async fn a_step_that_was_ended_early_holds_no_rate() {
    let stop = CancellationToken::new();
    let told = Arc::new(Notify::new());
    let (asked, stopping) = (told.clone(), stop.clone());
    tokio::spawn(async move {
        told.notified().await;
        stopping.cancel();
    });
    let url = serve(move |_| {
        asked.notify_one();
        async { 200 }
    })
    .await;
    let long = plan(vec![Shape::get("a", &url).unwrap()], 100.0, 600_000);
    let goal = Goal { p99: LIMIT, failures: 1.0 };
    let (max, steps) = find_max(&long, goal, stop, |_, _| {}).await.unwrap();
    assert_eq!((max, steps.len()), (0.0, 0));
}

#[test]
fn what_this_machine_cannot_take_is_refused() {
    let shape = Shape::get("a", "http://127.0.0.1:1/").unwrap();
    let fine = Plan::new(vec![shape], 1000.0);
    assert!(fine.check().is_ok());
    let told = |plan: Plan| plan.check().unwrap_err().to_string();
    assert!(told(Plan { rate: 1e-300, ..fine.clone() }).contains("0.001 to 1,000,000"));
    assert!(told(Plan { timeout: Duration::MAX, ..fine.clone() }).contains("an hour at most"));
    let endless = Plan { warmup: Duration::MAX, duration: Duration::MAX, ..fine.clone() };
    assert!(told(endless).contains("an hour at most"));
    assert!(told(Plan { rate: 1e6, ..fine.clone() }).contains("wait at once"));
    assert!(told(Plan { connections: 0, ..fine }).contains("at least one connection"));
}
