use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::check::{Kind, Status};

fn parse(body: Value) -> Result<Registration, String> {
    Registration::parse(body.to_string().as_bytes()).map_err(|invalid| invalid.to_string())
}

fn check(check: Value) -> Result<Spec, String> {
    parse(json!({ "Name": "web", "Check": check })).map(|mut parsed| parsed.checks.remove(0))
}

#[test]
fn keys_are_taken_in_every_spelling() {
    for body in [
        json!({ "Name": "web", "ID": "web-1", "EnableTagOverride": true, "Check": { "DeregisterCriticalServiceAfter": "90s", "TTL": "10s" } }),
        json!({ "name": "web", "id": "web-1", "enable_tag_override": true, "check": { "deregister_critical_service_after": "90s", "ttl": "10s" } }),
        json!({ "name": "web", "Id": "web-1", "enabletagoverride": true, "checks": [{ "deregistercriticalserviceafter": "90s", "Ttl": "10s" }] }),
    ] {
        let parsed = parse(body).expect("valid");
        assert_eq!(
            (parsed.service.id.as_str(), parsed.service.enable_tag_override),
            ("web-1", true)
        );
        assert_eq!(parsed.checks[0].kind, Kind::Ttl(Duration::from_secs(10)));
        assert_eq!(parsed.checks[0].deregister_after, Some(Duration::from_secs(90)));
    }
}

#[test]
fn what_is_left_out_gets_consuls_defaults() {
    let parsed =
        parse(json!({ "Name": "web", "Checks": [{ "TTL": "1s" }, { "TTL": "2s" }], "Later": 1 }));
    let Registration { service, checks } = parsed.expect("valid");
    assert_eq!((service.id.as_str(), service.port, service.weights), ("web", 0, (1, 1)));
    let ids: Vec<_> = checks.iter().map(|spec| spec.id.as_str()).collect();
    assert_eq!(ids, ["service:web:1", "service:web:2"]);
    assert_eq!(checks[0].name, "Service 'web' check");
    assert_eq!(checks[0].initial, Status::Critical);
    assert_eq!(check(json!({ "TTL": "1s" })).expect("valid").id, "service:web");
}

#[test]
fn an_http_check_is_read_whole() {
    let spec = check(json!({
        "CheckID": "mine", "Name": "Mine", "Notes": "n", "Status": "warning",
        "HTTP": "http://127.0.0.1:4001/health", "Interval": "1s", "Timeout": "500ms",
        "Method": "head", "Header": { "Backline-Instance": ["web-1"] }
    }))
    .expect("valid");
    let Kind::Http(probe) = &spec.kind else { panic!("not an HTTP check: {spec:?}") };
    assert_eq!((spec.id.as_str(), spec.initial), ("mine", Status::Warning));
    assert_eq!((probe.interval.as_millis(), probe.timeout.as_millis()), (1_000, 500));
    assert_eq!(probe.method, "HEAD");
    assert_eq!(probe.headers["backline-instance"], "web-1");
}

#[test]
fn scripts_are_refused_and_never_mistaken() {
    for key in
        ["Script", "Args", "args", "ScriptArgs", "script_args", "ShellCommand", "DockerContainerID"]
    {
        let refused = check(json!({ key: ["/bin/true"], "Interval": "10s" })).expect_err(key);
        assert!(refused.contains("scripts are never run here"), "{refused}");
        // Nor beside a check that would be run.
        let beside = json!({ key: "/bin/true", "HTTP": "http://localhost/", "Interval": "10s" });
        assert!(check(beside).is_err());
    }
    for key in ["TCP", "GRPC", "UDP", "H2PING", "AliasService"] {
        let refused = check(json!({ key: "x:1", "Interval": "10s" })).expect_err(key);
        assert!(refused.contains("HTTP and TTL"), "{refused}");
    }
}

#[test]
fn checks_may_not_go_to_link_local_addresses() {
    for host in ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:a9fe:a9fe]"] {
        let refused = check(json!({ "HTTP": format!("http://{host}/"), "Interval": "1s" }));
        let refused = refused.expect_err(host);
        assert!(refused.starts_with("Invalid check: HTTP: checks may not go to"), "{refused}");
    }
}

