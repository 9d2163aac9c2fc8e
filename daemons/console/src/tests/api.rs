use serde_json::{Value, json};

use super::{Estate, entry, fakes};

fn without_moment(mut answer: Value) -> Value {
    let as_of = answer.as_object_mut().expect("an object").remove("as_of").expect("as_of");
    assert!(as_of.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()), "{as_of}");
    answer
}

#[tokio::test]
async fn services_have_the_documented_shape() {
    let estate = Estate::usual().await;
    let answer = without_moment(estate.json("/api/services").await);
    let instance = |id: &str, port: u16, health: &str| {
        json!({
            "id": id, "address": format!("127.0.0.1:{port}"), "version": "0.1.0", "zone": "local",
            "health": health, "started": "2026-01-02T03:04:05Z",
            "docs": format!("http://127.0.0.1:{port}/docs"),
        })
    };
    let customers = json!({
        "name": "customers", "kind": "service", "owner": "customer team",
        "about": "Keeps customers.", "version": "0.1.0", "public": true,
        "instances": [
            instance("customers-1", 4001, "passing"), instance("customers-2", 4002, "critical"),
        ],
    });
    let gateway = json!({
        "name": "gateway", "kind": "daemon", "owner": "", "about": "", "version": "0.1.0",
        "public": false,
        "instances": [{
            "id": "gateway-1", "address": "127.0.0.1:8080", "version": "0.1.0", "zone": "",
            "health": "passing", "started": null, "docs": null,
        }],
    });
    assert_eq!(answer, json!({ "services": [customers, gateway] }));
}

#[tokio::test]
async fn processes_have_the_documented_shape() {
    let estate = Estate::usual().await;
    let instances = [fakes::late("b"), fakes::complete("a")];
    estate.monitor.set(&instances);
    let answer = without_moment(estate.json("/api/processes").await);
    assert_eq!(answer, json!({ "processes": [fakes::process(1, 1)], "instances": instances }));
    let answer = without_moment(estate.json("/api/processes?correlation=a").await);
    assert_eq!(answer["instances"], json!([instances[1]]));
}

#[tokio::test]
async fn what_the_caller_has_already_is_not_sent_again() {
    let estate = Estate::usual().await;
    for path in ["/api", "/api/services", "/api/processes"] {
        let first = estate.get(path).await;
        assert_eq!(first.header("content-type"), "application/json", "{path}");
        let known = format!("If-None-Match: {}\r\n", first.header("etag"));
        let second = estate.get_with(path, &known).await;
        assert_eq!((second.status(), second.body.as_str()), ("304", ""), "{path}");
        assert_eq!(second.header("as-of").is_empty(), path == "/api");
    }
    let known = format!("If-None-Match: {}\r\n", estate.get("/api/services").await.header("etag"));
    estate.registry.set(&[entry("email", "email-1", 4003, "passing")]);
    estate.page_with("/", "email-1").await;
    assert_eq!(estate.get_with("/api/services", &known).await.status(), "200");
}

#[tokio::test]
async fn the_index_documents_every_member() {
    let estate = Estate::usual().await;
    estate.monitor.set(&[fakes::late("b")]);
    let index = estate.json("/api").await;
    for path in ["/api/services", "/api/processes"] {
        let shape = &index["shapes"][path];
        documented(&estate.json(path).await, shape, path);
    }
}

pub(super) fn documented(answer: &Value, shape: &Value, at: &str) {
    match (answer, shape) {
        (Value::Object(members), Value::Object(_)) => {
            for (name, member) in members {
                documented(member, &shape[name], &format!("{at} {name}"));
            }
        }
        (Value::Array(members), Value::Array(shapes)) => {
            members.iter().for_each(|member| documented(member, &shapes[0], at));
        }
        (Value::Null, Value::Object(_)) => {}
        (_, shape) => assert!(shape.is_string(), "{at} is not documented"),
    }
}

#[tokio::test]
async fn errors_are_problem_details() {
    let mut estate = Estate::usual().await;
    let problem = |answer: &super::Answer| -> Value {
        assert_eq!(answer.header("content-type"), "application/problem+json");
        serde_json::from_str(&answer.body).expect("JSON")
    };
    let nowhere = estate.get("/nowhere").await;
    assert_eq!(
        (nowhere.status(), &problem(&nowhere)["type"]),
        ("404", &json!("urn:backline:error:not-found"))
    );
    estate.monitor.go().await;
    let away = estate.get("/api/processes").await;
    assert_eq!(away.status(), "503");
    assert_eq!(problem(&away)["type"], "urn:backline:error:dependency-away");
    estate.monitor.come().await;
    assert_eq!(estate.get("/api/processes").await.status(), "200");
}

#[tokio::test]
async fn while_the_registry_is_away_the_last_known_is_told_with_its_age() {
    let mut estate = Estate::usual().await;
    estate.registry.go().await;
    estate.page_with("/", "The registry is away").await;
    let first = estate.json("/api/services").await;
    assert_eq!(first["services"][0]["name"], "customers");
    assert_eq!(first["as_of"], estate.json("/api/services").await["as_of"]);
}
