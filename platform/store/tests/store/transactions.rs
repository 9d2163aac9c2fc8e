//! What a transaction promises: all or nothing, alone, and its own fault only.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use crate::support::{Folder, Gate, ids, insert};
use backline_store::{Error, Store, Tx, params};
use tokio::task::{JoinHandle, JoinSet};

/// Writes ten items in one batch; `fault` is done by the fifth of them after its insert.
async fn ten_with_a_fault<F>(store: &Store, fault: F) -> Vec<Result<(), Error>>
where
    F: AsyncFn(&Tx) -> Result<(), Error> + Clone + Send + 'static,
{
    let gate = Gate::hold(store).await;
    let writes: Vec<JoinHandle<Result<(), Error>>> = (0..10)
        .map(|id| {
            let (store, fault) = (store.clone(), fault.clone());
            let write = async move |tx: Tx| {
                insert(&tx, id).await?;
                if id == 4 { fault(&tx).await } else { Ok(()) }
            };
            tokio::spawn(async move { store.write(write).await })
        })
        .collect();
    gate.release().await;
    let mut results = Vec::new();
    for write in writes {
        results.push(write.await.expect("no panic outside the closure"));
    }
    results
}

/// All but the fifth are there, and it alone has an error.
async fn only_the_fifth_failed(store: &Store, mut results: Vec<Result<(), Error>>) -> Error {
    assert_eq!(ids(store).await, [0, 1, 2, 3, 5, 6, 7, 8, 9]);
    let fifth = results.remove(4).expect_err("the fifth failed");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    fifth
}

#[tokio::test]
async fn waiting_writes_share_one_commit() {
    let folder = Folder::new();
    let store = folder.store().await;
    let commits = store.commits();
    let before = *commits.borrow();
    let results = ten_with_a_fault(&store, async |_| Ok(())).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(ids(&store).await.len(), 10);
    assert_eq!(*commits.borrow() - before, 1);
}

#[tokio::test]
async fn a_unique_violation_takes_back_its_own_transaction_only() {
    let folder = Folder::new();
    let store = folder.store().await;
    let results = ten_with_a_fault(&store, async |tx| {
        tx.execute("INSERT INTO items (name) VALUES ($1)", params!["item 3"]).await.map(drop)
    })
    .await;
    let error = only_the_fifth_failed(&store, results).await;
    assert!(error.is_unique() && !error.is_transient());
    assert!(error.to_string().contains("items.name"), "{error}");
}

#[tokio::test]
async fn an_error_of_the_closure_takes_back_its_own_transaction_only() {
    let folder = Folder::new();
    let store = folder.store().await;
    let results =
        ten_with_a_fault(&store, async |_| Err(Error::Application("not today".into()))).await;
    assert_eq!(only_the_fifth_failed(&store, results).await.to_string(), "not today");
}

#[tokio::test]
async fn a_panic_takes_back_its_own_transaction_only() {
    let folder = Folder::new();
    let store = folder.store().await;
    let results = ten_with_a_fault(&store, async |_| panic!("at the disco")).await;
    let error = only_the_fifth_failed(&store, results).await;
    assert!(matches!(&error, Error::Panicked(text) if text == "at the disco"), "{error}");
}

#[tokio::test]
async fn a_foreign_await_takes_back_its_own_transaction_only() {
    let folder = Folder::new();
    let store = folder.store().await;
    let results = ten_with_a_fault(&store, async |_| {
        std::future::pending::<()>().await;
        Ok(())
    })
    .await;
    let error = only_the_fifth_failed(&store, results).await;
    assert!(matches!(error, Error::ForeignAwait), "{error}");
}

#[tokio::test]
async fn a_deferred_rule_that_breaks_the_commit_fails_its_own_transaction_only() {
    let folder = Folder::new();
    let store = folder.store().await;
    let results = ten_with_a_fault(&store, async |tx| {
        tx.execute("INSERT INTO notes (item) VALUES (99)", params![]).await.map(drop)
    })
    .await;
    let error = only_the_fifth_failed(&store, results).await;
    assert!(matches!(error, Error::Constraint { .. }), "{error}");
}

