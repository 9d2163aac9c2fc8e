//! The customers service as its callers see it: a real process over HTTP.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use backline_testkit::{Service, http};
use serde_json::{Value, json};

fn ada() -> Value {
    json!({ "firstname": "Ada", "lastname": "Lovelace", "email": "ada@example.com" })
}

fn create(service: &Service, customer: &Value) -> http::Answer {
    http::post_json(&service.url("/customers"), customer, &[])
}

/// Creates one and gives its reference.
fn created(service: &Service, customer: &Value) -> String {
    create(service, customer).expect(201).header("location").expect("a Location").to_owned()
}

fn get_with(service: &Service, path: &str, headers: &[(&str, &str)]) -> http::Answer {
    http::request("GET", &service.url(path), headers, None).expect("an answer")
}

#[test]
fn a_new_customer_has_a_place_links_and_a_trace() {
    let service = Service::start("customers").start();
    let answer = create(&service, &ada()).expect(201);
    let location = answer.header("location").expect("a Location").to_owned();
    let trace = answer.header("trace-id").expect("a trace").to_owned();
    assert_eq!(trace.len(), 32);
    let body = answer.json();
    assert_eq!(body["_links"]["self"]["href"], location.as_str());
    assert_eq!(body["state"], "active");
    assert_eq!(body["firstname"], "Ada");

    let shown = get_with(&service, &location, &[]).expect(200);
    assert_eq!(shown.header("content-type"), Some("application/hal+json"));
    assert!(shown.header("as-of").is_some_and(|moment| moment.ends_with('Z')));
    assert_eq!(shown.json(), body);

    let event = service.events().pop().expect("an event");
    assert_eq!(event["type"], "customer.created");
    assert_eq!(event["subject"], location.as_str());
    assert_eq!(event["source"], "/customers");
    assert_eq!(event["correlationid"], trace.as_str());
    assert_eq!(event["data"]["customer"], location.as_str());
    assert_eq!(event["data"]["email"], "ada@example.com");
}

#[test]
fn the_caller_trace_and_correlation_are_taken_over() {
    let service = Service::start("customers").start();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let correlation = "0af7651916cd43dd8448eb211c80319c";
    let headers = [("traceparent", parent.as_str()), ("backline-correlation", correlation)];
    let answer = http::post_json(&service.url("/customers"), &ada(), &headers).expect(201);
    assert_eq!(answer.header("trace-id"), Some(trace));
    let event = service.events().pop().expect("an event");
    assert_eq!(event["correlationid"], correlation);
    assert!(event["traceparent"].as_str().is_some_and(|parent| parent.contains(trace)));
}

#[test]
fn an_unchanged_customer_is_not_sent_again() {
    let service = Service::start("customers").start();
    let path = created(&service, &ada());
    let etag = get_with(&service, &path, &[]).header("etag").expect("an ETag").to_owned();
    let again = get_with(&service, &path, &[("if-none-match", &etag)]).expect(304);
    assert_eq!(again.header("etag"), Some(etag.as_str()));
    assert!(again.text().is_empty());

    http::post_json(&service.url(&format!("{path}/suspend")), &json!({}), &[]).expect(200);
    let changed = get_with(&service, &path, &[("if-none-match", &etag)]).expect(200);
    assert_ne!(changed.header("etag"), Some(etag.as_str()));
}

