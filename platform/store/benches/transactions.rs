//! Durable transactions per second: this store against its peer, a persistent rusqlite connection per
//! task (`BEGIN IMMEDIATE`, a busy timeout, a thread each: the most that SQLite gives without group
//! commit). Both: WAL, `synchronous = FULL`, the same tables, one business row and one outbox row
//! in each transaction.
//!
//! `cargo bench -p backline-store [-- --json FILE]`. Both are measured in the same run, turn about, in
//! processes of their own (this program again), since the machine's speed drifts; what is shown is
//! the median of three rounds. It takes about a minute.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use backline_store::{Error, Migration, Store, Tx, params};
use rusqlite::{Connection, TransactionBehavior};

const ROUNDS: usize = 3;
const MEASURED: Duration = Duration::from_millis(800);
const PROCESSES: [usize; 3] = [1, 2, 4];
const TASKS: [usize; 3] = [1, 16, 64];

const TABLES: Migration = Migration {
    name: "bench",
    sql: "CREATE TABLE orders (
              id       INTEGER PRIMARY KEY,
              customer TEXT NOT NULL,
              amount   BIGINT NOT NULL,
              created  TEXT NOT NULL
          );
          CREATE TABLE outbox (
              position INTEGER PRIMARY KEY AUTOINCREMENT,
              type     TEXT NOT NULL,
              subject  TEXT NOT NULL,
              data     TEXT NOT NULL
          );",
};
const ORDER: &str = "INSERT INTO orders (customer, amount, created) VALUES ($1, $2, $3)";
const OUTBOX: &str = "INSERT INTO outbox (type, subject, data) VALUES ($1, $2, $3)";
const TIME: &str = "2026-11-24T12:00:00Z";

type Failed = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["listener", file] => listen(Path::new(file)),
        ["child", who, file, tasks] => child(who, Path::new(file), tasks.parse()?),
        // `cargo test --all-targets` starts it too, and nobody waits a minute there.
        _ if !words.contains(&"--bench") => say("a benchmark: run it with cargo bench"),
        _ => {
            let json = words.iter().position(|word| *word == "--json");
            let json = json.map(|at| words.get(at + 1).ok_or("--json needs a file")).transpose()?;
            compare(json.map(Path::new))
        }
    }
}

fn say(line: &str) -> Result<(), Failed> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}

/// One measurement over all processes of a point.
struct Sample {
    per_second: f64,
    p50_us: u32,
    p99_us: u32,
    /// The fewest and the most transactions that one of the processes got done.
    least: usize,
    most: usize,
}

