use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::registration::Registration;

const FIRST: u64 = 1_000;

fn catalog() -> Catalog {
    let node =
        Node { name: "registry-1".into(), datacenter: "local".into(), address: "127.0.0.1".into() };
    Catalog::new(node, FIRST)
}

fn parsed(body: &Value) -> Registration {
    Registration::parse(body.to_string().as_bytes()).expect("a valid registration")
}

fn register(catalog: &Catalog, body: Value) -> bool {
    catalog.register(parsed(&body), false).expect("room")
}

fn with_ttl(id: &str, ttl: &str) -> Value {
    json!({ "Name": "loyalty", "ID": id, "Port": 1, "Check": { "TTL": ttl, "Status": "passing" } })
}

fn with_http(id: &str, port: u16) -> Value {
    json!({
        "Name": "loyalty", "ID": id, "Address": "127.0.0.1", "Port": port,
        "Check": {
            "HTTP": format!("http://127.0.0.1:{port}/health"), "Interval": "1s", "Status": "passing",
            "DeregisterCriticalServiceAfter": "60s"
        }
    })
}

fn indexes(catalog: &Catalog, name: &str) -> [u64; 2] {
    [
        catalog.health(name, &Filter::default()).index,
        catalog.instances_of(name, &Filter::default()).index,
    ]
}

fn health(catalog: &Catalog, name: &str) -> Value {
    let answer = catalog.health(name, &Filter::default());
    serde_json::from_slice(&answer.body).expect("JSON")
}

fn status(catalog: &Catalog) -> String {
    health(catalog, "loyalty")[0]["Checks"][0]["Status"].as_str().unwrap_or("gone").to_owned()
}

fn due(catalog: &Catalog) -> Vec<Job> {
    let mut jobs = Vec::new();
    catalog.take_due(Instant::now(), |job| jobs.push(job));
    jobs
}

fn found(status: Status, output: &str) -> Outcome {
    Outcome { status, output: output.into(), timed_out: false }
}

#[tokio::test]
async fn an_index_is_never_zero() {
    let node = catalog().node().clone();
    let empty = Catalog::new(node, 0);
    for answer in
        [empty.names(), empty.nodes(), empty.checks_in(None), empty.health("x", &Filter::default())]
    {
        assert!(answer.index >= 1);
    }
}

#[tokio::test]
async fn registering_the_same_again_changes_no_index() {
    let catalog = catalog();
    assert!(register(&catalog, with_http("loyalty-1", 4001)));
    let before =
        (indexes(&catalog, "loyalty"), catalog.names().index, catalog.checks_in(None).index);
    assert!(!register(&catalog, with_http("loyalty-1", 4001)));
    let after =
        (indexes(&catalog, "loyalty"), catalog.names().index, catalog.checks_in(None).index);
    assert_eq!(before, after);
}

#[tokio::test]
async fn another_address_takes_the_place_at_once() {
    let catalog = catalog();
    register(&catalog, with_http("loyalty-1", 4001));
    let names = catalog.names().index;
    let [health_before, instances_before] = indexes(&catalog, "loyalty");
    register(&catalog, with_http("loyalty-1", 4002));
    let [health_after, instances_after] = indexes(&catalog, "loyalty");
    assert!(health_after > health_before && instances_after > instances_before);
    assert_eq!(catalog.names().index, names, "name and tags are the same");
    let entries = health(&catalog, "loyalty");
    assert_eq!(entries.as_array().map(Vec::len), Some(1));
    assert_eq!(entries[0]["Service"]["Port"], 4002);
    let jobs = due(&catalog);
    assert_eq!(jobs.len(), 1, "the check of the old address is gone");
    assert_eq!(jobs[0].probe.url, "http://127.0.0.1:4002/health");
}

#[tokio::test]
async fn an_id_that_moves_to_another_service_leaves_the_old_one() {
    let catalog = catalog();
    register(&catalog, json!({ "Name": "old", "ID": "x" }));
    let [before, _] = indexes(&catalog, "old");
    register(&catalog, json!({ "Name": "new", "ID": "x" }));
    assert!(indexes(&catalog, "old")[0] > before);
    assert_eq!(health(&catalog, "old"), json!([]));
    assert_eq!(health(&catalog, "new")[0]["Service"]["ID"], "x");
}

#[tokio::test]
async fn a_change_of_one_service_moves_no_index_of_another() {
    let catalog = catalog();
    register(&catalog, with_http("loyalty-1", 4001));
    let (loyalty, nobody) = (indexes(&catalog, "loyalty"), indexes(&catalog, "nobody"));
    register(&catalog, json!({ "Name": "email", "ID": "email-1" }));
    catalog.deregister("email-1");
    assert_eq!((indexes(&catalog, "loyalty"), indexes(&catalog, "nobody")), (loyalty, nobody));
}

