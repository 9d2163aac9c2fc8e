//! What people do, through the whole company.

use std::time::{Duration, Instant};

use backline_e2e::{Company, small_chinook};
use backline_testkit::{TempDir, http, wait_for};

#[test]
fn a_new_customer_gets_account_pack_and_mail_and_the_process_shows_it() {
    let company = Company::up();
    let (customer, trace) = company.create_customer("ada@example.com");
    let created = Instant::now();
    let complete = wait_for("the process to be complete", Duration::from_secs(10), || {
        company.process(&trace).filter(|process| process["state"] == "complete")
    });
    let took = created.elapsed();
    assert!(took < Duration::from_secs(2), "it took {took:?}");
    assert_eq!(complete["process"], "customer-creation");
    assert_eq!(complete["subject"], customer.as_str());
    assert_eq!(complete["unexpected"].as_array().map(Vec::len), Some(0));
    let query = customer.replace('/', "%2F");
    for (path, rel) in
        [("/loyalty/accounts", "accounts"), ("/postal/packs", "packs"), ("/email/mails", "mails")]
    {
        let found = company.get(&format!("{path}?customer={query}"));
        assert_eq!(found["total"], 1, "{rel}");
        let href = found["_embedded"][rel][0]["_links"]["customer"]["href"].as_str();
        assert_eq!(company.get(href.expect("a link"))["firstname"], "Ada", "{rel}");
    }
}

#[test]
fn an_import_can_be_repeated_and_creates_nothing_twice() {
    let company = Company::up();
    let dir = TempDir::new();
    let file = dir.join("chinook.sqlite");
    small_chinook(&file, 12);
    let limit = Duration::from_secs(60);
    let _ = company.import(&file, limit).success();
    let _ = company.import(&file, limit).success();
    company.expect_each_reaction_once(12);
    assert_eq!(company.get("/catalog/artists")["total"], 3);
    assert_eq!(company.get("/catalog/albums")["total"], 3);
    let found = company.get("/catalog/search?q=track+4");
    assert_eq!(found["tracks_total"], 3);
}

#[test]
fn the_starter_catalogue_fills_the_shop() {
    let company = Company::up();
    let gateway = company.estate.gateway();
    let mut import = std::process::Command::new(backline_testkit::bin("musiccorp"));
    import.args(["import", "starter", "--gateway", gateway]);
    let _ = backline_testkit::run(&mut import, Duration::from_secs(60)).success();
    assert!(company.get("/catalog/albums")["total"].as_i64().is_some_and(|total| total >= 60));
    let blood = company.get("/catalog/search?q=give+blood");
    assert_eq!(blood["_embedded"]["albums"][0]["_links"]["artist"]["title"], "Brakes");
}

/// The whole of Chinook: 275 artists, 347 albums, 3,503 tracks, 59 customers.
#[test]
#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
fn chinook_loads_whole() {
    let Ok(file) = chinook() else {
        eprintln!("MUSICCORP_CHINOOK names no file: the full load of Chinook was not tested");
        return;
    };
    let company = Company::up();
    let _ = company.import(file.as_ref(), Duration::from_secs(120)).success();
    company.expect_each_reaction_once(59);
    assert_eq!(company.get("/catalog/artists")["total"], 275);
    assert_eq!(company.get("/catalog/albums")["total"], 347);
    assert_eq!(
        company.get("/catalog/search?q=e")["tracks_total"].as_i64().map(|n| n > 2_000),
        Some(true)
    );
    let store = rusqlite::Connection::open(company.store("catalog")).expect("the store");
    let tracks: i64 =
        store.query_row("SELECT count(*) FROM track", [], |row| row.get(0)).expect("a count");
    assert_eq!(tracks, 3_503);
}

#[expect(clippy::disallowed_methods, reason = "a test's own setting")]
fn chinook() -> Result<String, std::env::VarError> {
    std::env::var("MUSICCORP_CHINOOK")
}

#[test]
fn operational_paths_are_not_reachable_from_outside() {
    let company = Company::up();
    let gateway = company.estate.gateway();
    let operational = ["/events", "/openapi.json", "/docs", "/monitor/api/processes", "/registry/"];
    for path in operational.into_iter().chain(["/customers/%2e%2e/events", "/customers//events"]) {
        let answer = http::get(&format!("{gateway}{path}"));
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
    // The gateway's own health is its own.
    assert_eq!(http::get(&format!("{gateway}/health")).expect(200).json()["service"], "gateway");
    // What a caller claims of the trace is not believed.
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let claimed = [("traceparent", parent.as_str()), ("backline-correlation", trace)];
    let answer = http::request("GET", &format!("{gateway}/customers"), &claimed, None);
    assert_ne!(answer.expect("an answer").header("trace-id"), Some(trace));
}