fn compare(json: Option<&Path>) -> Result<(), Failed> {
    let folder = std::env::temp_dir().join(format!("backline-store-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let points: Vec<(usize, usize)> = PROCESSES
        .iter()
        .flat_map(|processes| TASKS.iter().map(move |tasks| (*processes, *tasks)))
        .collect();
    let mut samples: Vec<[Vec<Sample>; 2]> = points.iter().map(|_| [vec![], vec![]]).collect();
    for round in 0..ROUNDS {
        for (at, (processes, tasks)) in points.iter().enumerate() {
            // Who is first changes from round to round.
            for turn in 0..2 {
                let who = (turn + round) % 2;
                let name = ["store", "peer"][who];
                samples[at][who].push(measure(name, &folder, *processes, *tasks)?);
            }
        }
    }
    let heard_us = hear(&folder)?;
    std::fs::remove_dir_all(&folder)?;
    report(&points, samples, &heard_us, json)
}

fn report(
    points: &[(usize, usize)],
    samples: Vec<[Vec<Sample>; 2]>,
    heard_us: &[u32],
    json: Option<&Path>,
) -> Result<(), Failed> {
    say("durable transactions/s (p50/p99 in us; fewest-most of a process)")?;
    say(
        "processes tasks | store                                  | connection per task                    | ratio",
    )?;
    let mut rows = String::new();
    for ((processes, tasks), both) in points.iter().zip(samples) {
        let [store, peer] = both.map(median);
        let ratio = store.per_second / peer.per_second;
        let cell = |s: &Sample| {
            let Sample { per_second, p50_us, p99_us, least, most } = s;
            format!("{per_second:>7.0} ({p50_us:>5}/{p99_us:>7}; {least:>5}-{most:>5})")
        };
        say(&format!(
            "{processes:>9} {tasks:>5} | {:<38} | {:<38} | {ratio:>5.1}",
            cell(&store),
            cell(&peer)
        ))?;
        let object = |s: &Sample| {
            format!(
                r#"{{"per_second":{:.0},"p50_us":{},"p99_us":{},"least":{},"most":{}}}"#,
                s.per_second, s.p50_us, s.p99_us, s.least, s.most
            )
        };
        let comma = if rows.is_empty() { "" } else { ",\n" };
        write!(
            rows,
            r#"{comma}{{"processes":{processes},"tasks":{tasks},"store":{},"peer":{},"ratio":{ratio:.2}}}"#,
            object(&store),
            object(&peer)
        )?;
    }
    let (p50_us, p99_us) = (percentile(heard_us, 50)?, percentile(heard_us, 99)?);
    say(&format!("a commit is heard by a sibling after {p50_us} us (p50), {p99_us} us (p99)"))?;
    if let Some(file) = json {
        let ms = MEASURED.as_millis();
        let heard = format!(r#"{{"p50_us":{p50_us},"p99_us":{p99_us}}}"#);
        let head = format!(r#""rounds":{ROUNDS},"measured_ms":{ms},"heard":{heard}"#);
        let text = format!("{{{head},\"points\":[\n{rows}\n]}}\n");
        std::fs::write(file, text)?;
    }
    Ok(())
}

fn percentile(sorted_us: &[u32], percent: usize) -> Result<u32, Failed> {
    Ok(*sorted_us.get(sorted_us.len() * percent / 100).ok_or("nothing was done")?)
}

fn median(mut samples: Vec<Sample>) -> Sample {
    samples.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    samples.swap_remove(samples.len() / 2)
}

/// A process that works on the file.
struct Worker {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Worker {
    fn spawn(command: &mut Command) -> Result<Self, Failed> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Self { child, output })
    }

    fn line(&mut self) -> Result<String, Failed> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line)
    }
}

fn measure(who: &str, folder: &Path, processes: usize, tasks: usize) -> Result<Sample, Failed> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let file: PathBuf = folder.join(format!("{}.db", COUNT.fetch_add(1, Ordering::Relaxed)));
    let mut workers = Vec::new();
    for _ in 0..processes {
        let mut worker = Worker::spawn(
            Command::new(std::env::current_exe()?)
                .args(["child", who])
                .arg(&file)
                .arg(tasks.to_string()),
        )?;
        if worker.line()?.trim() != "ready" {
            return Err(format!("a process of {who} did not start").into());
        }
        workers.push(worker);
    }
    for worker in &mut workers {
        writeln!(worker.child.stdin.as_ref().ok_or("no input")?, "go")?;
    }
    let mut all_us: Vec<u32> = Vec::new();
    let mut counts = Vec::new();
    for worker in &mut workers {
        let line = worker.line()?;
        let before = all_us.len();
        for latency in line.split_whitespace() {
            all_us.push(latency.parse()?);
        }
        counts.push(all_us.len() - before);
        worker.child.wait()?;
    }
    all_us.sort_unstable();
    Ok(Sample {
        per_second: f64::from(u32::try_from(all_us.len())?) / MEASURED.as_secs_f64(),
        p50_us: percentile(&all_us, 50)?,
        p99_us: percentile(&all_us, 99)?,
        least: counts.iter().copied().min().unwrap_or_default(),
        most: counts.iter().copied().max().unwrap_or_default(),
    })
}

fn now_us() -> Result<u128, Failed> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_micros())
}

/// How long after a commit in this process another one hears of it.
fn hear(folder: &Path) -> Result<Vec<u32>, Failed> {
    let file = folder.join("heard.db");
    let mut listener =
        Worker::spawn(Command::new(std::env::current_exe()?).arg("listener").arg(&file))?;
    listener.line()?;
    let mut delays_us = Vec::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async move {
        let store = Store::open(&format!("sqlite:{}", file.display()), &[TABLES]).await?;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            store
                .write(async |tx: Tx| tx.execute(ORDER, params!["/customers/1", 1, TIME]).await)
                .await?;
            let committed_us = now_us()?;
            let heard_us: u128 = listener.line()?.trim().parse()?;
            delays_us.push(u32::try_from(heard_us.saturating_sub(committed_us))?);
        }
        listener.child.kill()?;
        listener.child.wait()?;
        delays_us.sort_unstable();
        Ok(delays_us)
    })
}

