//! Consul's API over real HTTP.

use crate::support::start;
use serde_json::{Value, json};

fn loyalty(id: &str, port: u16) -> Value {
    json!({
        "Name": "loyalty", "ID": id, "Address": "127.0.0.1", "Port": port,
        "Tags": ["public", "zone=local"], "Meta": { "owner": "loyalty team", "version": "0.1.0" },
        "Check": { "TTL": "5m", "Status": "passing", "Notes": "says so itself" }
    })
}

#[tokio::test]
async fn a_registered_service_is_told_whole() {
    let registry = start().await;
    registry.register(loyalty("loyalty-1", 4001)).await;

    let entries = registry.json("/v1/health/service/loyalty").await;
    let entry = &entries[0];
    assert_eq!(entry["Node"]["Node"], "registry-1");
    assert_eq!(entry["Node"]["Datacenter"], "local");
    assert_eq!(entry["Node"]["TaggedAddresses"], json!({ "lan": "127.0.0.1", "wan": "127.0.0.1" }));
    let service = &entry["Service"];
    assert_eq!((&service["ID"], &service["Service"]), (&json!("loyalty-1"), &json!("loyalty")));
    assert_eq!((&service["Address"], &service["Port"]), (&json!("127.0.0.1"), &json!(4001)));
    assert_eq!(service["Tags"], json!(["public", "zone=local"]));
    assert_eq!(service["Meta"]["owner"], "loyalty team");
    assert_eq!(service["Weights"], json!({ "Passing": 1, "Warning": 1 }));
    let check = &entry["Checks"][0];
    assert_eq!(
        (&check["CheckID"], &check["Status"]),
        (&json!("service:loyalty-1"), &json!("passing"))
    );
    assert_eq!((&check["ServiceName"], &check["Type"]), (&json!("loyalty"), &json!("ttl")));
}

#[tokio::test]
async fn what_was_registered_is_in_every_list() {
    let registry = start().await;
    registry.register(loyalty("loyalty-1", 4001)).await;
    let catalog = registry.json("/v1/catalog/service/loyalty").await;
    assert_eq!(catalog[0]["ServiceID"], "loyalty-1");
    assert_eq!(catalog[0]["ServicePort"], 4001);
    assert_eq!(catalog[0]["ServiceMeta"]["version"], "0.1.0");
    assert_eq!(catalog[0]["Address"], "127.0.0.1");

    let names = registry.json("/v1/catalog/services").await;
    assert_eq!(names["loyalty"], json!(["public", "zone=local"]));
    assert!(names["registry"].is_array(), "the registry lists itself");

    let agent = registry.json("/v1/agent/services").await;
    assert_eq!(agent["loyalty-1"]["Port"], 4001);
    let one = registry.get("/v1/agent/service/loyalty-1").await;
    assert_eq!(one.json()["Address"], "127.0.0.1");
    assert_eq!(
        one.json()["ContentHash"],
        one.headers["x-consul-contenthash"].to_str().expect("text")
    );
    let checks = registry.json("/v1/agent/checks").await;
    assert_eq!(checks["service:loyalty-1"]["Notes"], "says so itself");

    for path in [
        "/v1/health/checks/loyalty",
        "/v1/health/state/passing",
        "/v1/health/state/any",
        "/v1/health/node/registry-1",
    ] {
        assert_eq!(registry.json(path).await[0]["CheckID"], "service:loyalty-1", "{path}");
    }
    for path in [
        "/v1/health/state/critical",
        "/v1/health/node/elsewhere",
        "/v1/health/checks/nobody",
        "/v1/health/service/nobody",
        "/v1/catalog/service/nobody",
    ] {
        assert_eq!(registry.json(path).await, json!([]), "{path}");
    }
}

#[tokio::test]
async fn the_registry_tells_about_itself() {
    let registry = start().await;
    let address = json!(registry.address.to_string());
    assert_eq!(registry.json("/v1/status/leader").await, address);
    assert_eq!(registry.json("/v1/status/peers").await, json!([address]));
    assert_eq!(registry.json("/v1/catalog/datacenters").await, json!(["local"]));
    assert_eq!(registry.json("/v1/catalog/nodes").await[0]["Node"], "registry-1");
    let this = registry.json("/v1/agent/self").await;
    assert_eq!(this["Config"]["NodeName"], "registry-1");
    assert_eq!(this["Member"]["Name"], "registry-1");
}

