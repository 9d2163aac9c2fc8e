//! Several processes on one file. This test program starts itself again to be the others.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant, SystemTime},
};

use backline_store::{Error, Store, Tx, params};

use crate::support::{Folder, Gate, ITEMS};

const PATIENCE: Duration = Duration::from_secs(30);

/// Another process with the same store.
struct Sibling {
    child: Child,
    lines: Receiver<String>,
}

impl Sibling {
    fn start(role: &str, folder: &Folder) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["siblings::acts_as_a_sibling_when_started_as_one", "--exact", "--nocapture"])
            .env("STORE_TEST_ROLE", role)
            .env("STORE_TEST_URL", folder.url())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // The test harness writes too, at times into the same line.
                if let Some((_, said)) = line.split_once('@') {
                    let _ = sender.send(said.to_owned());
                }
            }
        });
        let sibling = Self { child, lines };
        assert_eq!(sibling.hear(), "ready");
        sibling
    }

    fn hear(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line of the sibling")
    }

    fn say(&mut self, word: &str) {
        let input = self.child.stdin.as_mut().expect("its input");
        writeln!(input, "{word}").expect("it listens");
    }

    fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tell(line: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "@{line}").and_then(|()| output.flush()).expect("the parent reads");
}

/// The next line of the parent; false when it has gone.
fn told() -> bool {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).is_ok_and(|length| length > 0)
}

fn now_us() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock").as_micros()
}

/// One transaction over two tables.
async fn item_with_note(store: &Store, id: i64) -> Result<(), Error> {
    store
        .write(async move |tx: Tx| {
            tx.execute("INSERT INTO notes (item) VALUES ($1)", params![id]).await?;
            tx.execute("INSERT INTO items (id) VALUES ($1)", params![id]).await.map(drop)
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acts_as_a_sibling_when_started_as_one() {
    let Some(role) = std::env::var_os("STORE_TEST_ROLE") else { return };
    let url = std::env::var_os("STORE_TEST_URL").expect("an address");
    let url = url.to_str().expect("an address");
    let store = Store::open(url, &[ITEMS]).await.expect("a store");
    tell("ready");
    match role.to_str() {
        Some("writes without end") => write_without_end(&store).await,
        Some("writes when told") => {
            let mut id = i64::from(std::process::id()) * 1000;
            while told() {
                id += 1;
                item_with_note(&store, id).await.expect("a write");
                tell(&now_us().to_string());
            }
        }
        Some("holds the lock") => store
            .write(async |_: Tx| {
                tell("holding");
                told();
                Ok::<_, Error>(())
            })
            .await
            .expect("a write"),
        Some("competes") => compete(&store).await,
        other => panic!("no such role: {other:?}"),
    }
}

async fn write_without_end(store: &Store) {
    let first = i64::from(std::process::id()) * 1_000_000;
    let next = Arc::new(AtomicI64::new(first));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, next) = (store.clone(), next.clone());
        tasks.spawn(async move {
            loop {
                let id = next.fetch_add(1, Ordering::Relaxed);
                item_with_note(&store, id).await.expect("a write");
                tell(&id.to_string());
            }
        });
    }
    tasks.join_all().await;
}

/// Tells how many transactions it got done until told to stop, and the longest one in ms.
async fn compete(store: &Store) {
    told();
    let stop = Arc::new(AtomicBool::new(false));
    let next = Arc::new(AtomicI64::new(i64::from(std::process::id()) * 1_000_000));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (store, stop, next) = (store.clone(), stop.clone(), next.clone());
        tasks.spawn(async move {
            let (mut count, mut longest) = (0_u32, Duration::ZERO);
            while !stop.load(Ordering::Relaxed) {
                let started = Instant::now();
                let id = next.fetch_add(1, Ordering::Relaxed);
                item_with_note(&store, id).await.expect("a write");
                count += 1;
                longest = longest.max(started.elapsed());
            }
            (count, longest)
        });
    }
    tokio::task::spawn_blocking(told).await.expect("told");
    stop.store(true, Ordering::Relaxed);
    let done = tasks.join_all().await;
    let count: u32 = done.iter().map(|(count, _)| count).sum();
    let longest = done.iter().map(|(_, longest)| *longest).max().expect("16 tasks");
    tell(&format!("{count} {}", longest.as_millis()));
}

#[tokio::test]
async fn a_process_that_is_killed_loses_nothing_that_it_acknowledged() {
    let folder = Folder::new();
    let store = folder.store().await;
    for _ in 0..5 {
        let mut sibling = Sibling::start("writes without end", &folder);
        let mut acknowledged: Vec<i64> = Vec::new();
        while acknowledged.len() < 300 {
            acknowledged.push(sibling.hear().parse().expect("an id"));
        }
        sibling.kill();
        while let Ok(line) = sibling.lines.recv_timeout(PATIENCE) {
            // The last line may be cut short.
            acknowledged.extend(line.parse::<i64>().ok().filter(|id| *id >= acknowledged[0]));
        }
        let (ids, notes) = store
            .read(async |tx: Tx| {
                let ids = tx.query("SELECT id FROM items", params![]).await?;
                let notes = tx
                    .query_one(
                        "SELECT count(*) AS n FROM notes JOIN items ON items.id = notes.item",
                        params![],
                    )
                    .await?;
                let ids: Result<Vec<i64>, Error> = ids.iter().map(|row| row.get("id")).collect();
                Ok::<_, Error>((ids?, notes.get::<usize>("n")?))
            })
            .await
            .expect("a read");
        let lost: Vec<_> = acknowledged.iter().filter(|id| !ids.contains(id)).collect();
        assert!(lost.is_empty(), "acknowledged and not there: {lost:?}");
        assert_eq!(notes, ids.len(), "half a transaction is there");
        // The next one is not kept from its work by what the dead one has left.
        let id = -i64::try_from(ids.len()).expect("few");
        item_with_note(&store, id).await.expect("a write");
    }
}

