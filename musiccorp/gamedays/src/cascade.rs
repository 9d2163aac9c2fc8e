//! The cascade of the classified-ads site: one old service, which serves less than 5 % of the
//! customers, becomes dead slow, and takes the whole site down, or does not.
//!
//! The story (*Building Microservices*, "Architectural Safety Measures"): 6,000 to 7,000 requests
//! per second at the peak, 40 connections on an ordinary day, 800 within five minutes when one of
//! the oldest services became slow. One pool was shared by all calls, and its limit on the wait for
//! a worker was off by default.

mod measure;
mod report;
mod site;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;

pub use measure::{Findings, Pair, Sample, Timeline};

pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The old service keeps everybody waiting this long.
const DEAD_SLOW: Duration = Duration::from_secs(20);
/// Of all requests, this share wants the old ads.
const OLD_SHARE: f64 = 0.05;

/// What happens when one dependency becomes dead slow, without the safety measures and with them.
#[derive(Clone, Debug, Parser)]
#[command(name = "cascade")]
pub struct Args {
    /// Where the report goes
    #[arg(long, value_name = "FOLDER", default_value = "var/gamedays/cascade")]
    out: PathBuf,
    /// Requests per second [default: 60 % of the highest rate that this machine holds]
    #[arg(long)]
    rate: Option<f64>,
    /// Pairs of measurements, one with the old service well and one with it slow
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Seconds of each measurement of a pair
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Seconds for which the old service is slow in the two timelines
    #[arg(long, default_value_t = 30)]
    slow: u64,
    /// Seconds before and after it
    #[arg(long, default_value_t = 8)]
    around: u64,
    /// Workers of the one pool that the site without the measures has
    #[arg(long, default_value_t = 800)]
    workers: usize,
}

/// Runs the game day. The exit code is 0 when the measures held and the site without them did not,
/// 1 otherwise, and when it could not be run.
#[expect(clippy::print_stderr, clippy::print_stdout, reason = "the scenario talks to people")]
pub fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime.map_err(Failed::from).and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                findings = measure::measure(&args) => findings,
                _ = tokio::signal::ctrl_c() => Err("ended by Ctrl-C".into()),
            }
        })
    });
    let written = ended.and_then(|findings| {
        let files = report::write(&args.out, &findings)?;
        Ok((findings, files))
    });
    match written {
        Ok((findings, files)) => {
            println!("{}", report::summary(&findings));
            for file in files {
                println!("written: {}", file.display());
            }
            if findings.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("cascade: {error}");
            ExitCode::FAILURE
        }
    }
}