#[tokio::test]
async fn a_service_that_left_has_a_later_index_than_it_had() {
    let catalog = catalog();
    register(&catalog, with_http("loyalty-1", 4001));
    let [before, _] = indexes(&catalog, "loyalty");
    assert!(catalog.deregister("loyalty-1"));
    assert!(!catalog.deregister("loyalty-1"));
    let [left, _] = indexes(&catalog, "loyalty");
    assert!(left > before);
    assert_eq!(health(&catalog, "loyalty"), json!([]));
    // Even when so many have left that it is no longer remembered.
    for n in 0..5_000 {
        register(&catalog, json!({ "Name": format!("short-lived-{n}") }));
        catalog.deregister(&format!("short-lived-{n}"));
    }
    assert!(indexes(&catalog, "loyalty")[0] >= left);
}

#[tokio::test]
async fn names_change_with_the_set_of_services_and_tags_only() {
    let catalog = catalog();
    let tagged = |id: &str, tag: &str| json!({ "Name": "loyalty", "ID": id, "Tags": [tag, tag] });
    register(&catalog, tagged("loyalty-1", "public"));
    let before = catalog.names().index;
    register(&catalog, tagged("loyalty-2", "public"));
    catalog.deregister("loyalty-1");
    assert_eq!(catalog.names().index, before);
    register(&catalog, tagged("loyalty-2", "internal"));
    let retagged = catalog.names();
    assert!(retagged.index > before);
    assert_eq!(retagged.body, r#"{"loyalty":["internal"]}"#.as_bytes());
    catalog.deregister("loyalty-2");
    assert!(catalog.names().index > retagged.index);
    assert_eq!(catalog.names().body, "{}".as_bytes());
}

#[tokio::test(start_paused = true)]
async fn a_ttl_that_is_not_renewed_expires() {
    let catalog = catalog();
    register(&catalog, with_ttl("loyalty-1", "10s"));
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(9)).await;
        catalog.heartbeat("service:loyalty-1", Status::Passing, "all well".into()).expect("known");
        due(&catalog);
        assert_eq!(status(&catalog), "passing");
    }
    let [before, _] = indexes(&catalog, "loyalty");
    tokio::time::advance(Duration::from_secs(11)).await;
    due(&catalog);
    assert_eq!(status(&catalog), "critical");
    assert!(indexes(&catalog, "loyalty")[0] > before);
    let output = health(&catalog, "loyalty")[0]["Checks"][0]["Output"].clone();
    assert_eq!(output, "TTL expired (last output before timeout follows): all well");
}

