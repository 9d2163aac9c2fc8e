//! What is measured, in which order.

use std::{sync::Arc, time::Duration};

use backline_load::{Goal, Outcome, find_max, run};
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

use super::{Args, DEAD_SLOW, Failed, site::OLD_PLACES, site::Site};

/// The load of the story, beside which ours is stated.
pub const STORY_RATE: f64 = 7000.0;
/// Of the highest rate that is held.
const SHARE_OF_MAX: f64 = 0.6;
const SAMPLED_EVERY: Duration = Duration::from_millis(200);

/// What was found.
#[derive(Debug)]
pub struct Findings {
    /// The highest rate that was held, where it was looked for.
    pub highest: Option<f64>,
    /// The rate of all measurements.
    pub rate: f64,
    /// One with the old service well, one with it slow, with the measures.
    pub pairs: Vec<Pair>,
    /// With the measures, and without.
    pub on: Timeline,
    /// Without.
    pub off: Timeline,
}

/// The latency of those who want the new ads, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pair {
    /// While the old service is well.
    pub well_p50_ms: f64,
    /// While the old service is well.
    pub well_p99_ms: f64,
    /// While it is dead slow.
    pub slow_p50_ms: f64,
    /// While it is dead slow.
    pub slow_p99_ms: f64,
    /// Requests for the new ads that failed while it was dead slow.
    pub slow_failed: u64,
    /// The most connections to it.
    pub connections: usize,
}

/// A site before, while and after the old service is slow.
#[derive(Debug)]
pub struct Timeline {
    /// What became of the load.
    pub outcome: Outcome,
    /// By time.
    pub samples: Vec<Sample>,
    /// When the old service was slow, in seconds.
    pub slow: std::ops::Range<f64>,
}

/// What was seen at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// Seconds since the begin.
    pub at: f64,
    /// Connections to the old service.
    pub connections: usize,
    /// The site's breaker before it; none without the measures, or where the site did not answer.
    pub breaker: Option<String>,
}

impl Findings {
    /// The median over the pairs of a figure.
    #[must_use]
    pub fn median(&self, of: impl Fn(&Pair) -> f64) -> f64 {
        let mut all: Vec<f64> = self.pairs.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// The p99 of healthy traffic with the old service slow stays within 1.1 times, or 1 ms, of the
    /// one with it well.
    #[must_use]
    pub fn stays_healthy(&self) -> bool {
        let (well, slow) = (self.median(|p| p.well_p99_ms), self.median(|p| p.slow_p99_ms));
        // What fails fast is not healthy.
        let served = self.pairs.iter().all(|pair| pair.slow_failed == 0);
        served && slow <= f64::max(well * 1.1, well + 1.0)
    }

    /// The most connections to the old service with the measures.
    #[must_use]
    pub fn connections_on(&self) -> usize {
        self.pairs.iter().map(|pair| pair.connections).max().unwrap_or(0).max(self.on.connections())
    }

    /// Never more than the bulkhead has places.
    #[must_use]
    pub fn stays_within(&self) -> bool {
        self.connections_on() <= OLD_PLACES
    }

    /// Without the measures, those who want the new ads are not served while the old service is
    /// slow: at least half of them fail.
    #[must_use]
    pub fn collapses_without(&self) -> bool {
        self.off.failed_while_slow() > 0.5
    }

    /// Whether all this is so.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.stays_healthy() && self.stays_within() && self.collapses_without()
    }
}

impl Timeline {
    /// The most connections to the old service.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.samples.iter().map(|sample| sample.connections).max().unwrap_or(0)
    }

    /// The share of requests that failed in the second half of the slow time.
    #[must_use]
    pub fn failed_while_slow(&self) -> f64 {
        let middle = f64::midpoint(self.slow.start, self.slow.end);
        let (from, to) = (middle as usize, self.slow.end as usize);
        let seconds = self.outcome.seconds.iter().take(to).skip(from);
        let (sent, failed) = seconds.fold((0, 0), |(sent, failed), second| {
            (sent + second.tally.sent, failed + second.tally.failed())
        });
        failed as f64 / (sent.max(1)) as f64
    }
}

