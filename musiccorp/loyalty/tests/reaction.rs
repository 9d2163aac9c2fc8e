//! What follows from a new customer, over real processes.

use std::time::Duration;

use backline_testkit::{Service, http, wait_for};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(10);

fn new_customer(customers: &Service, email: &str) -> (String, String) {
    let body = json!({ "firstname": "Ada", "lastname": "Lovelace", "email": email });
    let answer = http::post_json(&customers.url("/customers"), &body, &[]).expect(201);
    let header = |name| answer.header(name).expect("a header").to_owned();
    (header("location"), header("trace-id"))
}

fn accounts_of(service: &Service, customer: &str) -> Vec<Value> {
    let query = customer.replace('/', "%2F");
    let found = http::get(&service.url(&format!("/loyalty/accounts?customer={query}")));
    found.expect(200).json()["_embedded"]["accounts"].as_array().expect("a list").clone()
}

#[test]
fn a_new_customer_gets_exactly_one() {
    let customers = Service::start("customers").start();
    let ours =
        Service::start("loyalty").static_discovery(&[("customers", customers.address())]).start();
    let (customer, trace) = new_customer(&customers, "ada@example.com");
    let one = wait_for("the reaction", SOON, || accounts_of(&ours, &customer).pop());
    assert_eq!(one["_links"]["customer"]["href"], customer.as_str());

    let event = ours.events().pop().expect("an event");
    assert_eq!(event["type"], "loyalty-account.opened");
    assert_eq!(event["data"]["customer"], customer.as_str());
    assert_eq!(event["correlationid"], trace.as_str());
    assert_eq!(event["causationid"], customers.events()[0]["id"]);
}

#[test]
fn a_kill_loses_nothing_and_repeats_nothing() {
    let customers = Service::start("customers").start();
    let mut ours =
        Service::start("loyalty").static_discovery(&[("customers", customers.address())]).start();
    let (first, _) = new_customer(&customers, "1@example.com");
    wait_for("the reaction", SOON, || accounts_of(&ours, &first).pop());
    ours.kill9();
    let (second, _) = new_customer(&customers, "2@example.com");
    ours.restart();
    wait_for("the reaction", SOON, || accounts_of(&ours, &second).pop());
    assert_eq!(ours.events().len(), 2);
    assert_eq!(accounts_of(&ours, &first).len(), 1);
}

#[test]
fn a_feed_that_began_anew_gives_nobody_a_second() {
    let customers = Service::start("customers").start();
    let mut ours =
        Service::start("loyalty").static_discovery(&[("customers", customers.address())]).start();
    let (customer, _) = new_customer(&customers, "1@example.com");
    wait_for("the reaction", SOON, || accounts_of(&ours, &customer).pop());
    // The whole feed again, as after a store that was restored: another epoch, the same events.
    ours.kill9();
    customers_begin_anew(&ours);
    ours.restart();
    let (other, _) = new_customer(&customers, "2@example.com");
    wait_for("the reaction", SOON, || accounts_of(&ours, &other).pop());
    assert_eq!(accounts_of(&ours, &customer).len(), 1);
    assert_eq!(ours.events().len(), 2);
}

/// Forgets the place in the feed and all marks, so that everything is read again.
fn customers_begin_anew(ours: &Service) {
    let store = rusqlite::Connection::open(ours.store()).expect("the store");
    store
        .execute_batch("DELETE FROM backline_cursor; DELETE FROM backline_inbox;")
        .expect("the consumer's tables");
}