fn listen(file: &Path) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async move {
        let store = Store::open(&format!("sqlite:{}", file.display()), &[TABLES]).await?;
        let mut commits = store.commits();
        say("ready")?;
        loop {
            commits.changed().await?;
            say(&now_us()?.to_string())?;
        }
    })
}

fn payload(number: usize) -> (String, String) {
    let customer = format!("/customers/{number:06}");
    let data = format!(
        r#"{{"customer":"{customer}","amount":{number},"currency":"EUR","lines":[{{"sku":"ABC-1","quantity":2}}],"note":"please leave it at the door"}}"#
    );
    (customer, data)
}

fn child(who: &str, file: &Path, tasks: usize) -> Result<(), Failed> {
    let latencies_us = if who == "store" { store(file, tasks)? } else { peer(file, tasks)? };
    let mut line = String::with_capacity(latencies_us.len() * 5);
    for latency in latencies_us {
        write!(line, "{latency} ")?;
    }
    say(&line)
}

/// Tells that everything is open, and waits for the others.
fn ready() -> Result<Instant, Failed> {
    say("ready")?;
    std::io::stdin().read_line(&mut String::new())?;
    Ok(Instant::now() + MEASURED)
}

fn micros(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX)
}

fn store(file: &Path, tasks: usize) -> Result<Vec<u32>, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async move {
        let store = Store::open(&format!("sqlite:{}", file.display()), &[TABLES]).await?;
        let end = ready()?;
        let mut working = tokio::task::JoinSet::new();
        for task in 0..tasks {
            let store = store.clone();
            working.spawn(async move {
                let mut latencies_us = Vec::new();
                while Instant::now() < end {
                    let started = Instant::now();
                    let (customer, data) = payload(task);
                    store
                        .write(async move |tx: Tx| {
                            tx.execute(ORDER, params![&customer, 4950, TIME]).await?;
                            tx.execute(OUTBOX, params!["order.placed", &customer, &data]).await
                        })
                        .await?;
                    latencies_us.push(micros(started));
                }
                Ok::<_, Error>(latencies_us)
            });
        }
        let mut all_us = Vec::new();
        while let Some(done) = working.join_next().await {
            all_us.extend(done??);
        }
        Ok(all_us)
    })
}

fn peer(file: &Path, tasks: usize) -> Result<Vec<u32>, Failed> {
    let opened = || -> rusqlite::Result<Connection> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(Duration::from_secs(30))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
        )?;
        Ok(connection)
    };
    let mut first = opened()?;
    let transaction = first.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tables = TABLES.sql.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS");
    transaction.execute_batch(&tables)?;
    transaction.commit()?;
    let connections = (0..tasks).map(|_| opened()).collect::<Result<Vec<_>, _>>()?;
    let end = ready()?;
    let records: Vec<Arc<Mutex<Record>>> = connections
        .into_iter()
        .enumerate()
        .map(|(task, connection)| {
            let record = Arc::new(Mutex::new(Record::default()));
            let kept = record.clone();
            std::thread::spawn(move || work(connection, task, end, &kept));
            record
        })
        .collect();
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
    let mut all_us = Vec::new();
    for record in records {
        let record = record.lock().map_err(|_| "a thread panicked")?;
        all_us.extend(&record.latencies_us);
        // One that waits in SQLite may do so for seconds more: it counts with its time so far.
        all_us.extend(record.at_work.map(micros));
    }
    Ok(all_us)
}

/// What a thread of the peer has done.
#[derive(Default)]
struct Record {
    latencies_us: Vec<u32>,
    at_work: Option<Instant>,
}

fn work(
    mut connection: Connection,
    task: usize,
    end: Instant,
    record: &Mutex<Record>,
) -> Result<(), Failed> {
    while Instant::now() < end {
        let started = Instant::now();
        record.lock().map_err(|_| "panicked")?.at_work = Some(started);
        let (customer, data) = payload(task);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.prepare_cached(ORDER)?.execute((&customer, 4950, TIME))?;
        transaction.prepare_cached(OUTBOX)?.execute(("order.placed", &customer, &data))?;
        transaction.commit()?;
        let mut record = record.lock().map_err(|_| "panicked")?;
        record.latencies_us.push(micros(started));
        record.at_work = None;
    }
    Ok(())
}