#[test]
fn people_get_a_page_with_forms() {
    let service = Service::start("customers").start();
    let path = created(&service, &ada());
    let html = get_with(&service, &path, &[("accept", "text/html,*/*;q=0.8")]).expect(200);
    assert!(html.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    assert!(html.header("content-security-policy").is_some());
    assert!(html.text().contains("Ada Lovelace"));
    assert!(html.text().contains(&format!("{path}/suspend")));
    get_with(&service, &path, &[("accept", "image/png")]).expect(406);
}

#[test]
fn a_key_makes_a_request_safe_to_repeat() {
    let service = Service::start("customers").start();
    let send = |body: &Value| {
        http::post_json(&service.url("/customers"), body, &[("idempotency-key", "k-1")])
    };
    let first = send(&ada()).expect(201);
    assert_eq!(first.header("idempotency-replayed"), None);
    let second = send(&ada()).expect(201);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(second.header("location"), first.header("location"));
    assert_eq!(second.json(), first.json());
    assert_eq!(service.events().len(), 1);

    let other = json!({ "firstname": "Bea", "lastname": "B", "email": "b@example.com" });
    let reused = send(&other).expect(422).json();
    assert_eq!(reused["type"], "urn:backline:error:idempotency-key-reused");
}

#[test]
fn a_failed_request_leaves_its_key_free() {
    let service = Service::start("customers").start();
    created(&service, &ada());
    let send = |body: &Value| {
        http::post_json(&service.url("/customers"), body, &[("idempotency-key", "k-1")])
    };
    let taken = send(&ada()).expect(409).json();
    assert_eq!(taken["type"], "urn:backline:error:email-taken");
    send(&json!({ "firstname": "Bea", "lastname": "B", "email": "b@example.com" })).expect(201);
    assert_eq!(service.events().len(), 2);
}

#[test]
fn illegal_transitions_name_the_state_and_what_is_legal() {
    let service = Service::start("customers").start();
    let path = created(&service, &ada());
    let command =
        |name: &str| http::post_json(&service.url(&format!("{path}/{name}")), &json!({}), &[]);
    let refused = command("reinstate").expect(409).json();
    assert_eq!(refused["type"], "urn:backline:error:illegal-transition");
    assert_eq!(refused["state"], "active");
    assert_eq!(refused["_links"]["suspend"]["href"], format!("{path}/suspend"));
    assert!(refused["_links"].get("reinstate").is_none());

    assert_eq!(command("suspend").expect(200).json()["state"], "suspended");
    assert_eq!(command("reinstate").expect(200).json()["state"], "active");
    assert_eq!(command("close").expect(200).json()["state"], "closed");
    for name in ["change", "suspend", "reinstate", "close"] {
        assert_eq!(command(name).expect(409).json()["state"], "closed");
    }
    let kinds: Vec<_> = service.events().iter().map(|e| e["type"].clone()).collect();
    let expected =
        ["customer.created", "customer.suspended", "customer.reinstated", "customer.closed"];
    assert_eq!(kinds, expected);
}

#[test]
fn a_change_touches_only_what_it_names() {
    let service = Service::start("customers").start();
    let path = created(&service, &ada());
    let change = json!({ "lastname": "King" });
    let changed =
        http::post_json(&service.url(&format!("{path}/change")), &change, &[]).expect(200);
    assert_eq!(changed.json()["lastname"], "King");
    assert_eq!(changed.json()["firstname"], "Ada");
    assert_eq!(service.events()[1]["data"]["lastname"], "King");
}

#[test]
fn bad_input_is_told_what_would_be_right_and_changes_nothing() {
    let service = Service::start("customers").start();
    let wrong = create(&service, &json!({ "firstname": "", "lastname": "L", "email": "x" }));
    let wrong = wrong.expect(422).json();
    assert_eq!(wrong["errors"][0]["field"], "firstname");
    assert_eq!(wrong["errors"][1]["field"], "email");
    assert!(wrong["trace_id"].as_str().is_some_and(|trace| trace.len() == 32));

    let code = |answer: http::Answer| answer.json()["type"].clone();
    assert_eq!(code(create(&service, &json!({})).expect(422)), "urn:backline:error:invalid-body");
    let send = |headers: &[(&str, &str)], body: &str| {
        http::request("POST", &service.url("/customers"), headers, Some(body.as_bytes()))
            .expect("an answer")
    };
    let json_type = ("content-type", "application/json");
    assert_eq!(code(send(&[json_type], "{").expect(400)), "urn:backline:error:malformed-json");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let refused = send(&form, "firstname=Ada").expect(415);
    assert_eq!(code(refused), "urn:backline:error:unsupported-media-type");
    let huge = format!("{{\"firstname\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
    assert_eq!(code(send(&[json_type], &huge).expect(413)), "urn:backline:error:body-too-large");
    let keyed = [json_type, ("idempotency-key", "k")];
    assert_eq!(code(send(&keyed, &huge).expect(413)), "urn:backline:error:body-too-large");
    assert_eq!(
        code(http::get(&service.url("/customers/none")).expect(404)),
        "urn:backline:error:not-found"
    );
    assert_eq!(
        code(http::get(&service.url("/customers?page=0")).expect(400)),
        "urn:backline:error:invalid-query"
    );
    assert_eq!(
        code(http::get(&service.url("/nowhere")).expect(404)),
        "urn:backline:error:not-found"
    );
    let method = http::request("DELETE", &service.url("/customers"), &[], None).expect("an answer");
    assert_eq!(code(method.expect(405)), "urn:backline:error:method-not-allowed");
    assert_eq!(service.events().len(), 0);
}

#[test]
fn what_cannot_be_answered_does_not_take_effect() {
    let service = Service::start("customers").start();
    let url = service.url("/customers");
    http::post_json(&url, &ada(), &[("accept", "image/png")]).expect(406);
    assert_eq!(service.events().len(), 0);
    let path = created(&service, &ada());
    let suspend = service.url(&format!("{path}/suspend"));
    let send = |headers: &[(&str, &str)], body: Option<&[u8]>| {
        http::request("POST", &suspend, headers, body).expect("an answer")
    };
    send(&[("content-type", "text/plain")], Some(b"{}")).expect(415);
    assert_eq!(http::get(&service.url(&path)).json()["state"], "active");
    send(&[], None).expect(200);
}

#[test]
fn the_limit_of_a_body_is_the_same_with_and_without_a_key() {
    let service = Service::start("customers").start();
    let json_type = ("content-type", "application/json");
    let send = |headers: &[(&str, &str)], size: usize| {
        let mut body = ada().to_string();
        body.push_str(&" ".repeat(size - body.len()));
        http::request("POST", &service.url("/customers"), headers, Some(body.as_bytes()))
            .expect("an answer")
    };
    const MOST: usize = 1024 * 1024;
    send(&[json_type], MOST + 1).expect(413);
    send(&[json_type, ("idempotency-key", "k")], MOST + 1).expect(413);
    send(&[json_type, ("idempotency-key", "k")], MOST).expect(201);
}

#[test]
fn a_stored_answer_tells_of_the_moment_it_was_given() {
    let service = Service::start("customers").start();
    let send = || {
        http::post_json(&service.url("/customers"), &ada(), &[("idempotency-key", "k-1")])
            .expect(201)
    };
    let (first, second) = (send(), send());
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.header("as-of"), second.header("as-of"));
}

#[test]
fn every_problem_names_its_trace_and_made_up_methods_leave_nothing() {
    let service = Service::start("customers").start();
    for path in ["/events?limit=0", "/nowhere", "/customers?page=0"] {
        let answer = get_with(&service, path, &[]);
        let trace = answer.header("trace-id").expect("a trace").to_owned();
        assert_eq!(answer.json()["trace_id"], trace.as_str(), "{path}");
    }
    let mut raw = TcpStream::connect(service.address()).expect("a connection");
    let request = "MADEUP /customers HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    raw.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    raw.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    assert!(!http::get(&service.url("/metrics")).text().contains("MADEUP"));
}

#[test]
fn only_requests_that_are_meant_for_it_are_answered() {
    let service = Service::start("customers").start();
    get_with(&service, "/customers", &[("backline-to", "loyalty")]).expect(421);
    get_with(&service, "/customers", &[("backline-to", "customers")]).expect(200);
    get_with(&service, "/health", &[("backline-instance", "customers-9")]).expect(421);
    get_with(&service, "/health", &[("backline-instance", "customers-1")]).expect(200);
    get_with(&service, "/customers", &[("host", "evil.example")]).expect(403);
    get_with(&service, "/customers", &[("origin", "http://evil.example")]).expect(403);
}

#[test]
fn pages_are_linked() {
    let service = Service::start("customers").start();
    for n in 0..51 {
        let customer =
            json!({ "firstname": "A", "lastname": "B", "email": format!("{n}@example.com") });
        created(&service, &customer);
    }
    let first = http::get(&service.url("/customers")).expect(200).json();
    assert_eq!(first["total"], 51);
    assert_eq!(first["_embedded"]["customers"].as_array().map(Vec::len), Some(50));
    assert!(first["_links"].get("prev").is_none());
    let next = first["_links"]["next"]["href"].as_str().expect("a next page");
    let second = http::get(&service.url(next)).expect(200).json();
    assert_eq!(second["_embedded"]["customers"].as_array().map(Vec::len), Some(1));
    assert_eq!(second["_links"]["prev"]["href"], "/customers");
    assert!(second["_links"].get("next").is_none());
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let mut service = Service::start("customers").start();
    let path = created(&service, &ada());
    service.restart();
    assert_eq!(http::get(&service.url(&path)).expect(200).json()["lastname"], "Lovelace");
    assert_eq!(service.events().len(), 1);
    assert!(service.terminate().success());
}

#[test]
fn it_documents_itself() {
    let service = Service::start("customers").start();
    let openapi = http::get(&service.url("/openapi.json")).expect(200).json();
    assert_eq!(openapi["openapi"], "3.1.0");
    assert!(openapi["paths"]["/customers/{id}/suspend"]["post"].is_object());
    let schemas = http::get(&service.url("/schemas/events.json")).expect(200).json();
    assert!(schemas["emits"]["customer.created"]["data"].is_object());
    assert!(http::get(&service.url("/docs")).expect(200).text().contains("swagger-ui.js"));
    let health = http::get(&service.url("/health")).expect(200);
    assert_eq!(health.header("content-type"), Some("application/health+json"));
    assert_eq!(health.json()["status"], "pass");
    assert!(http::get(&service.url("/metrics")).expect(200).text().contains("http_requests_total"));
}

#[test]
fn the_feed_is_atom_for_everybody_else() {
    let service = Service::start("customers").start();
    created(&service, &ada());
    let page = get_with(&service, "/events", &[]).expect(200);
    assert!(
        page.header("content-type").is_some_and(|kind| kind.starts_with("application/atom+xml"))
    );
    assert!(page.header("link").is_some_and(|link| link.contains("rel=\"next\"")));
    assert!(page.text().contains("<title>customer.created</title>"));
    let code =
        |path: &str, status| http::get(&service.url(path)).expect(status).json()["type"].clone();
    assert_eq!(code("/events?after=other.0", 410), "urn:backline:error:feed-epoch-gone");
    assert_eq!(code("/events?after=x", 400), "urn:backline:error:invalid-query");
    assert_eq!(code("/events?limit=0", 400), "urn:backline:error:invalid-query");
    assert_eq!(code("/events?wait=61", 400), "urn:backline:error:invalid-query");
}
