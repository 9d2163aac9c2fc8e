//! What a breaker's decision costs, beside the other breakers for Rust: may the call be made, and it
//! came to this; closed, without a call between.
//!
//! `cargo bench -p backline-resilience --bench breaker`. Two groups: `decision` asks the breaker
//! itself, `layer` goes through a `tower` layer, the only way into tower-resilience. Each is measured
//! with one thread and with two that share a breaker; the figure is the time from the first call to
//! the last, divided by the calls of *one* thread. With two threads and no contention it would be the
//! same as with one.
//!
//! Not all do the same work. `recloser` and `failsafe` know no slow calls and never read the clock for
//! a call with a count policy: the like of that is `backline, untimed`. `dirty` has a failure in every
//! window, so that good calls have to be counted too.

use std::{
    convert::Infallible,
    sync::Barrier,
    time::{Duration, Instant},
};

use backline_resilience::{Breaker, BreakerConfig, BreakerLayer, Outcome, Window};
use criterion::{Criterion, criterion_group, criterion_main};
use failsafe::CircuitBreaker as _;
use tower::{Layer, Service, ServiceExt};
use tower_resilience_circuitbreaker::CircuitBreakerLayer;

const THREADS: [usize; 2] = [1, 2];
/// Every so many calls of a dirty run fail.
const FAILS: u64 = 50;
const NEVER: u64 = 0;

fn breaker(config: BreakerConfig) -> Breaker {
    let breaker = Breaker::new(config).expect("settings in range");
    for _ in 0..200 {
        breaker.try_acquire().expect("it is closed").record(Outcome::Success);
    }
    breaker
}

fn untimed() -> BreakerConfig {
    BreakerConfig { slow_call: Duration::MAX, ..BreakerConfig::default() }
}

fn last_minute() -> Window {
    Window::Time(Duration::from_secs(60))
}

/// The time that `threads` take which begin together and do `calls` calls each.
fn together(threads: usize, calls: u64, work: impl Fn(u64) + Sync) -> Duration {
    let start = Barrier::new(threads + 1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let begun = Instant::now();
                    work(calls);
                    begun.elapsed()
                })
            })
            .collect();
        start.wait();
        let times = workers.into_iter().map(|worker| worker.join().expect("a call panicked"));
        times.max().unwrap_or_default()
    })
}

fn measure(c: &mut Criterion, group: &str, name: &str, work: impl Fn(u64) + Sync) {
    let mut group = c.benchmark_group(group);
    for threads in THREADS {
        group.bench_function(format!("{name}/{threads}"), |bencher| {
            bencher.iter_custom(|calls| together(threads, calls, &work));
        });
    }
    group.finish();
}

fn ours(c: &mut Criterion, name: &str, config: BreakerConfig, fails: u64) {
    let breaker = breaker(config);
    measure(c, "decision", name, |calls| {
        for call in 1..=calls {
            let failed = fails != NEVER && call % fails == 0;
            let outcome = if failed { Outcome::Failure } else { Outcome::Success };
            breaker.try_acquire().expect("it is closed").record(outcome);
        }
    });
}

fn decision(c: &mut Criterion) {
    ours(c, "backline, untimed", untimed(), NEVER);
    let recloser = recloser::Recloser::default();
    measure(c, "decision", "recloser", |calls| {
        for _ in 0..calls {
            recloser.call(|| Ok::<_, ()>(())).expect("it is closed");
        }
    });
    let forever = failsafe::backoff::constant(Duration::from_secs(60));
    let consecutive = failsafe::Config::new()
        .failure_policy(failsafe::failure_policy::consecutive_failures(5, forever))
        .build();
    measure(c, "decision", "failsafe, consecutive failures", |calls| {
        for _ in 0..calls {
            consecutive.call(|| Ok::<_, ()>(())).expect("it is closed");
        }
    });
    let rate = failsafe::Config::new().build();
    measure(c, "decision", "failsafe, rate or consecutive", |calls| {
        for _ in 0..calls {
            rate.call(|| Ok::<_, ()>(())).expect("it is closed");
        }
    });

    ours(c, "backline, untimed, dirty", untimed(), FAILS);
    let recloser = recloser::Recloser::default();
    measure(c, "decision", "recloser, dirty", |calls| {
        for call in 1..=calls {
            let _ = recloser.call(|| if call % FAILS == 0 { Err(()) } else { Ok(()) });
        }
    });
    ours(c, "backline, timed", BreakerConfig::default(), NEVER);
    ours(c, "backline, timed, dirty", BreakerConfig::default(), FAILS);
    let minute = BreakerConfig { window: last_minute(), ..BreakerConfig::default() };
    ours(c, "backline, timed, time window", minute, NEVER);
}

/// Calls through a service, on a runtime of each thread's own.
fn through<S>(c: &mut Criterion, name: &str, service: S)
where
    S: Service<u64, Response = u64, Error: std::fmt::Debug> + Clone + Send + Sync,
{
    measure(c, "layer", name, |calls| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime of one thread");
        let mut service = service.clone();
        runtime.block_on(async {
            for call in 0..calls {
                let ready = service.ready().await.expect("it is ready");
                ready.call(call).await.expect("it is closed");
            }
        });
    });
}

fn layer(c: &mut Criterion) {
    let bare = tower::service_fn(|call: u64| async move { Ok::<_, Infallible>(call) });
    through(c, "no breaker", bare);

    let judge = |_: &Result<u64, Infallible>| Outcome::Success;
    let timed = BreakerLayer::new(breaker(BreakerConfig::default()), judge);
    through(c, "backline, timed", timed.layer(bare));
    let untimed = BreakerLayer::new(breaker(untimed()), judge);
    through(c, "backline, untimed", untimed.layer(bare));

    let theirs = CircuitBreakerLayer::builder()
        .slow_call_duration_threshold(Duration::from_secs(60))
        .build()
        .expect("settings in range");
    through(c, "tower-resilience, timed", theirs.layer_fn(bare));
    let theirs = CircuitBreakerLayer::builder().build().expect("settings in range");
    through(c, "tower-resilience", theirs.layer_fn(bare));
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50);
    targets = decision, layer
}
criterion_main!(benches);
