//! Statements, their parameters, and the rows that come back.

use backline_store::{Error, Tx, Value, params};

use crate::support::{Folder, ids, insert};

#[tokio::test]
async fn what_was_written_is_read() {
    let folder = Folder::new();
    let store = folder.store().await;
    let name = String::from("O'Brien");
    let id = store
        .write(async move |tx: Tx| {
            let row = tx
                .query_one(
                    "INSERT INTO items (name, note) VALUES ($1, $2) RETURNING id",
                    params![&name, None::<&str>],
                )
                .await?;
            row.get::<i64>("id")
        })
        .await
        .expect("a write");
    let row = store
        .read(async move |tx: Tx| {
            tx.query_opt("SELECT * FROM items WHERE id = $1", params![id]).await
        })
        .await
        .expect("a read")
        .expect("a row");
    assert_eq!(row.get::<String>("name").expect("a name"), "O'Brien");
    assert_eq!(row.get::<Option<String>>("note").expect("no note"), None);
    let error = row.get::<String>("note").expect_err("NULL is no string");
    assert!(error.to_string().contains("holds NULL"), "{error}");
    let error = row.get::<i64>("nmae").expect_err("a slip");
    assert!(error.to_string().contains("id, name, note"), "{error}");
}

#[tokio::test]
async fn every_kind_of_value_comes_back_as_it_went_in() {
    let folder = Folder::new();
    let store = folder.store().await;
    let text: Option<String> = Some("x".into());
    let row = store
        .write(async move |tx: Tx| {
            tx.query_one(
                "SELECT $1 AS a, $2 AS b, $3 AS c, $4 AS d, $5 AS e, $6 AS f",
                params![i64::MIN, 1.5, true, &text, vec![0_u8, 255], &None::<i64>],
            )
            .await
        })
        .await
        .expect("a row");
    assert_eq!(row.get::<i64>("a").unwrap(), i64::MIN);
    assert!((row.get::<f64>("b").unwrap() - 1.5).abs() < f64::EPSILON);
    assert!(row.get::<bool>("c").unwrap());
    assert_eq!(row.get::<Option<String>>("d").unwrap().as_deref(), Some("x"));
    assert_eq!(row.get::<Vec<u8>>("e").unwrap(), [0, 255]);
    assert_eq!(row.get::<Option<i64>>("f").unwrap(), None);
    assert!(row.get::<i32>("a").is_err(), "out of range");
}

#[tokio::test]
async fn parameters_are_numbered_and_not_bound_by_first_appearance() {
    let folder = Folder::new();
    let store = folder.store().await;
    let row = store
        .read(async |tx: Tx| {
            tx.query_one(
                "SELECT $2 AS second, $1 AS first, $2 || '$1' /* $9 */ AS again -- $8",
                params!["one", "two"],
            )
            .await
        })
        .await
        .expect("a row");
    assert_eq!(row.get::<String>("first").unwrap(), "one");
    assert_eq!(row.get::<String>("second").unwrap(), "two");
    assert_eq!(row.get::<String>("again").unwrap(), "two$1");
}

#[tokio::test]
async fn the_wrong_number_of_parameters_is_an_error() {
    let folder = Folder::new();
    let store = folder.store().await;
    for given in [&params![1][..], &params![1, 2, 3][..]] {
        let given: Vec<Value<'static>> = given.to_vec();
        let error = store
            .read(async move |tx: Tx| tx.query("SELECT $1, $2", &given).await)
            .await
            .expect_err("the wrong number");
        assert!(error.to_string().contains("it needs 2 parameters"), "{error}");
    }
}

#[tokio::test]
async fn conflicts_and_counts_are_told() {
    let folder = Folder::new();
    let store = folder.store().await;
    let counts = store
        .write(async |tx: Tx| {
            let sql = "INSERT INTO items (id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            let first = tx.execute(sql, params![1, "a"]).await?;
            let again = tx.execute(sql, params![1, "a"]).await?;
            let table = tx.execute("CREATE TABLE extra (x TEXT)", params![]).await?;
            let returned =
                tx.execute("UPDATE items SET note = $1 RETURNING id", params!["n"]).await?;
            Ok::<_, Error>([first, again, table, returned])
        })
        .await
        .expect("a write");
    assert_eq!(counts, [1, 0, 0, 1]);
}

#[tokio::test]
async fn no_row_is_an_error_that_leaves_the_transaction_whole() {
    let folder = Folder::new();
    let store = folder.store().await;
    store
        .write(async |tx: Tx| {
            let missing = tx.query_one("SELECT 1 AS x FROM items", params![]).await;
            assert!(matches!(missing, Err(Error::NoRow { .. })));
            insert(&tx, 1).await
        })
        .await
        .expect("a write");
    assert_eq!(ids(&store).await, [1]);
}
