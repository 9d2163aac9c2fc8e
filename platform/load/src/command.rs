//! `backline load`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use comfy_table::Table;
use http::Method;
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use crate::{
    Arrivals, Goal, InvalidPlan, Outcome, Plan, Progress, Shape, find_max, html, report::Report,
    run,
};

/// Sends requests at a steady rate and measures the answers. Ctrl-C ends it early.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to ask: http://127.0.0.1:8080/catalog/albums
    url: String,
    /// Requests per second; with --find-max, the rate to begin with
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// How long, such as 30s or 5m; with --find-max, of each step
    #[arg(long, default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// Load before it that is not counted
    #[arg(long, default_value = "1s", value_parser = duration)]
    warmup: Duration,
    /// The time of one request
    #[arg(long, default_value = "5s", value_parser = duration)]
    timeout: Duration,
    /// Connections at once
    #[arg(long, default_value_t = 256)]
    connections: usize,
    /// All requests at the same distance, not as from people who know nothing of each other
    #[arg(long)]
    steady: bool,
    /// The method
    #[arg(long, default_value = "GET")]
    method: String,
    /// A header: 'name: value'; can be given several times
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// The body of each request
    #[arg(long, default_value = "")]
    body: String,
    /// Look for the highest rate at which 99 of 100 answers come within --p99 and 1 of 1000 fails
    #[arg(long)]
    find_max: bool,
    /// See --find-max
    #[arg(long, default_value = "50ms", value_parser = duration, requires = "find_max")]
    p99: Duration,
    /// Write the figures here as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with plots here
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Let servers on other machines be asked: only your own
    #[arg(long)]
    beyond_loopback: bool,
}

/// Runs `backline load`. The exit code is 0 when all was measured, 1 when a file could not be
/// written, 2 for wrong arguments.
#[must_use]
#[expect(clippy::print_stderr, clippy::print_stdout, reason = "the command talks to people")]
pub fn command(args: Args) -> ExitCode {
    let plan = match args.plan().and_then(|plan| args.files_can_be_written().map(|()| plan)) {
        Ok(plan) => plan,
        Err(wrong) => {
            eprintln!("backline load: {wrong}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        runtime.block_on(measure(&args, &plan)).map_err(|error| error.to_string())
    });
    let (plan, outcome) = match outcome {
        Ok(measured) => measured,
        Err(error) => {
            eprintln!("backline load: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}\n{}", table(&outcome), pace(&plan, &outcome));
    let report = serde_json::to_string_pretty(&Report::of(&plan, &outcome)).unwrap_or_default();
    for (file, text) in [(&args.json, report), (&args.html, html(&plan, &outcome))] {
        let Some(file) = file else { continue };
        if let Err(error) = std::fs::write(file, text) {
            eprintln!("backline load: cannot write {}: {error}", file.display());
            return ExitCode::FAILURE;
        }
        println!("written: {}", file.display());
    }
    ExitCode::SUCCESS
}

impl Args {
    /// Tried before the load, which may take long.
    fn files_can_be_written(&self) -> Result<(), InvalidPlan> {
        for file in self.json.iter().chain(&self.html) {
            let opened = std::fs::File::options().append(true).create(true).open(file);
            opened.map_err(|error| {
                InvalidPlan(format!("cannot write {}: {error}", file.display()))
            })?;
        }
        Ok(())
    }

    fn plan(&self) -> Result<Plan, InvalidPlan> {
        let method = Method::from_bytes(self.method.as_bytes())
            .map_err(|_| InvalidPlan(format!("'{}' is no method", self.method)))?;
        let body = self.body.clone().into();
        let shape = Shape::new(&self.url, method, &self.url, &self.headers, body)?;
        let plan = Plan {
            arrivals: if self.steady { Arrivals::Steady } else { Arrivals::Poisson },
            warmup: self.warmup,
            duration: self.duration,
            timeout: self.timeout,
            connections: self.connections,
            beyond_loopback: self.beyond_loopback,
            ..Plan::new(vec![shape], self.rate)
        };
        plan.check()?;
        Ok(plan)
    }
}

/// How much was asked and answered, and whether the generator kept up.
fn pace(plan: &Plan, outcome: &Outcome) -> String {
    format!(
        "{:.0} requests/s asked for, {:.0} answered, over {:.1} s; the generator was {:.2} ms late (p99)",
        plan.rate,
        outcome.throughput(),
        outcome.lasted.as_secs_f64(),
        outcome.late.value_at_quantile(0.99) as f64 / 1000.0
    )
}

#[expect(clippy::print_stdout, reason = "the command talks to people")]
async fn measure(args: &Args, plan: &Plan) -> Result<(Plan, Outcome), InvalidPlan> {
    let stop = CancellationToken::new();
    let interrupted = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupted.cancel();
        }
    });
    let bar = ProgressBar::new((plan.warmup + plan.duration).as_millis() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {msg}") {
        bar.set_style(style);
    }
    let shown = |rate: f64, progress: Progress| {
        bar.set_position(progress.elapsed.as_millis() as u64);
        bar.set_message(format!(
            "{rate:.0}/s asked for, {} answered, {} failed",
            progress.ok, progress.failed
        ));
    };
    let measured = if args.find_max {
        let goal = Goal { p99: args.p99, failures: 0.001 };
        let (max, steps) = find_max(plan, goal, stop, shown).await?;
        bar.finish_and_clear();
        match max {
            0.0 if steps.is_empty() => {}
            0.0 => {
                println!("not even {:.0} requests/s are held: begin with a lower --rate", plan.rate)
            }
            max => println!("highest rate that is held: {max:.0} requests/s"),
        }
        let best = steps.iter().find(|step| step.rate == max).or(steps.last());
        best.map(|step| (Plan { rate: step.rate, ..plan.clone() }, step.outcome.clone()))
    } else {
        let outcome = run(plan.clone(), stop, |progress| shown(plan.rate, progress)).await?;
        Some((plan.clone(), outcome))
    };
    bar.finish_and_clear();
    measured.ok_or_else(|| InvalidPlan("ended before anything was measured".into()))
}

fn table(outcome: &Outcome) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["", "sent", "answered", "failed", "p50", "p90", "p99", "p99.9", "max"]);
    for (name, tally) in &outcome.shapes {
        let latency = [50.0, 90.0, 99.0, 99.9, 100.0]
            .map(|at| format!("{:.2} ms", tally.percentile(at).as_secs_f64() * 1000.0));
        let counts = [tally.sent, tally.ok, tally.failed()].map(|count| count.to_string());
        table.add_row([vec![name.clone()], counts.to_vec(), latency.to_vec()].concat());
    }
    for (how, count) in &outcome.total.failures {
        table.add_row([format!("  {how}"), String::new(), String::new(), count.to_string()]);
    }
    table
}

/// `250ms`, `30s`, `5m`.
fn duration(text: &str) -> Result<Duration, String> {
    let right = || format!("'{text}' is no time: give 250ms, 30s or 5m");
    let (number, unit) = if let Some(number) = text.strip_suffix("ms") {
        (number, 0.001)
    } else if let Some(number) = text.strip_suffix('s') {
        (number, 1.0)
    } else {
        (text.strip_suffix('m').ok_or_else(right)?, 60.0)
    };
    let number: f64 = number.parse().map_err(|_| right())?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| right())
}
