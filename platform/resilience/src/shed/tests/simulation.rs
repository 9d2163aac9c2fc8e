//! A server with a queue behind an adaptive shed, event by event, on a paused clock.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use tokio::time::{Instant, advance};

use super::adaptive;
use crate::Outcome;
use crate::shed::{Admitted, Shed};

/// It works on so many calls side by side, and the others queue inside.
const WORKERS: usize = 40;
const WORK: Duration = Duration::from_millis(50);
/// What it can do, in calls a second.
const CAPACITY: f64 = 800.0;
/// Workers times tolerance.
const EXPECTED: f64 = 60.0;

struct Server {
    shed: Shed,
    /// When each worker has nothing left to do.
    free_at: BinaryHeap<Reverse<Instant>>,
    at_work: BTreeMap<(Instant, u64), (Instant, Admitted)>,
    arrivals: u64,
    /// Chance in the work and in the times between calls, or none.
    chance: Option<fastrand::Rng>,
}

/// What was seen in a stretch of time.
#[derive(Debug)]
struct Seen {
    lowest: u32,
    highest: u32,
    slowest: Duration,
    done: u64,
}

impl Server {
    fn new(chance: Option<u64>) -> Self {
        Self {
            shed: adaptive(),
            free_at: std::iter::repeat_n(Reverse(Instant::now()), WORKERS).collect(),
            at_work: BTreeMap::new(),
            arrivals: 0,
            chance: chance.map(fastrand::Rng::with_seed),
        }
    }

    /// A time of this mean: exponential where there is chance.
    fn spread(&mut self, mean: Duration) -> Duration {
        match &mut self.chance {
            Some(chance) => mean.mul_f64(-(1.0 - chance.f64()).ln()),
            None => mean,
        }
    }

    /// Calls arrive at `rate` a second for so many seconds, each of so much work.
    async fn run(&mut self, rate: f64, seconds: u64, work: Duration) -> Seen {
        let end = Instant::now() + Duration::from_secs(seconds);
        let limit = self.shed.snapshot().limit;
        let mut seen = Seen { lowest: limit, highest: limit, slowest: Duration::ZERO, done: 0 };
        let mut next = Instant::now();
        while Instant::now() < end {
            let ends = self.at_work.first_key_value().map(|((at, _), _)| *at);
            let at = ends.map_or(next, |ends| ends.min(next));
            advance(at.saturating_duration_since(Instant::now())).await;
            if ends == Some(at) {
                let Some((_, (since, call))) = self.at_work.pop_first() else { continue };
                seen.slowest = seen.slowest.max(at - since);
                seen.done += 1;
                call.done(Outcome::Success);
                let limit = self.shed.snapshot().limit;
                seen.lowest = seen.lowest.min(limit);
                seen.highest = seen.highest.max(limit);
            } else {
                next += self.spread(Duration::from_secs_f64(1.0 / rate));
                self.arrive(work);
            }
        }
        seen
    }

    fn arrive(&mut self, work: Duration) {
        self.arrivals += 1;
        let Ok(call) = self.shed.try_acquire() else { return };
        let now = Instant::now();
        let free = self.free_at.pop().map_or(now, |Reverse(free)| free.max(now));
        let done = free + self.spread(work);
        self.free_at.push(Reverse(done));
        self.at_work.insert((done, self.arrivals), (now, call));
    }
}

fn near(limit: u32, share: f64) -> bool {
    (f64::from(limit) / EXPECTED - 1.0).abs() <= share
}

#[tokio::test(start_paused = true)]
async fn under_overload_the_limit_settles_at_workers_times_tolerance() {
    let mut server = Server::new(None);
    server.run(1.5 * CAPACITY, 20, WORK).await;
    let seen = server.run(1.5 * CAPACITY, 20, WORK).await;
    assert!(near(seen.lowest, 0.1) && near(seen.highest, 0.1), "{seen:?}");
    assert!(seen.slowest <= 2 * WORK, "{seen:?}");
    assert!(seen.done as f64 >= 0.99 * 20.0 * CAPACITY, "the server is kept busy: {seen:?}");
}

#[tokio::test(start_paused = true)]
async fn chance_does_not_take_the_limit_far_away() {
    for seed in 0..3 {
        let mut server = Server::new(Some(seed));
        server.run(1.5 * CAPACITY, 20, WORK).await;
        let seen = server.run(1.5 * CAPACITY, 60, WORK).await;
        assert!(near(seen.lowest, 0.4) && near(seen.highest, 0.4), "{seed}: {seen:?}");
        assert!(seen.done as f64 >= 0.95 * 60.0 * CAPACITY, "{seed}: {seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_overload_chance_refuses_next_to_nobody() {
    let mut server = Server::new(Some(0));
    server.run(0.8 * CAPACITY, 120, WORK).await;
    let before = server.shed.snapshot();
    server.run(0.8 * CAPACITY, 900, WORK).await;
    let after = server.shed.snapshot();
    let refused = (after.refused - before.refused) as f64;
    let share = refused / (after.admitted - before.admitted) as f64;
    assert!(share < 0.01, "{share} {after:?}");
}

// concurrency-limits 134: while the gradient was near 1, the headroom added to it raised the limit
// without end.
#[tokio::test(start_paused = true)]
async fn under_lasting_mild_overload_the_limit_does_not_grow_without_end() {
    let mut server = Server::new(None);
    server.run(1.05 * CAPACITY, 20, WORK).await;
    let seen = server.run(1.05 * CAPACITY, 300, WORK).await;
    assert!(near(seen.highest, 0.1), "{seen:?}");
    assert!(seen.slowest <= 2 * WORK, "{seen:?}");
}

// Envoy 11579: with each new measurement under load the latency without queueing climbed.
#[tokio::test(start_paused = true)]
async fn waves_of_load_do_not_raise_the_latency_without_queueing() {
    let mut server = Server::new(None);
    for wave in 0..10 {
        server.run(2.0 * CAPACITY, 10, WORK).await;
        let seen = server.run(2.0 * CAPACITY, 5, WORK).await;
        assert!(near(seen.highest, 0.1), "wave {wave}: {seen:?}");
        assert!(seen.slowest <= 2 * WORK, "wave {wave}: {seen:?}");
        // Few calls, but while the queue is still there.
        server.run(0.1 * CAPACITY, 5, WORK).await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_slow_spell_the_limit_recovers() {
    let mut server = Server::new(None);
    server.run(1.5 * CAPACITY, 20, WORK).await;
    let seen = server.run(1.5 * CAPACITY, 20, 10 * WORK).await;
    assert!(seen.lowest <= 30, "{seen:?}");
    server.run(1.5 * CAPACITY, 20, WORK).await;
    // A crowd never shows the latency without queueing quite, but a quiet moment does.
    let seen = server.run(1.5 * CAPACITY, 5, WORK).await;
    assert!(near(seen.lowest, 0.5) && near(seen.highest, 0.5), "{seen:?}");
    assert!(seen.slowest <= 2 * WORK, "{seen:?}");
    server.run(0.1 * CAPACITY, 10, WORK).await;
    server.run(1.5 * CAPACITY, 20, WORK).await;
    let seen = server.run(1.5 * CAPACITY, 5, WORK).await;
    assert!(near(seen.lowest, 0.1) && near(seen.highest, 0.1), "{seen:?}");
}
