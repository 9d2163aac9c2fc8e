//! `backline logs`: what the processes wrote, in one stream in the order of time.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::PathBuf,
    time::Duration,
};

use crate::{
    failure::Failure,
    journal::tail,
    place::{Place, Var},
    supervise::Signals,
    system::nearest,
    terminal::is_heard,
};

const LOOK: Duration = Duration::from_millis(100);

/// What to show.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// A service, a daemon, an instance such as loyalty-2, or `supervisor` [default: all]
    service: Option<String>,
    /// Go on with what they write from now on
    #[arg(short, long)]
    follow: bool,
    /// How many lines of each process
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 50)]
    lines: usize,
}

/// The log of one process.
#[derive(Debug)]
struct Log {
    instance: String,
    path: PathBuf,
    /// How far it is shown.
    shown: u64,
    /// The start of a line whose end was not written yet.
    begun: Vec<u8>,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let var = args.place.var()?;
    let mut logs = find(&var, args.service.as_deref())?;
    let width = logs.iter().map(|log| log.instance.len()).max().unwrap_or(0);
    let one = logs.len() == 1;
    let show = |instance: &str, line: &str| {
        if one { is_heard(line) } else { is_heard(format_args!("{instance:width$} | {line}")) }
    };
    let mut lines: Vec<(String, &str, String)> = Vec::new();
    for log in &mut logs {
        log.shown = log.path.metadata().map_or(0, |file| file.len());
        let mut time = String::new();
        for line in tail(&log.path, args.lines) {
            // A line without a time (a panic, say) belongs to the one before.
            if let Some(told) = time_of(&line) {
                told.clone_into(&mut time);
            }
            lines.push((time.clone(), &log.instance, line));
        }
    }
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    let heard = lines.iter().all(|(_, instance, line)| show(instance, line));
    if !args.follow || !heard {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::os("start the runtime"))?;
    runtime.block_on(async {
        let mut signals = Signals::new().map_err(Failure::os("listen for signals"))?;
        loop {
            for log in &mut logs {
                if !log.news().iter().all(|line| show(&log.instance, line)) {
                    return Ok(());
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = signals.next() => return Ok(()),
            }
        }
    })
}

/// The logs that are meant.
fn find(var: &Var, service: Option<&str>) -> Result<Vec<Log>, Failure> {
    let folder = var.root().join("log");
    let names =
        std::fs::read_dir(&folder).into_iter().flatten().flatten().filter_map(|entry| {
            entry.file_name().to_str()?.strip_suffix(".log").map(str::to_owned)
        });
    let mut names: Vec<_> = names.collect();
    names.sort();
    let is_meant = |instance: &str| match service {
        None => true,
        Some(asked) => {
            instance == asked || instance.rsplit_once('-').is_some_and(|(name, _)| name == asked)
        }
    };
    let logs: Vec<_> = names
        .iter()
        .filter(|name| is_meant(name))
        .map(|name| Log {
            instance: name.clone(),
            path: var.log(name),
            shown: 0,
            begun: Vec::new(),
        })
        .collect();
    if !logs.is_empty() {
        return Ok(logs);
    }
    let asked = service.unwrap_or("log").to_owned();
    let known = match nearest(
        &asked,
        names.iter().map(|name| name.rsplit_once('-').map_or(name.as_str(), |(name, _)| name)),
    ) {
        Some(meant) => format!("did you mean '{meant}'?"),
        None if names.is_empty() => format!("'{}' has no logs yet", folder.display()),
        None => format!("there are logs of {}", names.join(", ")),
    };
    Err(Failure::NoSuchInstance { asked, known })
}

impl Log {
    /// The lines written since.
    fn news(&mut self) -> Vec<String> {
        let Ok(mut file) = File::open(&self.path) else { return Vec::new() };
        // It was put aside and began anew.
        if file.metadata().is_ok_and(|file| file.len() < self.shown) {
            self.shown = 0;
        }
        let read =
            file.seek(SeekFrom::Start(self.shown)).and_then(|_| file.read_to_end(&mut self.begun));
        self.shown += read.unwrap_or(0) as u64;
        let whole = self.begun.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let rest = self.begun.split_off(whole);
        let lines = std::mem::replace(&mut self.begun, rest);
        String::from_utf8_lossy(&lines).lines().map(str::to_owned).collect()
    }
}

/// The time of a line: as JSON logs carry it, or at its front as in the supervisor's own.
fn time_of(line: &str) -> Option<&str> {
    if let Some((_, rest)) = line.split_once("\"timestamp\":\"") {
        return rest.split('"').next();
    }
    let first = line.split(' ').next()?;
    (first.len() >= 20 && first.as_bytes()[10] == b'T' && first.ends_with('Z')).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_line_is_found_where_it_stands() {
        let json = r#"{"timestamp":"2026-11-24T19:00:00.1Z","level":"INFO"}"#;
        assert_eq!(time_of(json), Some("2026-11-24T19:00:00.1Z"));
        assert_eq!(
            time_of("2026-11-24T19:00:00.100Z loyalty-1 ended"),
            Some("2026-11-24T19:00:00.100Z")
        );
        assert_eq!(time_of("thread 'main' panicked"), None);
    }

    #[test]
    fn following_shows_whole_lines_only() {
        use std::io::Write as _;
        let path = std::env::temp_dir().join(format!("backline-logs-{}.log", std::process::id()));
        let mut file = File::create(&path).expect("a log");
        let mut log =
            Log { instance: "a-1".into(), path: path.clone(), shown: 0, begun: Vec::new() };
        file.write_all(b"one\ntw").expect("written");
        assert_eq!(log.news(), ["one"]);
        file.write_all(b"o\n").expect("written");
        assert_eq!(log.news(), ["two"]);
        std::fs::remove_file(path).expect("removed");
    }
}
