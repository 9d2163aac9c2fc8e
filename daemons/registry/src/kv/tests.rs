use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

const FIRST: u64 = 1_000;

/// A folder of its own for each test, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("backline-registry-kv-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    async fn open(&self, first_index: u64) -> Keys {
        let url = format!("sqlite:{}", self.0.join("registry.db").display());
        Keys::open(&url, first_index).await.expect("a store")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn set(key: &str, value: &str) -> Op {
    Op { key: key.into(), verb: Verb::Set { value: value.into(), flags: 0 } }
}

fn cas(key: &str, value: &str, index: u64) -> Op {
    Op { key: key.into(), verb: Verb::Cas { value: value.into(), flags: 0, index } }
}

fn op(key: &str, verb: Verb) -> Op {
    Op { key: key.into(), verb }
}

async fn done(keys: &Keys, op: Op) {
    keys.apply(vec![op]).await.expect("taken");
}

async fn prefix(keys: &Keys, prefix: &str) -> u64 {
    keys.index(&Scope::Prefix(prefix.into())).await.expect("an index")
}

async fn names(keys: &Keys, prefix: &str) -> Vec<String> {
    keys.names(&Scope::Prefix(prefix.into())).await.expect("read").found
}

#[tokio::test]
async fn a_prefix_moves_with_its_own_changes_and_deletions_only() {
    let folder = Folder::new();
    let keys = folder.open(FIRST).await;
    assert_eq!(prefix(&keys, "a/").await, FIRST);
    done(&keys, set("a/1", "x")).await;
    let first = prefix(&keys, "a/").await;
    assert!(first > FIRST);
    done(&keys, set("b/1", "x")).await;
    done(&keys, op("b/1", Verb::Delete)).await;
    done(&keys, set("a/1", "x")).await;
    done(&keys, op("a/none", Verb::Delete)).await;
    assert_eq!(prefix(&keys, "a/").await, first);
    done(&keys, op("a/1", Verb::Delete)).await;
    let gone = prefix(&keys, "a/").await;
    assert!(gone > first && gone > prefix(&keys, "b/").await);
    assert_eq!(keys.index(&Scope::Key("a/1".into())).await.expect("an index"), gone);
    assert!(names(&keys, "").await.is_empty());
}

#[tokio::test]
async fn keys_and_their_indexes_outlive_the_process_and_never_go_back() {
    let folder = Folder::new();
    let keys = folder.open(FIRST).await;
    done(&keys, set("a/1", "x")).await;
    done(&keys, set("a/2", "x")).await;
    done(&keys, op("a/2", Verb::Delete)).await;
    let (before, never) = (prefix(&keys, "a/").await, prefix(&keys, "never").await);
    drop(keys);
    // The clock went back: the counter does not.
    let keys = folder.open(1).await;
    assert_eq!((prefix(&keys, "a/").await, prefix(&keys, "never").await), (before, never));
    assert_eq!(names(&keys, "a/").await, ["a/1"]);
    done(&keys, set("a/2", "x")).await;
    assert_eq!(prefix(&keys, "a/").await, before + 1);
    drop(keys);
    let keys = folder.open(FIRST * 1_000).await;
    assert_eq!(prefix(&keys, "a/").await, before + 1);
    done(&keys, set("a/2", "y")).await;
    assert_eq!(prefix(&keys, "a/").await, FIRST * 1_000 + 1);
}

#[tokio::test]
async fn an_index_survives_that_its_deletion_was_forgotten() {
    let folder = Folder::new();
    let keys = folder.open(FIRST).await;
    done(&keys, set("a", "x")).await;
    done(&keys, op("a", Verb::Delete)).await;
    let gone = prefix(&keys, "a").await;
    done(&keys, set("stays", "x")).await;
    for batch in 0..5 {
        let many = (0..1_000).map(|n| set(&format!("b/{batch}/{n}"), "")).collect();
        keys.apply(many).await.expect("taken");
        done(&keys, op(&format!("b/{batch}/"), Verb::DeleteTree)).await;
    }
    assert!(prefix(&keys, "a").await >= gone);
    assert!(prefix(&keys, "stays").await >= gone);
    assert_eq!(names(&keys, "").await, ["stays"]);
}

#[tokio::test]
async fn all_of_a_change_is_made_or_nothing() {
    let folder = Folder::new();
    let keys = folder.open(FIRST).await;
    done(&keys, set("a", "1")).await;
    let before = prefix(&keys, "").await;
    let ops = vec![
        set("b", "1"),
        op("c", Verb::Get),
        cas("a", "2", 7),
        op("a", Verb::CheckNotExists),
        op("a", Verb::DeleteCas { index: 7 }),
    ];
    let Err(Refused::Mistakes(mistakes)) = keys.apply(ops).await else { panic!("refused") };
    let steps: Vec<_> = mistakes.iter().map(|m| (m.step, m.what.as_str())).collect();
    assert_eq!(
        steps,
        [
            (1, "key \"c\" doesn't exist"),
            (2, "failed to set key \"a\", index is stale"),
            (3, "key \"a\" exists"),
            (4, "failed to delete key \"a\", index is stale"),
        ]
    );
    assert_eq!((prefix(&keys, "").await, names(&keys, "").await), (before, vec!["a".to_owned()]));

    // Each step sees those before it; all have one index.
    let ops = vec![
        op("a", Verb::Delete),
        op("a", Verb::CheckNotExists),
        cas("a", "2", 0),
        op("a", Verb::Get),
        set("b", "1"),
    ];
    let made = keys.apply(ops).await.expect("taken");
    let made: Vec<_> = made.into_iter().flatten().map(|e| (e.key, e.modified)).collect();
    let at = before + 1;
    assert_eq!(made, [("a".to_owned(), at), ("a".to_owned(), at), ("b".to_owned(), at)]);
}

#[tokio::test]
async fn of_a_hundred_who_compare_and_set_one_wins() {
    let folder = Folder::new();
    let keys = folder.open(FIRST).await;
    let mut racers = tokio::task::JoinSet::new();
    for n in 0..100 {
        let keys = keys.clone();
        racers.spawn(async move { keys.apply(vec![cas("a", &n.to_string(), 0)]).await.is_ok() });
    }
    let won = racers.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn what_all_keys_take_is_bounded_and_given_back() {
    let folder = Folder::new();
    let keys = folder.open(FIRST).await;
    let big = "x".repeat(MAX_VALUE);
    let mut taken = 0;
    while keys.apply(vec![set(&format!("big/{taken}"), &big)]).await.is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 63);
    done(&keys, set("big/0", "")).await;
    done(&keys, set("big/63", &big)).await;
    done(&keys, op("big/", Verb::DeleteTree)).await;
    let row: Result<i64, Error> = keys
        .0
        .read(async |tx: Tx| {
            tx.query_one("SELECT bytes FROM kv_index", params![]).await?.get("bytes")
        })
        .await;
    assert_eq!(row.expect("read"), 0);
}