#[test]
fn what_makes_no_check_is_refused_with_the_reason() {
    for (body, reason) in [
        (json!({ "HTTP": "http://localhost/" }), "Interval must be > 0"),
        (json!({ "HTTP": "http://localhost/", "Interval": "often" }), "'often' is not a duration"),
        (
            json!({ "HTTP": "http://localhost/", "Interval": "1ms" }),
            "Interval is 1ms: give 100ms to",
        ),
        (
            json!({ "HTTP": "http://localhost/", "Interval": "1s", "TTL": "1s" }),
            "cannot both be specified",
        ),
        (json!({ "HTTP": "https://localhost/", "Interval": "1s" }), "http:// URLs only"),
        (
            json!({ "HTTP": "http://localhost/", "Interval": "1s", "Method": "DELETE" }),
            "Method 'DELETE'",
        ),
        (
            json!({ "HTTP": "http://localhost/", "Interval": "1s", "Header": { "Connection": ["x"] } }),
            "cannot be set",
        ),
        (
            json!({ "HTTP": "http://localhost/", "Interval": "1s", "Header": { "a b": ["x"] } }),
            "not a header's name",
        ),
        (
            json!({ "HTTP": "http://localhost/", "Interval": "1s", "Timeout": "5m" }),
            "Timeout is 5m0s",
        ),
        (json!({ "TTL": "0s", "Name": "x" }), "TTL must be > 0"),
        (json!({ "TTL": "10s", "Status": "fine" }), "'fine' is no status"),
        (json!({ "TTL": "10s", "DeregisterCriticalServiceAfter": "10ms" }), "give 1s to"),
    ] {
        let refused = check(body.clone()).expect_err("not a check");
        assert!(
            refused.contains(reason) && refused.starts_with("Invalid check"),
            "{body}: {refused}"
        );
    }
}

#[test]
fn what_is_no_registration_is_refused_with_the_reason() {
    let long = "x".repeat(600);
    for (body, reason) in [
        (json!({}), "Missing service name"),
        (json!([]), "must be a JSON object"),
        (json!({ "Name": 7 }), "Name must be a string"),
        (json!({ "Name": "web", "Port": 70_000 }), "Port must be a number from 0 to 65535"),
        (json!({ "Name": "web", "Port": "80" }), "Port must be a number"),
        (json!({ "Name": "web", "Tags": "public" }), "Tags must be a list"),
        (json!({ "Name": "web", "Address": "0.0.0.0" }), "Invalid service address"),
        (json!({ "Name": "web", "Address": "http://x/" }), "Invalid service address"),
        (json!({ "Name": long }), "Name is 600 bytes long: 256 at most"),
        (json!({ "Name": "a\nb" }), "control characters"),
        (json!({ "Name": "web", "Tags": vec!["t"; 65] }), "Tags has 65 entries"),
        (json!({ "Name": "web", "Meta": { "k": long } }), "Invalid Service Meta: 'k' is 600 bytes"),
        (json!({ "Name": "web", "Meta": { "a b": "x" } }), "Invalid Service Meta: 'a b'"),
        (json!({ "Name": "web", "Meta": { "k": 1 } }), "values are strings"),
        (
            json!({ "Name": "web", "Checks": vec![json!({ "TTL": "1s" }); 17] }),
            "17 checks: 16 at most",
        ),
        (
            json!({ "Name": "web", "Checks": [{ "TTL": "1s", "CheckID": "a" }, { "TTL": "1s", "CheckID": "a" }] }),
            "two have the CheckID 'a'",
        ),
    ] {
        let refused = parse(body.clone()).expect_err("not a registration");
        assert!(refused.contains(reason), "{body}: {refused}");
    }
    let broken = Registration::parse(b"{\"Name\": ").expect_err("cut off").to_string();
    assert!(broken.starts_with("Request decode failed: EOF"), "{broken}");
}