#[tokio::test]
async fn answers_with_an_index_have_consuls_headers() {
    let registry = start().await;
    for path in [
        "/v1/catalog/services",
        "/v1/catalog/nodes",
        "/v1/catalog/service/x",
        "/v1/health/service/x",
        "/v1/health/checks/x",
        "/v1/health/state/any",
        "/v1/health/node/x",
    ] {
        let answer = registry.get(path).await;
        assert!(answer.index() >= 1, "{path}");
        assert_eq!(answer.headers["x-consul-knownleader"], "true");
        assert_eq!(answer.headers["x-consul-lastcontact"], "0");
        assert_eq!(answer.headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn filters_keep_what_was_asked_for() {
    let registry = start().await;
    registry.register(loyalty("loyalty-1", 4001)).await;
    let mut second = loyalty("loyalty-2", 4002);
    second["Tags"] = json!(["zone=local", "canary"]);
    second["Check"]["Status"] = json!("warning");
    registry.register(second).await;
    let ids = async |query: &str| -> Vec<String> {
        let found = registry.json(&format!("/v1/health/service/loyalty{query}")).await;
        let found = found.as_array().expect("a list");
        found
            .iter()
            .map(|entry| entry["Service"]["ID"].as_str().expect("text").to_owned())
            .collect()
    };
    assert_eq!(ids("").await, ["loyalty-1", "loyalty-2"]);
    for passing in ["?passing", "?passing=1", "?passing=true"] {
        assert_eq!(ids(passing).await, ["loyalty-1"], "{passing}");
    }
    assert_eq!(ids("?passing=false").await, ["loyalty-1", "loyalty-2"]);
    assert_eq!(ids("?tag=CANARY").await, ["loyalty-2"]);
    assert_eq!(ids("?tag=zone%3Dlocal&tag=public").await, ["loyalty-1"]);
    assert_eq!(ids("?tag=canary&tag=public").await, [""; 0]);
    assert_eq!(ids("?tag=canary&passing").await, [""; 0]);
    let tagged = registry.json("/v1/catalog/service/loyalty?tag=canary").await;
    assert_eq!(tagged.as_array().map(Vec::len), Some(1));
    // Passed over: what changes nothing here.
    assert_eq!(ids("?dc=local&stale&near=_agent&cached").await.len(), 2);
    let pretty = registry.get("/v1/health/service/loyalty?pretty").await;
    assert!(pretty.text().lines().count() > 20);
}

#[tokio::test]
async fn ttl_checks_are_reported_by_the_service() {
    let registry = start().await;
    registry.register(loyalty("loyalty-1", 4001)).await;
    let state = async || registry.json("/v1/health/checks/loyalty").await[0].clone();
    for (path, status) in [
        ("fail/service:loyalty-1?note=disk%20full", "critical"),
        ("warn/service:loyalty-1?note=disk%20nearly%20full", "warning"),
        ("pass/service:loyalty-1", "passing"),
    ] {
        let answer = registry.put(&format!("/v1/agent/check/{path}"), &Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(state().await["Status"], status);
    }
    let long = "x".repeat(5_000);
    let update = json!({ "Status": "critical", "Output": long });
    assert_eq!(registry.put("/v1/agent/check/update/service:loyalty-1", &update).await.status, 200);
    assert_eq!(state().await["Status"], "critical");
    assert_eq!(state().await["Output"].as_str().map(str::len), Some(1_024));

    let unknown = registry.put("/v1/agent/check/pass/service:nobody", &Value::Null).await;
    assert_eq!(unknown.status, 404);
    assert!(
        unknown.text().starts_with("Unknown check ID \"service:nobody\""),
        "{}",
        unknown.text()
    );
    let fine = json!({ "Status": "fine" });
    let wrong = registry.put("/v1/agent/check/update/service:loyalty-1", &fine);
    assert_eq!(wrong.await.status, 400);
}

#[tokio::test]
async fn deregistering_takes_instance_and_checks_out() {
    let registry = start().await;
    registry.register(loyalty("loyalty-1", 4001)).await;
    let deregister = "/v1/agent/service/deregister/loyalty-1";
    assert_eq!(registry.put(deregister, &Value::Null).await.status, 200);
    let again = registry.put(deregister, &Value::Null).await;
    assert_eq!(again.status, 404);
    assert!(again.text().starts_with("Unknown service ID \"loyalty-1\""));
    assert_eq!(registry.json("/v1/agent/checks").await, json!({}));
    let gone = registry.get("/v1/agent/service/loyalty-1").await;
    assert_eq!((gone.status, gone.text().as_str()), (404, "unknown service ID: loyalty-1"));
}

#[tokio::test]
async fn maintenance_is_switched_on_and_off() {
    let registry = start().await;
    registry.register(loyalty("loyalty-1", 4001)).await;
    let path = "/v1/agent/service/maintenance/loyalty-1";
    let passing = async || registry.json("/v1/health/service/loyalty?passing").await != json!([]);
    assert_eq!(registry.put(path, &Value::Null).await.status, 400);
    assert_eq!(
        registry.put(&format!("{path}?enable=true&reason=new+disk"), &Value::Null).await.status,
        200
    );
    assert!(!passing().await);
    assert_eq!(registry.put(&format!("{path}?enable=false"), &Value::Null).await.status, 200);
    assert!(passing().await);
}

#[tokio::test]
async fn mistakes_are_answered_with_the_reason() {
    let registry = start().await;
    let register = "/v1/agent/service/register";
    for (body, reason) in [
        (json!({ "ID": "x" }), "Missing service name"),
        (
            json!({ "Name": "x", "Check": { "Args": ["id"], "Interval": "1s" } }),
            "scripts are never run",
        ),
        (
            json!({ "Name": "x", "Check": { "HTTP": "http://169.254.169.254/", "Interval": "1s" } }),
            "may not go to",
        ),
    ] {
        let answer = registry.put(register, &body).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(reason), "{}", answer.text());
    }
    for (path, status, reason) in [
        ("/v1/health/service/x?index=one", 400, "Invalid index"),
        ("/v1/health/service/x?index=1&wait=soon", 400, "Invalid wait time"),
        ("/v1/health/service/x?passing=perhaps", 400, "Invalid value for ?passing"),
        ("/v1/health/service/x?filter=a==b", 400, "\"filter\" is not supported"),
        ("/v1/health/service/x?dc=elsewhere", 500, "No path to datacenter"),
        ("/v1/health/state/fine", 400, "passing, warning or critical, or any"),
        ("/v1/session/list", 404, "Invalid URL path"),
        ("/v1/agent/service/deregister/x", 405, "method GET not allowed"),
    ] {
        let answer = registry.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.text().contains(reason), "{path}: {}", answer.text());
    }
    let large = json!({ "Name": "x", "Notes": "x".repeat(200_000) });
    assert_eq!(registry.put(register, &large).await.status, 413);
}

#[tokio::test]
async fn the_page_shows_services_and_runs_no_script() {
    let registry = start().await;
    let mut body = loyalty("loyalty-1", 4001);
    body["Meta"] = json!({
        "owner": "<script>alert(1)</script>", "docs": "/docs", "version": "0.1.0", "about": "Points"
    });
    registry.register(body).await;
    registry.register(json!({ "Name": "console", "Address": "127.0.0.1", "Port": 8070 })).await;
    for path in ["/", "/ui/"] {
        let page = registry.get(path).await;
        assert_eq!(page.status, 200);
        let policy = page.headers["content-security-policy"].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{policy}");
        let html = page.text();
        assert!(!html.contains("<script"), "what services say is text");
        for part in ["loyalty-1", "Points", "http://127.0.0.1:4001/docs", "http://127.0.0.1:8070/"]
        {
            assert!(html.contains(part), "{part} is missing");
        }
    }
    assert_eq!(registry.get("/ui/registry.css").await.headers["content-type"], "text/css");
}