#[tokio::test]
async fn sql_that_takes_back_the_whole_batch_fails_its_own_transaction_only() {
    let folder = Folder::new();
    let store = folder.store().await;
    let evil = "INSERT OR ROLLBACK INTO items (name) VALUES ('item 3')";
    let results = ten_with_a_fault(&store, async move |tx| {
        // The error is passed over, but cannot be hidden.
        let _ = tx.execute(evil, params![]).await;
        Ok(())
    })
    .await;
    let error = only_the_fifth_failed(&store, results).await;
    assert!(matches!(error, Error::Poisoned { .. }), "{error}");
}

#[tokio::test]
async fn after_an_error_nothing_more_is_done_and_nothing_is_kept() {
    let folder = Folder::new();
    let store = folder.store().await;
    let error = store
        .write(async |tx: Tx| {
            insert(&tx, 1).await?;
            let _ = insert(&tx, 1).await;
            let after = insert(&tx, 2).await.expect_err("the transaction has failed");
            assert!(matches!(after, Error::Poisoned { .. }), "{after}");
            Ok::<_, Error>(())
        })
        .await
        .expect_err("an error was passed over");
    assert!(error.to_string().contains("the first error was: items.id"), "{error}");
    assert!(ids(&store).await.is_empty());
}

#[tokio::test]
async fn statements_about_transactions_are_refused() {
    let folder = Folder::new();
    let store = folder.store().await;
    for sql in [
        "BEGIN",
        "commit",
        "END",
        " /* sly */ ROLLBACK",
        "-- sly\nSavepoint x",
        "RELEASE closure",
        "PRAGMA synchronous = OFF",
        "ATTACH 'other.db' AS other",
        "VACUUM",
        "SELECT 1; COMMIT",
        "SELECT ?",
        "SELECT :name",
        "SELECT $name",
    ] {
        let error =
            store.write(async move |tx: Tx| tx.execute(sql, params![]).await).await.expect_err(sql);
        assert!(matches!(error, Error::Refused { .. }), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_handle_that_escapes_is_of_no_use() {
    let folder = Folder::new();
    let store = folder.store().await;
    let escaped = store.write(async |tx: Tx| Ok::<_, Error>(tx)).await.expect("a write");
    assert!(matches!(insert(&escaped, 1).await, Err(Error::Ended)));
    let kept = Arc::new(Mutex::new(None::<Tx>));
    let inner = kept.clone();
    store
        .write(async move |tx: Tx| {
            *inner.lock().unwrap() = Some(tx);
            Ok::<_, Error>(())
        })
        .await
        .expect("a write");
    let old = kept.lock().unwrap().take().expect("a handle");
    let error = store
        .write(async move |_: Tx| insert(&old, 2).await)
        .await
        .expect_err("another's transaction");
    assert!(matches!(error, Error::Ended), "{error}");
    assert!(ids(&store).await.is_empty());
}

#[tokio::test]
async fn a_transaction_inside_a_transaction_is_an_error_and_not_done() {
    let folder = Folder::new();
    let store = folder.store().await;
    let inner = store.clone();
    let error = store
        .write(async move |_: Tx| inner.write(async |tx: Tx| insert(&tx, 1).await).await)
        .await
        .expect_err("nested");
    assert!(matches!(error, Error::Nested), "{error}");
    let inner = store.clone();
    let error = store
        .read(async move |_: Tx| inner.write(async |tx: Tx| insert(&tx, 2).await).await)
        .await
        .expect_err("nested");
    assert!(matches!(error, Error::Nested), "{error}");
    assert!(ids(&store).await.is_empty());
}

#[tokio::test]
async fn a_write_whose_caller_has_gone_is_not_begun() {
    let folder = Folder::new();
    let store = folder.store().await;
    let gate = Gate::hold(&store).await;
    let gone = {
        let store = store.clone();
        tokio::spawn(async move { store.write(async |tx: Tx| insert(&tx, 1).await).await })
    };
    tokio::task::yield_now().await;
    gone.abort();
    gate.release().await;
    store.write(async |tx: Tx| insert(&tx, 2).await).await.expect("a write");
    assert_eq!(ids(&store).await, [2]);
}

#[tokio::test]
async fn a_read_cannot_change_anything() {
    let folder = Folder::new();
    let store = folder.store().await;
    let error = store.read(async |tx: Tx| insert(&tx, 1).await).await.expect_err("a read");
    assert!(error.to_string().contains("use Store::write"), "{error}");
}

#[tokio::test]
async fn a_read_sees_one_state_from_its_first_look_to_its_end() {
    let folder = Folder::new();
    let store = folder.store().await;
    let writer = store.clone();
    let runtime = tokio::runtime::Handle::current();
    let counts = store
        .read(async move |tx: Tx| {
            let count = "SELECT count(*) AS n FROM items";
            let before: i64 = tx.query_one(count, params![]).await?.get("n")?;
            let (done, written) = std::sync::mpsc::channel();
            let writer = writer.clone();
            runtime.spawn(async move {
                let wrote = writer.write(async |tx: Tx| insert(&tx, 1).await).await;
                done.send(wrote).expect("the read waits");
            });
            written.recv().expect("an answer").expect("a write");
            let after: i64 = tx.query_one(count, params![]).await?.get("n")?;
            Ok::<_, Error>((before, after))
        })
        .await
        .expect("a read");
    assert_eq!(counts, (0, 0));
    assert_eq!(ids(&store).await, [1]);
}

#[tokio::test]
async fn a_read_that_takes_too_long_is_ended() {
    let folder = Folder::new();
    let store = folder.store().await;
    let started = Instant::now();
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                   SELECT max(i) AS i FROM n";
    let error = store
        .read(async move |tx: Tx| tx.query(endless, params![]).await)
        .await
        .expect_err("endless");
    assert!(error.is_transient() && matches!(error, Error::TooSlow { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(15));
    assert!(ids(&store).await.is_empty(), "the readers go on");
}

#[tokio::test]
async fn many_reads_at_once_are_all_answered() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.write(async |tx: Tx| insert(&tx, 1).await).await.expect("a write");
    let ran = Arc::new(AtomicU32::new(0));
    let mut reads = JoinSet::new();
    for _ in 0..200 {
        let (store, ran) = (store.clone(), ran.clone());
        reads.spawn(async move {
            store
                .read(async move |tx: Tx| {
                    ran.fetch_add(1, Ordering::Relaxed);
                    tx.query_one("SELECT name FROM items", params![]).await?.get::<String>("name")
                })
                .await
        });
    }
    for read in reads.join_all().await {
        assert_eq!(read.expect("a read"), "item 1");
    }
    assert_eq!(ran.load(Ordering::Relaxed), 200);
}

#[tokio::test]
async fn an_error_of_the_callers_own_type_is_handed_through() {
    #[derive(Debug, PartialEq)]
    enum Fault {
        SoldOut,
        Store(String),
    }
    impl From<Error> for Fault {
        fn from(error: Error) -> Self {
            Self::Store(error.to_string())
        }
    }
    let folder = Folder::new();
    let store = folder.store().await;
    let fault = store
        .write(async |tx: Tx| {
            insert(&tx, 1).await?;
            Err::<(), _>(Fault::SoldOut)
        })
        .await;
    assert_eq!(fault, Err(Fault::SoldOut));
    let fault = store.write(async |_: Tx| -> Result<(), Fault> { panic!("oh") }).await;
    assert_eq!(fault, Err(Fault::Store("the transaction's closure panicked: oh".into())));
    assert!(ids(&store).await.is_empty());
}
