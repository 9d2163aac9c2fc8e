//! Imports by the real binary into a shop that speaks the public API.

mod support;

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Instant,
};

use backline_testkit::{TempDir, wait_for};
use serde_json::{Value, json};
use support::{
    Chinook, LIMIT, RESOURCES, counts, rejected, run,
    shop::{Fault, Shop},
    tool,
};

const BUSY: Fault =
    Fault::EveryThird { status: "503 Busy", headers: "Retry-After: 0\r\n", code: "" };

#[test]
fn everything_arrives_in_the_shop_once() {
    let (shop, chinook) = (Shop::open(), Chinook::small());
    let finished = run(chinook.import(&shop.url()), 0);
    assert!(finished.stdout.contains("already there"), "{finished}");

    let mut names: Vec<_> = shop.artists().iter().map(|artist| artist["name"].clone()).collect();
    names.sort_by_key(Value::to_string);
    assert_eq!(names, ["Brakes", "Nobody Yet", "Sigur Rós", "The Clash"]);
    let mut album = find(&shop.albums(), "title", "Takk...");
    let artist = find(&shop.artists(), "name", "Sigur Rós");
    assert_eq!(album["artist"], artist["_links"]["self"]["href"]);
    let price = json!({ "amount_minor": 99, "currency": "USD" });
    let tracks = json!([
        { "title": "Takk...", "length_ms": 117_000, "price": price },
        { "title": "Glósóli", "length_ms": 376_000, "price": price },
    ]);
    assert_eq!(album["tracks"].take(), tracks);
    assert!(album.get("price").is_none(), "Chinook has no price of an album");
    let tracks = find(&shop.albums(), "title", "Give Blood")["tracks"].take();
    assert_eq!(tracks[0]["price"]["amount_minor"], 199);
    assert!(tracks[1].get("length_ms").is_none());
    let mut customer = find(&shop.customers(), "email", "luis@example.com");
    let _ = customer["_links"].take();
    let expected = json!({ "firstname": "Luís", "lastname": "Gonçalves",
        "email": "luis@example.com", "_links": null });
    assert_eq!(customer, expected);

    let report = chinook.last_report();
    assert_eq!(counts(&report, "Artist"), [4, 4, 0, 0, 0]);
    assert_eq!(counts(&report, "Album"), [3, 3, 0, 0, 0]);
    assert_eq!(counts(&report, "Track"), [6, 6, 0, 0, 0]);
    assert_eq!(counts(&report, "Customer"), [5, 5, 0, 0, 0]);
    assert_eq!(report["finished"], true);
}

#[test]
fn a_second_run_creates_nothing() {
    let (shop, chinook) = (Shop::open(), Chinook::small());
    run(chinook.import(&shop.url()), 0);
    run(chinook.import(&shop.url()), 0);
    assert_eq!(shop.count(), RESOURCES);
    let report = chinook.last_report();
    assert_eq!(counts(&report, "Track"), [6, 0, 6, 0, 0]);
    assert_eq!(counts(&report, "Customer"), [5, 0, 5, 0, 0]);
}

#[test]
fn a_killed_import_is_finished_by_the_next() {
    for write in [1, 5, RESOURCES] {
        let (shop, chinook) = (Shop::open(), Chinook::small());
        // The shop did what was asked, but the tool will never know.
        shop.set(Fault::SilentFrom(write));
        let mut import = start(chinook.import(&shop.url()));
        wait_for("the import to be in its middle", LIMIT, || {
            (shop.writes() >= write).then_some(())
        });
        import.kill().expect("it is our child");
        import.wait().expect("it is our child");

        shop.set(Fault::None);
        run(chinook.import(&shop.url()), 0);
        assert_eq!(shop.count(), RESOURCES, "killed at write {write}");
        let [read, created, already_there, ..] = counts(&chinook.last_report(), "Artist");
        assert!(already_there >= 1 && created + already_there == read);
    }
}