#[tokio::test]
async fn reports_for_checks_that_are_not_there_or_have_no_ttl_are_refused() {
    let catalog = catalog();
    register(&catalog, with_http("loyalty-1", 4001));
    let report = |id| catalog.heartbeat(id, Status::Passing, String::new());
    assert_eq!(report("nobody"), Err(HeartbeatError::Unknown("nobody".into())));
    assert_eq!(report("service:loyalty-1"), Err(HeartbeatError::NoTtl("service:loyalty-1".into())));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_stays_critical_is_taken_out() {
    let catalog = catalog();
    register(&catalog, with_http("loyalty-1", 4001));
    let job = due(&catalog).remove(0);
    catalog.report(&job, found(Status::Critical, "refused"));
    tokio::time::advance(Duration::from_secs(59)).await;
    let job = due(&catalog).remove(0);
    catalog.report(&job, found(Status::Passing, "back"));
    tokio::time::advance(Duration::from_secs(2)).await;
    let job = due(&catalog).remove(0);
    assert_eq!(status(&catalog), "passing", "it recovered in time");

    catalog.report(&job, found(Status::Critical, "refused"));
    for _ in 0..59 {
        tokio::time::advance(Duration::from_secs(1)).await;
        for job in due(&catalog) {
            catalog.report(&job, found(Status::Critical, "still refused"));
        }
        assert_eq!(status(&catalog), "critical");
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    due(&catalog);
    assert_eq!(health(&catalog, "loyalty"), json!([]));
    assert_eq!(catalog.take_due(Instant::now(), |_| {}), None, "nothing of it is left");
}

#[tokio::test]
async fn the_same_state_with_other_words_moves_no_index() {
    let catalog = catalog();
    register(&catalog, with_http("loyalty-1", 4001));
    let job = due(&catalog).remove(0);
    let before = indexes(&catalog, "loyalty");
    catalog.report(&job, found(Status::Passing, "12:00:01"));
    assert_eq!(indexes(&catalog, "loyalty"), before);
    assert_eq!(health(&catalog, "loyalty")[0]["Checks"][0]["Output"], "12:00:01");
    catalog.report(&job, found(Status::Passing, "12:00:02"));
    assert_eq!(health(&catalog, "loyalty")[0]["Checks"][0]["Output"], "12:00:02");
    catalog.report(&job, found(Status::Warning, "slow"));
    let [health_index, instances_index] = indexes(&catalog, "loyalty");
    assert!(health_index > before[0]);
    assert_eq!(instances_index, before[1], "the catalog knows no health");
}

#[tokio::test]
async fn a_state_survives_registering_again() {
    let catalog = catalog();
    register(&catalog, with_http("loyalty-1", 4001));
    let job = due(&catalog).remove(0);
    catalog.report(&job, found(Status::Critical, "refused"));
    assert!(!register(&catalog, with_http("loyalty-1", 4001)));
    assert_eq!(status(&catalog), "critical", "a registration is no proof of health");
}

#[tokio::test]
async fn the_result_of_a_replaced_check_does_not_count() {
    let catalog = catalog();
    register(&catalog, with_http("loyalty-1", 4001));
    let old = due(&catalog).remove(0);
    register(&catalog, with_http("loyalty-1", 4002));
    catalog.report(&old, found(Status::Critical, "refused"));
    assert_eq!(status(&catalog), "passing");
    catalog.deregister("loyalty-1");
    catalog.report(&old, found(Status::Critical, "refused"));
    assert_eq!(health(&catalog, "loyalty"), json!([]));
}

#[tokio::test]
async fn checks_that_are_not_mentioned_go_only_when_asked_for() {
    let catalog = catalog();
    let two = json!({ "Name": "x", "Checks": [{ "TTL": "1m" }, { "TTL": "2m" }] });
    let one = json!({ "Name": "x", "Checks": [{ "TTL": "1m", "CheckID": "service:x:1" }] });
    let count = || health(&catalog, "x")[0]["Checks"].as_array().map(Vec::len);
    register(&catalog, two);
    assert_eq!(count(), Some(2));
    assert!(!register(&catalog, one.clone()));
    assert_eq!(count(), Some(2));
    assert_eq!(catalog.register(parsed(&one), true), Ok(true));
    assert_eq!(count(), Some(1));
}

#[tokio::test]
async fn nobody_takes_anothers_check() {
    let catalog = catalog();
    register(&catalog, with_ttl("loyalty-1", "1m"));
    let thief = parsed(&json!({
        "Name": "thief", "Check": { "TTL": "1m", "CheckID": "service:loyalty-1" }
    }));
    let (check, owner) = ("service:loyalty-1".to_owned(), "loyalty-1".to_owned());
    assert_eq!(catalog.register(thief, false), Err(Refused::CheckTaken { check, owner }));
    assert_eq!(health(&catalog, "thief"), json!([]));
}

#[tokio::test]
async fn maintenance_makes_an_instance_critical_until_it_ends() {
    let catalog = catalog();
    register(&catalog, with_ttl("loyalty-1", "1m"));
    let passing = || {
        let filter = Filter { passing: true, ..Filter::default() };
        catalog.health("loyalty", &filter).body.len() > 2
    };
    assert!(passing());
    assert!(catalog.maintain("loyalty-1", Some("new disk".into())));
    let [during, _] = indexes(&catalog, "loyalty");
    assert!(catalog.maintain("loyalty-1", Some("new disk".into())));
    assert_eq!(indexes(&catalog, "loyalty")[0], during);
    assert!(!passing());
    catalog.register(parsed(&with_ttl("loyalty-1", "1m")), true).expect("room");
    assert!(!passing(), "registering again does not end it");
    assert!(catalog.maintain("loyalty-1", None));
    assert!(passing());
    assert!(!catalog.maintain("nobody", None));
}

#[tokio::test]
async fn the_number_of_instances_is_bounded() {
    let catalog = catalog();
    for n in 0..MAX_INSTANCES {
        register(&catalog, json!({ "Name": "many", "ID": format!("many-{n}") }));
    }
    let another = parsed(&json!({ "Name": "many", "ID": "one-too-many" }));
    assert_eq!(catalog.register(another, false), Err(Refused::Full));
    assert!(register(&catalog, json!({ "Name": "many", "ID": "many-7", "Port": 9 })));
}
