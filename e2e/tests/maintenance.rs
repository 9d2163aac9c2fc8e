//! A service is taken down for maintenance by a command: nobody calls it, whatever else dies, and
//! what waited is done afterwards.

use std::{fs, time::Duration};

use backline_e2e::Company;
use backline_testkit::{Estate, Finished, http, wait_for};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(30);

fn maintenance(estate: &Estate, arguments: &[&str]) -> Finished {
    estate.backline(&[&["maintenance"], arguments].concat())
}

fn begin(estate: &Estate) -> Finished {
    maintenance(estate, &["begin", "customers", "--reason", "a new disk", "--by", "ada"])
}

/// What one process tells of its breakers to the customers service: purpose, state and reason.
fn to_customers(estate: &Estate, service: &str) -> Option<Vec<(String, String, String)>> {
    let instance = estate.instances(service).into_iter().next()?;
    let board = http::try_get(&format!("http://{}/breakers", instance.address))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let board = (board.status == 200).then(|| board.json())?;
    let dependencies = board["dependencies"].as_array()?.iter();
    let breakers = dependencies.filter(|it| it["to"] == "customers").map(|it| {
        let breaker = &it["breaker"];
        (text(&it["purpose"]), text(&breaker["state"]), text(&breaker["reason"]))
    });
    Some(breakers.collect())
}

/// Whether the email service calls the customers service neither for resources nor for events.
fn email_keeps_away(estate: &Estate) -> bool {
    let breakers = to_customers(estate, "email").unwrap_or_default();
    let is_forced = |(_, state, reason): &(String, String, String)| {
        state == "forced-open" && reason == "maintenance: a new disk (by ada)"
    };
    let purposes: Vec<_> = breakers.iter().map(|(purpose, ..)| purpose.as_str()).collect();
    purposes.contains(&"calls") && purposes.contains(&"feed") && breakers.iter().all(is_forced)
}

fn customers_status(company: &Company) -> Option<u16> {
    Some(http::try_get(&format!("{}/customers", company.estate.gateway()))?.status)
}

/// The values of all keys below a prefix, in their order.
fn keys(estate: &Estate, prefix: &str) -> Vec<Value> {
    let url = |path: &str| format!("{}/v1/kv/{path}", estate.registry());
    let names = http::get(&url(&format!("{prefix}?keys")));
    if names.status == 404 {
        return Vec::new();
    }
    let names = names.expect(200).json();
    let names = names.as_array().expect("names").iter().filter_map(Value::as_str);
    let value = |name| http::get(&url(&format!("{name}?raw"))).expect(200).json();
    names.map(value).collect()
}

#[test]
fn nobody_calls_a_service_under_maintenance_and_what_waited_is_done_afterwards() {
    let company = Company::up();
    let estate = &company.estate;
    let (customer, _) = company.create_customer("before@example.com");
    company.expect_each_reaction_once(1);

    let told = begin(estate).success().stdout;
    assert!(told.contains("email-1") && told.contains("gateway-1"), "{told}");
    let refused = http::get(&format!("{}{customer}", estate.gateway())).expect(503);
    assert_eq!(refused.json()["type"], "urn:backline:error:maintenance");
    assert!(email_keeps_away(estate), "{:?}", to_customers(estate, "email"));
    let listed = maintenance(estate, &[]).success().stdout;
    assert!(["customers", "ada", "a new disk"].iter().all(|it| listed.contains(it)), "{listed}");

    // A customer who comes by another way: the event waits, as nobody reads the feed.
    let waiting = create_directly(estate, "meanwhile@example.com");

    for victim in ["registry", "email"] {
        let before = estate.instances(victim).remove(0);
        estate.kill9(before.pid);
        wait_for("another process", SOON, || {
            estate.instances(victim).into_iter().find(|it| it.pid != before.pid)
        });
        wait_for("email to keep away", SOON, || email_keeps_away(estate).then_some(()));
    }
    assert_eq!(customers_status(&company), Some(503));
    let mails = company.get("/email/mails").to_string();
    assert!(!mails.contains(&waiting), "{mails}");

    let told = maintenance(estate, &["end", "customers", "--by", "grace"]).success().stdout;
    assert!(told.contains("email-1"), "{told}");
    wait_for("customers to be called again", SOON, || {
        (customers_status(&company) == Some(200)).then_some(())
    });
    let _ = company.create_customer("after@example.com");
    company.expect_each_reaction_once(3);

    let audit = keys(estate, "backline/audit/");
    let said: Vec<_> = audit.iter().map(|it| [&it["by"], &it["action"], &it["reason"]]).collect();
    let expected = [["ada", "maintenance.begin", "a new disk"], ["grace", "maintenance.end", ""]];
    assert_eq!(said, expected);
    assert!(audit.iter().all(|it| it["subject"] == "customers"), "{audit:?}");
    assert!(keys(estate, "backline/maintenance/").is_empty());
}

