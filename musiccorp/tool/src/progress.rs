//! What is shown while it runs: a bar in a terminal, lines elsewhere. On standard error, so that
//! standard output holds the result alone.

use std::{
    io::{IsTerminal, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{arguments, report::printable};

/// How often there is a line, where lines are shown.
const LINE_EVERY: Duration = Duration::from_secs(2);
const BAR: &str = "{prefix:<10} [{bar:32}] {human_pos}/{human_len}  {per_sec}  {eta} left";

/// Shows how far it is.
#[derive(Debug)]
pub enum Progress {
    Bar,
    Lines,
    Nothing,
}

/// How far one stage is.
#[derive(Debug)]
pub struct Stage<'a> {
    progress: &'a Progress,
    name: &'static str,
    total: usize,
    done: AtomicUsize,
    begun: Instant,
    shown: Mutex<Instant>,
    bar: ProgressBar,
}

impl Progress {
    pub fn new(how: arguments::Progress) -> Self {
        match how {
            arguments::Progress::Auto if std::io::stderr().is_terminal() => Self::Bar,
            arguments::Progress::Auto | arguments::Progress::Plain => Self::Lines,
            arguments::Progress::None => Self::Nothing,
        }
    }

    /// Says something that is worth a line.
    pub fn tell(&self, line: &str) {
        if !matches!(self, Self::Nothing) {
            // Nobody may be there to read it; that is no reason to stop.
            let _ = writeln!(std::io::stderr(), "{}", printable(line));
        }
    }

    pub fn stage(&self, name: &'static str, total: usize) -> Stage<'_> {
        let bar = if matches!(self, Self::Bar) {
            let style = ProgressStyle::with_template(BAR);
            ProgressBar::new(total as u64)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
                .with_prefix(name)
        } else {
            ProgressBar::hidden()
        };
        let now = Instant::now();
        let (done, shown) = (AtomicUsize::new(0), Mutex::new(now));
        Stage { progress: self, name, total, done, begun: now, shown, bar }
    }
}

impl Stage<'_> {
    /// One more row is done with.
    pub fn step(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.bar.inc(1);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.elapsed() >= LINE_EVERY {
            *shown = Instant::now();
            self.line();
        }
    }

    /// Shows where the stage ended.
    pub fn finish(&self) {
        self.bar.abandon();
        self.line();
    }

    fn line(&self) {
        if matches!(self.progress, Progress::Lines) {
            let done = self.done.load(Ordering::Relaxed);
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate = done as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
            self.progress.tell(&format!("{}: {done} of {} ({rate:.0}/s)", self.name, self.total));
        }
    }

    /// Says something above the bar.
    pub fn tell(&self, line: &str) {
        self.bar.suspend(|| self.progress.tell(line));
    }
}