#[test]
fn an_interrupted_import_says_how_to_go_on() {
    let (shop, chinook) = (Shop::open(), Chinook::small());
    let (status, headers) = ("503 Busy", "Retry-After: 3600\r\n");
    shop.set(Fault::EveryThird { status, headers, code: "" });
    let dir = TempDir::new();
    let stderr = std::fs::File::create(dir.join("stderr")).expect("a file of our own");
    let mut command = chinook.import(&shop.url());
    let mut import = command.stdout(Stdio::null()).stderr(stderr).spawn().expect("it starts");
    wait_for("a worker to be waiting", LIMIT, || (shop.writes() >= 3).then_some(()));
    let mut kill = Command::new("kill");
    backline_testkit::run(kill.args(["-INT", &import.id().to_string()]), LIMIT).success();
    let status = import.wait().expect("it is our child");
    let text = std::fs::read_to_string(dir.join("stderr")).expect("its standard error");
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("the same command goes on where this one stopped"), "{text}");
    assert_eq!(chinook.last_report()["finished"], false);

    shop.set(Fault::None);
    run(chinook.import(&shop.url()), 0);
    assert_eq!(shop.count(), RESOURCES);
}

#[test]
fn what_passes_is_waited_for() {
    let third = |status, code| Fault::EveryThird { status, headers: "", code };
    let faults = [
        BUSY,
        third("429 Too Many Requests", ""),
        third("502 Bad Gateway", ""),
        third("404 Not Found", "no-such-service"),
        Fault::EveryThirdAnswerCut,
    ];
    for fault in faults {
        let (shop, chinook) = (Shop::open().with(fault), Chinook::small());
        run(chinook.import(&shop.url()), 0);
        assert_eq!(shop.count(), RESOURCES);
        assert!(shop.writes() > RESOURCES);
    }
}

#[test]
fn rows_that_cannot_be_read_are_rejected_with_their_reason() {
    let (shop, chinook) = (Shop::open(), Chinook::small());
    chinook.execute(
        "INSERT INTO Artist VALUES (4, NULL);
         INSERT INTO Album VALUES (4, 'By nobody', 4), (5, 'Dangling', 77), (6, ' ', 1);
         INSERT INTO Track (TrackId, Name, AlbumId, Milliseconds, UnitPrice) VALUES
             (40, NULL, 1, 1, 0.99), (41, 'Free money', 1, 1, -0.99), (42, 'Odd', 1, 1, 0.995),
             (43, 'Timeless', 1, 'long', 0.99), (44, 'Lost', 78, 1, 0.99), (45, 'Loose', NULL, 1, 1),
             (46, 'Of nobody', 4, 1, 0.99), (47, x'00ff', 1, 1, 0.99);
         INSERT INTO Customer VALUES (6, 'No', 'Address', NULL);",
    );
    let finished = run(chinook.import(&shop.url()), 2);
    let report = chinook.last_report();
    let expected = [
        "Artist 4: Name is NULL: it must be text",
        "Album 4: ArtistId is 4: that Artist was rejected itself",
        "Album 5: ArtistId is 77: there is no such Artist",
        "Album 6: Title is empty",
        "Track 40: Name is NULL: it must be text",
        "Track 41: UnitPrice is -0.99: it must not be negative",
        "Track 42: UnitPrice is 0.995: it must be an amount in whole cents",
        "Track 43: Milliseconds is 'long': it must be a whole number",
        "Track 44: AlbumId is 78: there is no such Album",
        "Track 45: AlbumId is NULL: it must be a whole number",
        "Track 46: AlbumId is 4: that Album was rejected itself",
        "Track 47: Name is a blob of 2 bytes: it must be text",
        "Customer 6: Email is NULL: it must be text",
    ];
    assert_eq!(rejected(&report), expected);
    assert!(expected.iter().all(|line| finished.stdout.contains(line)), "{finished}");
    assert_eq!(shop.count(), RESOURCES, "everything else is there");
    assert_eq!(counts(&report, "Track"), [14, 6, 0, 8, 0]);
}

#[test]
fn rows_that_the_shop_refuses_are_rejected_with_its_reason() {
    let (shop, chinook) = (Shop::open(), Chinook::small());
    chinook.execute(
        "INSERT INTO Album VALUES (7, 'Refused', 1), (8, 'Broken', 1);
         INSERT INTO Track (TrackId, Name, AlbumId, Milliseconds, UnitPrice)
             VALUES (70, 'With it', 7, 1, 0.99);",
    );
    run(chinook.import(&shop.url()), 2);
    chinook.execute("INSERT INTO Customer VALUES (7, 'Second', 'Luís', 'luis@example.com')");
    // A row that was imported and then changed is not imported a second time.
    chinook.execute("UPDATE Customer SET FirstName = 'Ludwig' WHERE CustomerId = 2");
    run(chinook.import(&shop.url()), 2);
    let expected = [
        "Album 7: This cannot be taken (422): Says the shop.",
        "Album 8: Something broke (500): Says the shop.",
        "Track 70: its album (Album 7) was rejected",
        "Customer 2: it was imported before with other content; the shop keeps what it has",
        "Customer 7: Another customer has this address (409): Says the shop.",
    ];
    let report = chinook.last_report();
    assert_eq!(rejected(&report), expected);
    assert_eq!(report["rejected"][4]["status"], 409);
    assert_eq!(counts(&report, "Customer"), [6, 0, 4, 2, 0]);
}

