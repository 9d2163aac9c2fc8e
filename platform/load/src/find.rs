//! The highest rate that a server holds.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{InvalidPlan, Outcome, Plan, Progress, run};

/// The search ends when the answer is known to this share.
const CLOSE_ENOUGH: f64 = 1.05;

/// What a server must do to hold a rate.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// The latency that 99 of 100 requests must not pass.
    pub p99: Duration,
    /// The share of requests that may fail, from 0 to 1.
    pub failures: f64,
}

/// One rate that was tried.
#[derive(Clone, Debug)]
pub struct Step {
    /// Requests per second.
    pub rate: f64,
    /// Whether the goal was met.
    pub held: bool,
    /// What became of them.
    pub outcome: Outcome,
}

impl Goal {
    /// Whether an outcome at this rate meets it. Requests that the generator could not let go in
    /// time, or answers that came too slowly, count against it.
    #[must_use]
    pub fn is_met(&self, rate: f64, outcome: &Outcome) -> bool {
        let answered = outcome.throughput() >= 0.95 * rate * (1.0 - self.failures);
        answered
            && outcome.failure_rate() <= self.failures
            && outcome.total.percentile(99.0) <= self.p99
    }
}

/// The highest rate at which `goal` is met: doubled from the plan's rate on until it is missed, then
/// halved between. Each step lasts as long as the plan says. 0 where even the plan's rate is too
/// much. `stop` ends it early; a step that was not carried out to its end does not count.
///
/// # Errors
/// When the plan cannot be meant.
pub async fn find_max(
    plan: &Plan,
    goal: Goal,
    stop: CancellationToken,
    mut told: impl FnMut(f64, Progress),
) -> Result<(f64, Vec<Step>), InvalidPlan> {
    let mut steps = Vec::new();
    let (mut held, mut missed) = (0.0, f64::INFINITY);
    let mut rate = plan.rate;
    while !stop.is_cancelled() && missed / f64::max(held, 1e-9) > CLOSE_ENOUGH {
        let step = Plan { rate, ..plan.clone() };
        let outcome = run(step, stop.clone(), |progress| told(rate, progress)).await?;
        if stop.is_cancelled() {
            break;
        }
        let met = goal.is_met(rate, &outcome);
        if met {
            held = rate;
        } else {
            missed = rate;
        }
        steps.push(Step { rate, held: met, outcome });
        rate = match (held, missed) {
            (_, missed) if missed.is_infinite() => rate * 2.0,
            (0.0, _) => break,
            (held, missed) => f64::midpoint(held, missed),
        };
        if (Plan { rate, ..plan.clone() }).check().is_err() {
            break;
        }
    }
    Ok((held, steps))
}