#[tokio::test]
async fn a_commit_of_a_sibling_is_heard_at_once() {
    let folder = Folder::new();
    let store = folder.store().await;
    let mut sibling = Sibling::start("writes when told", &folder);
    let mut delays_us = Vec::new();
    for _ in 0..21 {
        // Long enough for the looks after the last commit to be over.
        let mut commits = store.commits();
        let quiet = tokio::time::timeout(Duration::from_millis(30), commits.changed()).await;
        assert!(quiet.is_err() || delays_us.is_empty(), "a commit that nobody made");
        sibling.say("write");
        tokio::time::timeout(PATIENCE, commits.changed()).await.expect("heard").expect("open");
        let heard_us = now_us();
        let committed_us: u128 = sibling.hear().parse().expect("a time");
        delays_us.push(heard_us.saturating_sub(committed_us));
    }
    delays_us.sort_unstable();
    assert!(delays_us[10] < 50_000, "half of the commits took longer than 50 ms: {delays_us:?}");
}

#[tokio::test]
async fn a_sibling_that_holds_the_lock_too_long_makes_writes_fail_and_reads_go_on() {
    let folder = Folder::new();
    let store = folder.store().await;
    let mut sibling = Sibling::start("holds the lock", &folder);
    assert_eq!(sibling.hear(), "holding");
    let started = Instant::now();
    let blocked = {
        let store = store.clone();
        tokio::spawn(async move { item_with_note(&store, 1).await })
    };
    let count = async |tx: Tx| tx.query("SELECT * FROM items", params![]).await;
    assert!(store.read(count).await.expect("a read").is_empty());
    let error = blocked.await.expect("no panic").expect_err("the lock is held");
    assert!(error.is_transient() && matches!(error, Error::Busy { .. }), "{error}");
    assert!(started.elapsed() < PATIENCE);
    sibling.say("release");
    item_with_note(&store, 2).await.expect("a write");
}

#[tokio::test]
async fn nothing_in_this_process_lets_go_of_the_lock() {
    let folder = Folder::new();
    let store = folder.store().await;
    let mut sibling = Sibling::start("writes when told", &folder);
    let other = folder.store().await;
    let gate = Gate::hold(&store).await;
    // All that opens and closes the file, while the lock is held.
    let look = async |tx: Tx| tx.query("SELECT 1", params![]).await;
    store.read(look).await.expect("a read");
    other.read(look).await.expect("a read");
    drop(other);
    sibling.say("write");
    let early = sibling.lines.recv_timeout(Duration::from_millis(300));
    assert_eq!(early, Err(RecvTimeoutError::Timeout), "the sibling got the lock as well");
    gate.release().await;
    sibling.hear();
}

#[tokio::test]
async fn four_processes_that_compete_all_get_their_turn() {
    let folder = Folder::new();
    drop(folder.store().await);
    let mut siblings: Vec<_> = (0..4).map(|_| Sibling::start("competes", &folder)).collect();
    siblings.iter_mut().for_each(|sibling| sibling.say("start"));
    let store = folder.store().await;
    let mut commits = store.commits();
    // One that only listens hears of them all the while.
    let heard = commits.wait_for(|count| *count > 150);
    tokio::time::timeout(PATIENCE, heard).await.expect("commits").expect("open");
    siblings.iter_mut().for_each(|sibling| sibling.say("stop"));
    let results: Vec<(u32, u32)> = siblings
        .iter()
        .map(|sibling| {
            let line = sibling.hear();
            let (count, longest_ms) = line.split_once(' ').expect("two numbers");
            (count.parse().expect("a count"), longest_ms.parse().expect("milliseconds"))
        })
        .collect();
    let least = results.iter().map(|(count, _)| *count).min().expect("four");
    let most = results.iter().map(|(count, _)| *count).max().expect("four");
    assert!(least * 5 > most, "transactions and the longest in ms: {results:?}");
    assert!(results.iter().all(|(_, longest_ms)| *longest_ms < 2_000), "{results:?}");
}

#[tokio::test]
async fn processes_that_start_at_once_share_a_new_file() {
    let folder = Folder::new();
    let url = folder.url();
    let opened: Vec<_> = std::thread::scope(|scope| {
        let start = || Sibling::start("writes when told", &folder);
        let starts: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
        starts.into_iter().map(|start| start.join().expect("a sibling")).collect()
    });
    for mut sibling in opened {
        sibling.say("write");
        sibling.hear();
    }
    let store = Store::open(&url, &[ITEMS]).await.expect("a store");
    let rows = store.read(async |tx: Tx| tx.query("SELECT * FROM items", params![]).await).await;
    assert_eq!(rows.expect("a read").len(), 4);
}
