//! The limits that `system.toml` sets are those that hold.

use std::fs;

use backline_testkit::{Estate, TempDir, http};
use serde_json::{Value, json};

const SYSTEM: &str = r#"
[system]
name = "limited"

[gateway.calls.customers]
connections = 100

[services.customers]
public = true
limit = "adaptive:20-200"

[services.email]
limit = 7

[services.email.calls.customers]
timeout = "1s"
tries = 1
"#;

/// What the first process of this name tells of its measures.
fn breakers(estate: &Estate, name: &str) -> Value {
    let instance = estate.instances(name).remove(0);
    http::get(&format!("http://{}/breakers", instance.address)).expect(200).json()
}

#[test]
fn each_process_has_the_limits_that_the_file_gives_it() {
    let folder = TempDir::new();
    let file = folder.join("system.toml");
    fs::write(&file, SYSTEM).expect("written");
    let estate = Estate::up_with(&file);
    let email = breakers(&estate, "email");
    assert_eq!(email["server"]["limit"], 7);
    let calls = email["dependencies"].as_array().expect("a list");
    let calls = calls.iter().find(|it| it["to"] == "customers" && it["purpose"] == "calls");
    let calls = calls.expect("email calls customers");
    assert_eq!((&calls["timeout_ms"], &calls["retries"]["tries"]), (&json!(1000), &json!(1)));
    assert_eq!(breakers(&estate, "customers")["server"]["limit"], 20);
    let _ = http::get(&format!("{}/customers", estate.gateway())).expect(200);
    let traffic = &breakers(&estate, "gateway")["dependencies"][0];
    assert_eq!((&traffic["to"], &traffic["bulkhead"]["limit"]), (&json!("customers"), &json!(100)));
}