/// Creates a customer at the service itself, past the gateway; gives its reference.
fn create_directly(estate: &Estate, email: &str) -> String {
    let address = estate.instances("customers").remove(0).address;
    let body = serde_json::json!({ "firstname": "Ada", "lastname": "Lovelace", "email": email });
    let answer = http::post_json(&format!("http://{address}/customers"), &body, &[]).expect(201);
    answer.header("location").expect("a reference").to_owned()
}

#[test]
fn wrong_orders_are_told_what_would_be_right_and_change_nothing() {
    let company = Company::up();
    let estate = &company.estate;
    let fails = |finished: Finished, parts: &[&str]| {
        assert_eq!(finished.status.code(), Some(1), "{finished}");
        for part in parts {
            assert!(finished.stderr.contains(part), "'{part}' is missing: {finished}");
        }
    };
    let by = ["--by", "ada"];
    let unknown = maintenance(estate, &["begin", "costumers", "--reason", "x", "--by", "ada"]);
    fails(unknown, &["'costumers'", "customers, email, gateway"]);
    let end = |name| maintenance(estate, &["end", name, "--by", "ada"]);
    fails(end("customers"), &["customers is not under maintenance"]);
    fails(end("costumers"), &["'costumers'", "customers"]);
    let breakers = |arguments: &[&str]| estate.backline(&[&["breakers"], arguments, &by].concat());
    fails(breakers(&["open", "emial", "customers"]), &["'emial'", "email"]);
    fails(breakers(&["release", "email", "customers"]), &["no wish holds for email customers"]);

    let token = estate.var().join("operator.token");
    let right = fs::read(&token).expect("the token");
    fs::write(&token, "0".repeat(64)).expect("ours");
    fails(begin(estate), &["operator.token", "nothing was changed", "Permission denied"]);
    fs::remove_file(&token).expect("ours");
    fails(begin(estate), &["there is no operator's token"]);
    assert!(keys(estate, "backline/").is_empty());
    assert_eq!(customers_status(&company), Some(200));

    restore(&token, &right);
    begin(estate).success();
    fails(begin(estate), &["customers is under maintenance already", "by ada, a new disk"]);
    estate.down();
    fails(begin(estate), &["nothing runs"]);
    fails(estate.backline(&["breakers"]), &["nothing runs"]);
}

/// The token as it was: for its owner alone.
fn restore(file: &std::path::Path, token: &[u8]) {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(file).expect("ours");
    file.write_all(token).expect("ours");
}

#[test]
fn one_callers_breakers_are_opened_disabled_and_released() {
    let company = Company::up();
    let estate = &company.estate;
    let states = || -> Vec<String> {
        let breakers = to_customers(estate, "email").expect("a board");
        breakers.into_iter().map(|(_, state, _)| state).collect()
    };
    let all = |state: &str| states().iter().all(|it| it == state);
    for (action, state) in [
        ("open", "forced-open"),
        ("reset", "closed"),
        ("disable", "disabled"),
        ("release", "closed"),
    ] {
        let order = ["breakers", action, "email", "customers", "--reason", "a try", "--by", "ada"];
        let told = estate.backline(&order).success().stdout;
        assert!(told.contains("email-1"), "{told}");
        assert!(all(state), "{action}: {:?}", states());
        assert_eq!(customers_status(&company), Some(200), "others go on calling");
    }
    assert_eq!(keys(estate, "backline/audit/").len(), 4);

    let shown = estate.backline(&["breakers"]).success().stdout;
    for part in ["CALLER", "email-1", "gateway-1", "traffic", "LIMIT"] {
        assert!(shown.contains(part), "'{part}' is missing in: {shown}");
    }
    let json = estate.backline(&["breakers", "--json"]).success().stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["silent"], serde_json::json!([]));
    assert!(json["processes"].as_array().is_some_and(|all| all.len() >= 9), "{json}");
}
