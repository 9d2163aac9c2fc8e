//! What cannot be brought about from outside: a full disk, idle readers, a slow closure.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tracing::{Event, Metadata, Subscriber, field, span};

use super::{
    job::{Call, Job},
    open,
    readers::Readers,
    siblings,
    slot::Slot,
    writer::{self, Message},
};
use crate::{Error, Migration, Tx, params};

const TABLE: Migration = Migration { name: "t", sql: "CREATE TABLE t (x BLOB);" };

struct File(PathBuf);

impl File {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("backline-store-unit-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn path(&self) -> Arc<str> {
        self.0.join("test.db").display().to_string().into()
    }

    fn open(&self) -> Arc<Slot> {
        let path = self.path();
        open::for_writing(Path::new(&*path), path.clone(), &[TABLE]).expect("a store").0
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_full_disk_fails_those_who_find_no_room_and_nobody_else() {
    let file = File::new();
    let slot = file.open();
    slot.with_connection(|connection| {
        connection.pragma_update(None, "max_page_count", 50).expect("a setting");
    });
    let (sender, queue) = mpsc::channel();
    let mut answers = Vec::new();
    for index in 0..6 {
        // The fourth wants more than there is.
        let length = if index == 3 { 1_000_000 } else { 10 };
        let (call, answer) = Call::new(async move |tx: Tx| {
            tx.execute("INSERT INTO t VALUES (zeroblob($1))", params![length]).await
        });
        sender.send(Message::Job(Box::new(call))).expect("it waits");
        answers.push(answer);
    }
    drop(sender);
    writer::run(slot.clone(), &queue, &watch::Sender::new(0));
    for (index, answer) in answers.into_iter().enumerate() {
        match answer.await.expect("an answer") {
            Ok(count) => assert!(index != 3 && count == 1),
            Err(error) => {
                assert_eq!(index, 3, "{error}");
                assert!(matches!(error, Error::Full { .. }) && error.is_transient(), "{error}");
            }
        }
    }
    assert_eq!(slot.ask("SELECT count(*) FROM t").expect("a count"), 5);
}

#[tokio::test]
async fn readers_go_when_they_are_idle_and_come_back() {
    let file = File::new();
    let writer = file.open();
    let readers = Readers::new(file.path(), Duration::from_millis(5));
    for _ in 0..2 {
        let (call, answer) = Call::new(async |tx: Tx| tx.query("SELECT * FROM t", params![]).await);
        readers.submit(Box::new(call)).expect("a thread");
        assert!(answer.await.expect("an answer").expect("a read").is_empty());
        let started = Instant::now();
        while readers.threads() > 0 {
            assert!(started.elapsed() < Duration::from_secs(10), "the reader stays");
            tokio::task::yield_now().await;
        }
    }
    drop(writer);
}

/// Keeps what is logged.
struct Log(Arc<Mutex<Vec<String>>>);

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Line(String);
        impl field::Visit for Line {
            fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
                self.0.push_str(&format!("{field}={value:?} "));
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_slow_closure_is_logged_with_its_time_and_a_quick_one_is_not() {
    let file = File::new();
    let slot = file.open();
    let lines = Arc::new(Mutex::new(Vec::new()));
    tracing::subscriber::with_default(Log(lines.clone()), || {
        for least in [Duration::ZERO, Duration::from_millis(60)] {
            let (mut call, _answer) = Call::new(async move |_: Tx| {
                let started = Instant::now();
                while started.elapsed() < least {
                    std::hint::spin_loop();
                }
                Ok::<_, Error>(())
            });
            call.run(&slot);
        }
    });
    let lines = lines.lock().unwrap();
    let slow: Vec<_> = lines.iter().filter(|line| line.contains("took_ms=")).collect();
    assert_eq!(slow.len(), 1, "{lines:?}");
    assert!(slow[0].contains("a_slow_closure_is_logged"), "it says which: {slow:?}");
}

#[tokio::test]
async fn without_inotify_the_writer_looks_all_the_time() {
    let (sender, queue) = mpsc::channel();
    let listening = tokio::spawn(siblings::listen(PathBuf::from("/no/such/log-wal"), sender));
    let heard = tokio::task::spawn_blocking(move || {
        (0..3).all(|_| matches!(queue.recv_timeout(Duration::from_secs(10)), Ok(Message::Look)))
    });
    assert!(heard.await.expect("no panic"));
    listening.abort();
}
