//! Against a real server on this machine.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backline_load::{Arrivals, Failure, Goal, Plan, Shape, find_max, html, run};
use support::{carry_out, plan, serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Mutex,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rate_is_held_and_the_mix_kept() {
    let url = serve(async |_| 200).await;
    let often = Shape::get("often", &url).unwrap().weighing(9.0);
    let rare = Shape::get("rare", &url).unwrap();
    let outcome = carry_out(plan(vec![often, rare], 1000.0, 2000)).await;
    let total = &outcome.total;
    assert!((1700..=2300).contains(&total.sent), "{}", total.sent);
    assert_eq!(total.sent, total.ok);
    let rare = outcome.shape("rare").unwrap().sent as f64 / total.sent as f64;
    assert!((0.06..0.14).contains(&rare), "{rare}");
    assert_eq!(outcome.seconds.iter().map(|second| second.tally.sent).sum::<u64>(), total.sent);
}

/// A server that stalls keeps a closed-loop generator from asking; here those who would have asked
/// meanwhile count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_hits_all_whose_moment_lies_in_it() {
    let begun = Instant::now();
    let gate = Arc::new(Mutex::new(()));
    let url = serve(move |_| {
        let gate = gate.clone();
        async move {
            let _one_at_a_time = gate.lock().await;
            let since = begun.elapsed();
            if (Duration::from_millis(500)..Duration::from_millis(1000)).contains(&since) {
                tokio::time::sleep_until(begun + Duration::from_millis(1000)).await;
            }
            200
        }
    })
    .await;
    let steady = Plan {
        arrivals: Arrivals::Steady,
        ..plan(vec![Shape::get("a", &url).unwrap()], 200.0, 2000)
    };
    let outcome = carry_out(steady).await;
    // A quarter of all arrivals lies in the stall; half of those wait for more than 250 ms.
    assert!(
        outcome.total.percentile(90.0) > Duration::from_millis(200),
        "{:?}",
        outcome.total.percentile(90.0)
    );
    assert!(outcome.total.percentile(50.0) < Duration::from_millis(100));
}

#[tokio::test]
async fn failures_are_told_apart() {
    let url = serve(async |path: String| match path.as_str() {
        "/hang" => std::future::pending().await,
        _ => 503,
    })
    .await;
    let hang = Shape::get("hang", &format!("{url}/hang")).unwrap();
    let fail = Shape::get("fail", &url).unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = Shape::get("nobody", &format!("http://{closed}")).unwrap();
    let timeout = Duration::from_millis(100);
    let all = Plan { timeout, ..plan(vec![hang.clone(), fail, nobody], 300.0, 500) };
    let outcome = carry_out(all).await;
    let only = |name: &str| {
        let tally = outcome.shape(name).unwrap();
        assert_eq!((tally.ok, tally.failures.len()), (0, 1), "{name}: {:?}", tally.failures);
        *tally.failures.keys().next().unwrap()
    };
    assert_eq!(only("hang"), Failure::Timeout);
    assert_eq!(only("fail"), Failure::Status(503));
    assert_eq!(only("nobody"), Failure::Connect);
    // So many at once that those whose time ends together cannot all have had the one connection.
    let one = Plan { timeout, connections: 1, ..plan(vec![hang], 10_000.0, 50) };
    let outcome = carry_out(one).await;
    assert!(outcome.total.failures.contains_key(&Failure::NoConnection));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_highest_rate_is_found() {
    // 400 per second and no more: each answer has its turn, 2.5 ms after the one before.
    let next = Arc::new(Mutex::new(Instant::now()));
    let url = serve(move |_| {
        let next = next.clone();
        async move {
            let turn = {
                let mut next = next.lock().await;
                *next = (*next).max(Instant::now()) + Duration::from_micros(2500);
                *next
            };
            tokio::time::sleep_until(turn).await;
            200
        }
    })
    .await;
    let steady = Plan {
        arrivals: Arrivals::Steady,
        timeout: Duration::from_secs(1),
        ..plan(vec![Shape::get("a", &url).unwrap()], 100.0, 1000)
    };
    let goal = Goal { p99: Duration::from_millis(100), failures: 0.01 };
    let (max, steps) = find_max(&steady, goal, CancellationToken::new(), |_, _| {}).await.unwrap();
    assert!(
        (330.0..=470.0).contains(&max),
        "{max}: {:?}",
        steps.iter().map(|s| (s.rate, s.held)).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_load_can_be_ended_early_and_is_reported_all_the_same() {
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let url = serve(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) == 20 {
            stopping.cancel();
        }
        async { 200 }
    })
    .await;
    let long = plan(vec![Shape::get("a", &url).unwrap()], 200.0, 600_000);
    let outcome = run(long.clone(), stop, |_| {}).await.unwrap();
    assert!((20..200).contains(&outcome.total.ok), "{}", outcome.total.ok);
    let lived = outcome.lasted.as_secs_f64().ceil() as usize;
    assert!(lived < 100 && outcome.seconds.len() == lived, "{lived}");
    let page = html(&long, &outcome);
    for part in ["<svg", "Latency by percentile", "Latency over time", "p99", "<table>"] {
        assert!(page.contains(part), "{part}");
    }
}

/// Answers each connection with the begin of an answer, and its end.
async fn cutting() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhe").await;
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_each_kind_of_failure_and_a_half_answer_is_one() {
    let (cut, fine) = (cutting().await, serve(async |_| 200).await);
    let shapes = vec![Shape::get("<cut>", &cut).unwrap(), Shape::get("fine", &fine).unwrap()];
    let mixed = plan(shapes, 200.0, 1000);
    let outcome = carry_out(mixed.clone()).await;
    let tally = outcome.shape("<cut>").unwrap();
    assert_eq!(tally.failures.get(&Failure::Cut), Some(&tally.sent), "{:?}", tally.failures);
    assert_eq!(outcome.shape("fine").unwrap().failed(), 0);
    let page = html(&mixed, &outcome);
    for part in ["Failures over time", "failures per second", ">\ncut", "Answers over time"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<cut>"), "names are text, not markup");
    assert!(!page.contains("src=") && !page.contains("@import"), "the page stands alone");
}

#[tokio::test]
async fn the_pause_after_the_last_arrival_is_part_of_the_load() {
    let url = serve(async |_| 200).await;
    let rare =
        Plan { arrivals: Arrivals::Steady, ..plan(vec![Shape::get("a", &url).unwrap()], 1.0, 300) };
    let outcome = carry_out(rare).await;
    assert_eq!((outcome.total.sent, outcome.lasted), (1, Duration::from_millis(300)));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let get = |url: &str| Shape::get("a", url).map(drop).unwrap_err().to_string();
    assert!(get("https://127.0.0.1/").contains("only plain HTTP"));
    assert!(get("http://example.org/").contains("IP address or localhost"));
    assert!(get("nonsense").contains("http://"));
    let there = Plan::new(vec![Shape::get("a", "http://10.0.0.1/").unwrap()], 1.0);
    assert!(there.check().unwrap_err().to_string().contains("--beyond-loopback"));
    let here = |rate| Plan::new(vec![Shape::get("a", "http://localhost:1/").unwrap()], rate);
    for rate in [0.0, -1.0, f64::NAN, 2e6] {
        assert!(here(rate).check().is_err(), "{rate}");
    }
    assert!(here(1.0).check().is_ok());
}