pub async fn measure(args: &Args) -> Result<Findings, Failed> {
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(120));
    let site = Arc::new(Site::start(None).await?);
    let (highest, rate) = match args.rate {
        Some(rate) => (None, rate),
        None => {
            let highest = highest(&site, &bar).await?;
            (Some(highest), highest * SHARE_OF_MAX)
        }
    };
    let seconds = Duration::from_secs(args.seconds);
    let mut pairs = Vec::new();
    for number in 1..=args.pairs {
        bar.set_message(format!("{rate:.0} requests/s: pair {number} of {}", args.pairs));
        pairs.push(pair(&site, rate, seconds, number % 2 == 0).await?);
    }
    let (around, slow) = (Duration::from_secs(args.around), Duration::from_secs(args.slow));
    bar.set_message(format!("{rate:.0} requests/s: the measures on"));
    let on = timeline(site, rate, around, slow).await?;
    bar.set_message(format!("{rate:.0} requests/s: the measures off"));
    let bare = Arc::new(Site::start(Some(args.workers)).await?);
    let off = timeline(bare, rate, around, slow).await?;
    bar.finish_and_clear();
    Ok(Findings { highest, rate, pairs, on, off })
}

/// The highest rate with everything well.
async fn highest(site: &Site, bar: &ProgressBar) -> Result<f64, Failed> {
    let plan = site.plan(500.0, Duration::from_secs(3))?;
    let plan = backline_load::Plan { warmup: Duration::from_millis(500), ..plan };
    let goal = Goal { p99: Duration::from_millis(50), failures: 0.001 };
    let told = |rate: f64, _| bar.set_message(format!("looking for the highest rate: {rate:.0}/s"));
    let (highest, _) = find_max(&plan, goal, CancellationToken::new(), told).await?;
    if highest > 0.0 {
        Ok(highest)
    } else {
        Err("this machine does not hold 500 requests/s".into())
    }
}

async fn pair(
    site: &Arc<Site>,
    rate: f64,
    duration: Duration,
    slow_first: bool,
) -> Result<Pair, Failed> {
    let mut pair = Pair {
        well_p50_ms: 0.0,
        well_p99_ms: 0.0,
        slow_p50_ms: 0.0,
        slow_p99_ms: 0.0,
        slow_failed: 0,
        connections: 0,
    };
    for slow in [slow_first, !slow_first] {
        site.heal().await?;
        let delay = if slow { DEAD_SLOW } else { Duration::ZERO };
        site.old_ads_take(delay).await?;
        let watched = Watched::start(site.clone());
        let plan = site.plan(rate, duration)?;
        let plan = backline_load::Plan { warmup: Duration::from_secs(1), ..plan };
        let outcome = run(plan, CancellationToken::new(), |_| {}).await?;
        let samples = watched.stop().await;
        let new = outcome.shape("new").ok_or("the plan has new ads")?;
        let ms = |percent| new.percentile(percent).as_secs_f64() * 1000.0;
        if slow {
            (pair.slow_p50_ms, pair.slow_p99_ms) = (ms(50.0), ms(99.0));
            pair.slow_failed = new.failed();
        } else {
            (pair.well_p50_ms, pair.well_p99_ms) = (ms(50.0), ms(99.0));
        }
        let most = samples.iter().map(|sample| sample.connections).max().unwrap_or(0);
        pair.connections = pair.connections.max(most);
    }
    site.heal().await?;
    Ok(pair)
}

async fn timeline(
    site: Arc<Site>,
    rate: f64,
    around: Duration,
    slow: Duration,
) -> Result<Timeline, Failed> {
    site.old_ads_take(Duration::ZERO).await?;
    let watched = Watched::start(site.clone());
    let plan = site.plan(rate, around + slow + around)?;
    let begun = Instant::now();
    let load = tokio::spawn(run(plan, CancellationToken::new(), |_| {}));
    tokio::time::sleep_until(begun + around).await;
    site.old_ads_take(DEAD_SLOW).await?;
    tokio::time::sleep_until(begun + around + slow).await;
    site.old_ads_take(Duration::ZERO).await?;
    let outcome = load.await??;
    let samples = watched.stop().await;
    let span = around.as_secs_f64()..(around + slow).as_secs_f64();
    Ok(Timeline { outcome, samples, slow: span })
}

/// Looks at the site until it is stopped.
struct Watched {
    stop: CancellationToken,
    samples: tokio::task::JoinHandle<Vec<Sample>>,
}

impl Watched {
    fn start(site: Arc<Site>) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let samples = tokio::spawn(async move {
            let begun = Instant::now();
            let mut samples = Vec::new();
            let mut ticks = interval(SAMPLED_EVERY);
            while stopped.run_until_cancelled(ticks.tick()).await.is_some() {
                let at = begun.elapsed().as_secs_f64();
                let connections = site.connections_to_old_ads();
                // A site that has collapsed does not answer this either, and is not waited for.
                let breaker = stopped.run_until_cancelled(site.breaker()).await.flatten();
                samples.push(Sample { at, connections, breaker });
            }
            samples
        });
        Self { stop, samples }
    }

    async fn stop(self) -> Vec<Sample> {
        self.stop.cancel();
        self.samples.await.unwrap_or_default()
    }
}
