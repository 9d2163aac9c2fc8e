//! Opening a store: migrations, and what can stand in the way.

use std::fs;

use crate::support::{Folder, ITEMS};
use backline_store::{Error, Migration, Store, Tx, params};

const SECOND: Migration =
    Migration { name: "items-2", sql: "ALTER TABLE items ADD COLUMN price INTEGER;" };

async fn refused(url: &str, migrations: &[Migration]) -> Error {
    Store::open(url, migrations).await.expect_err("this store cannot be opened")
}

#[tokio::test]
async fn migrations_are_applied_once_and_in_order() {
    let folder = Folder::new();
    drop(folder.store().await);
    for _ in 0..2 {
        let store = Store::open(&folder.url(), &[ITEMS, SECOND]).await.expect("a store");
        store
            .write(async |tx: Tx| {
                tx.execute("INSERT INTO items (price) VALUES (5)", params![]).await
            })
            .await
            .expect("the new column is there");
        let rows = store
            .read(async |tx: Tx| {
                tx.query("SELECT name, applied FROM backline_migrations ORDER BY rowid", params![])
                    .await
            })
            .await
            .expect("a read");
        let names: Vec<String> = rows.iter().map(|row| row.get("name").unwrap()).collect();
        assert_eq!(names, ["items-1", "items-2"]);
        assert!(rows[0].get::<String>("applied").unwrap().ends_with('Z'));
    }
}

#[tokio::test]
async fn a_library_may_add_a_migration_before_the_services_own() {
    let folder = Folder::new();
    let library = Migration { name: "lib-1", sql: "CREATE TABLE lib (x TEXT);" };
    let newer = Migration { name: "lib-2", sql: "ALTER TABLE lib ADD COLUMN y TEXT;" };
    drop(Store::open(&folder.url(), &[library, ITEMS]).await.expect("a store"));
    drop(Store::open(&folder.url(), &[library, newer, ITEMS]).await.expect("a store"));
}

#[tokio::test]
async fn a_changed_migration_is_named() {
    let folder = Folder::new();
    drop(folder.store().await);
    let changed = Migration { sql: "CREATE TABLE items (id TEXT);", ..ITEMS };
    let error = refused(&folder.url(), &[changed]).await;
    assert!(matches!(&error, Error::MigrationChanged { name, .. } if name == "items-1"));
    assert!(error.to_string().contains("test.db: migration 'items-1' was changed"), "{error}");
}