#[test]
fn a_shop_that_is_away_is_given_up_after_the_patience() {
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let chinook = Chinook::small();
    let mut import = chinook.import(&format!("http://127.0.0.1:{port}"));
    import.args(["--patience", "1s"]);
    let begun = Instant::now();
    let finished = run(import, 1);
    assert!(begun.elapsed() < LIMIT / 2);
    let text = &finished.stderr;
    assert!(
        text.contains("nothing could be done for 1 s") && text.contains("refused"),
        "{finished}"
    );
    assert!(text.contains("Is the shop up?"), "{finished}");
    assert_eq!(counts(&chinook.last_report(), "Customer"), [5, 0, 0, 0, 5]);
}

#[test]
fn a_shop_without_the_links_is_not_guessed_at() {
    let chinook = Chinook::small();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        }
    });
    let finished = run(chinook.import(&url), 1);
    assert!(finished.stderr.contains("it has no link 'artists'"), "{finished}");
}

#[test]
fn a_file_that_is_not_chinook_is_told_from_one_that_is() {
    let dir = TempDir::new();
    let import = |name: &str| {
        let mut command = tool(&["import", "chinook"]);
        command.arg(dir.join(name));
        run(command, 1).stderr
    };
    let missing = import("missing.sqlite");
    assert!(
        missing.contains("there is no file") && missing.contains("missing.sqlite"),
        "{missing}"
    );
    std::fs::write(dir.join("notes.txt"), "Not a database at all. ".repeat(100)).expect("a file");
    let text = import("notes.txt");
    assert!(text.contains("not an SQLite database") && text.contains("Artist(ArtistId"), "{text}");
    let database = rusqlite::Connection::open(dir.join("other.sqlite")).expect("a file");
    database
        .execute_batch(
            "CREATE TABLE Artist (ArtistId, Name); CREATE TABLE Album (AlbumId, ArtistId);
             CREATE TABLE Customer (CustomerId, FirstName, LastName, Email);",
        )
        .expect("valid SQL");
    let text = import("other.sqlite");
    assert!(text.contains("no column Album.Title, no table Track"), "{text}");
    assert!(text.contains("Track(TrackId, Name, AlbumId, Milliseconds, UnitPrice)"), "{text}");
}

#[test]
fn the_starter_catalogue_arrives_with_prices_and_descriptions() {
    let shop = Shop::open();
    let starter = || {
        let mut command = tool(&["import", "starter", "--gateway"]);
        command.arg(shop.url());
        run(command, 0)
    };
    starter();
    let albums = shop.albums();
    assert!(albums.len() >= 60);
    let album = find(&albums, "title", "Give Blood");
    assert_eq!(album["artist"], find(&shop.artists(), "name", "Brakes")["_links"]["self"]["href"]);
    assert_eq!(album["year"], 2005);
    assert!(album["price"]["amount_minor"].is_u64() && album["description"].is_string());
    assert_eq!(album["tracks"].as_array().map(Vec::len), Some(16));
    let count = shop.count();
    starter();
    assert_eq!(shop.count(), count);
}

#[test]
fn wrong_arguments_are_told_and_are_not_exit_code_2() {
    let stderr = |arguments: &[&str]| run(tool(arguments), 1).stderr;
    assert!(
        stderr(&["import", "chinook", "f", "--gateway", "shop"]).contains("http://127.0.0.1:8080")
    );
    assert!(stderr(&["import", "starter", "--patience", "soon"]).contains("such as 90s"));
    assert!(stderr(&["import", "chinook"]).contains("FILE"));
    assert!(stderr(&["import"]).contains("starter"));
    let help = run(tool(&["import", "chinook", "--help"]), 0).stdout;
    assert!(help.contains("Exit code") && help.contains("--patience"), "{help}");
}

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

#[track_caller]
fn find(all: &[Value], field: &str, value: &str) -> Value {
    all.iter().find(|resource| resource[field] == value).expect("it was created").clone()
}