#[tokio::test]
async fn other_line_ends_are_no_change() {
    let folder = Folder::new();
    let unix = Migration { name: "a", sql: "CREATE TABLE a (\n x TEXT\n);" };
    let windows = Migration { name: "a", sql: "CREATE TABLE a (\r\n x TEXT\r\n);" };
    drop(Store::open(&folder.url(), &[unix]).await.expect("a store"));
    drop(Store::open(&folder.url(), &[windows]).await.expect("a store"));
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused() {
    let folder = Folder::new();
    drop(Store::open(&folder.url(), &[ITEMS, SECOND]).await.expect("a store"));
    let error = refused(&folder.url(), &[ITEMS]).await;
    assert!(error.to_string().contains("has migration 'items-2'"), "{error}");
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_behind() {
    let folder = Folder::new();
    let broken =
        Migration { name: "items-2", sql: "CREATE TABLE more (x TEXT); CREATE TABEL oops;" };
    let error = refused(&folder.url(), &[ITEMS, broken]).await;
    let text = error.to_string();
    assert!(text.contains("migration 'items-2'") && text.contains("TABEL"), "{text}");
    let store = Store::open(&folder.url(), &[]).await.expect("nothing was applied");
    let tables = store
        .read(async |tx: Tx| {
            tx.query("SELECT name FROM sqlite_schema WHERE name IN ('items', 'more')", params![])
                .await
        })
        .await
        .expect("a read");
    assert!(tables.is_empty());
}

#[tokio::test]
async fn migrations_with_one_name_or_transactions_of_their_own_are_refused() {
    let folder = Folder::new();
    let error = refused(&folder.url(), &[ITEMS, ITEMS]).await;
    assert!(error.to_string().contains("two have this name"), "{error}");
    for sql in ["CREATE TABLE a (x TEXT); COMMIT;", "BEGIN; SELECT 1;", "PRAGMA foreign_keys = OFF"]
    {
        let error = refused(&folder.url(), &[Migration { name: "a", sql }]).await;
        assert!(error.to_string().contains("is refused"), "{error}");
    }
    let trigger = "CREATE TABLE a (x TEXT);
        CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET x = 'COMMIT'; END;";
    Store::open(&folder.url(), &[Migration { name: "a", sql: trigger }]).await.expect("a trigger");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_open_a_new_store_at_once() {
    let folder = Folder::new();
    let mut opens = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let url = folder.url();
        opens.spawn(async move { Store::open(&url, &[ITEMS, SECOND]).await.map(drop) });
    }
    for opened in opens.join_all().await {
        opened.expect("a store");
    }
}

#[tokio::test]
async fn folders_are_made() {
    let folder = Folder::new();
    let url = format!("{}.d/deep/er.db", folder.url());
    Store::open(&url, &[ITEMS]).await.expect("a store");
}

#[tokio::test]
async fn an_address_that_is_none_is_explained() {
    for (url, hint) in [
        ("sqlite:", "names no file"),
        ("mysql://host/db", "'mysql' is not known"),
        ("postgres://host/db", "not supported yet"),
        ("customers.db", "no scheme"),
        ("sqlite://customers.db", "without '//'"),
        ("sqlite::memory:", "durable"),
    ] {
        let error = refused(url, &[]).await.to_string();
        assert!(error.contains(hint) && error.contains("sqlite:var/customers.db"), "{error}");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_explained() {
    let folder = Folder::new();
    fs::write(folder.file(), "a file").expect("a file");
    let error = refused(&format!("{}/x.db", folder.url()), &[]).await.to_string();
    assert!(error.contains("x.db: cannot be opened: its folder cannot be made"), "{error}");
    let error = refused("sqlite:/proc/x.db", &[]).await.to_string();
    assert!(error.contains("/proc/x.db: cannot be opened"), "{error}");
    assert!(error.contains("this user may write to"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let folder = Folder::new();
    let text = "Dear diary, ".repeat(100);
    fs::write(folder.file(), &text).expect("a file");
    let error = refused(&folder.url(), &[ITEMS]).await;
    assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    assert_eq!(fs::read_to_string(folder.file()).expect("the file"), text);
}

#[tokio::test]
async fn a_damaged_file_is_named() {
    let folder = Folder::new();
    let store = folder.store().await;
    store
        .write(async |tx: Tx| {
            for id in 0..500 {
                let name = format!("{id:0>200}");
                tx.execute("INSERT INTO items (id, name) VALUES ($1, $2)", params![id, name])
                    .await?;
            }
            Ok::<_, Error>(())
        })
        .await
        .expect("a write");
    drop(store);
    closed(&folder).await;
    let mut bytes = fs::read(folder.file()).expect("the file");
    bytes[8192..].fill(0x5a);
    fs::write(folder.file(), bytes).expect("the file");
    let error = match Store::open(&folder.url(), &[ITEMS]).await {
        Ok(store) => {
            let read =
                async |tx: Tx| tx.query("SELECT * FROM items ORDER BY name", params![]).await;
            store.read(read).await.expect_err("damaged")
        }
        Err(error) => error,
    };
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("restore a backup"), "{error}");
}

/// The last connection takes the log with it when it closes.
async fn closed(folder: &Folder) {
    let log = folder.file().with_extension("db-wal");
    for _ in 0..500 {
        if !log.exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the store was not closed within 5 s");
}

#[tokio::test]
async fn a_store_that_is_dropped_closes_its_file_and_keeps_what_it_acknowledged() {
    let folder = Folder::new();
    let store = folder.store().await;
    store
        .write(async |tx: Tx| tx.execute("INSERT INTO items (id) VALUES (1)", params![]).await)
        .await
        .expect("a write");
    store.read(async |tx: Tx| tx.query("SELECT 1", params![]).await).await.expect("a read");
    drop(store);
    closed(&folder).await;
    let store = folder.store().await;
    let row = store
        .read(async |tx: Tx| tx.query_one("SELECT count(*) AS n FROM items", params![]).await)
        .await
        .expect("a read");
    assert_eq!(row.get::<i64>("n").unwrap(), 1);
}
