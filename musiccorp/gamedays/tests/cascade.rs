//! The scenario in a short form, with its real processes.

use std::process::Command;

use backline_testkit::{TempDir, bin};
use serde_json::Value;

#[test]
fn the_measures_hold_and_without_them_the_site_falls() {
    let dir = TempDir::new();
    let out = dir.path().join("report");
    let arguments = "--rate 200 --pairs 1 --seconds 2 --slow 6 --around 2 --workers 30".split(' ');
    let ran = Command::new(bin("cascade")).args(arguments).arg("--out").arg(&out).output();
    let ran = ran.expect("it runs");
    let said = String::from_utf8_lossy(&ran.stdout);
    let report = std::fs::read_to_string(out.join("cascade.json"))
        .unwrap_or_else(|error| panic!("{error}: {said} {}", String::from_utf8_lossy(&ran.stderr)));
    let report: Value = serde_json::from_str(&report).expect("JSON");
    // Latencies mean little in a development build beside other tests; that healthy traffic is
    // served, and all else, does.
    assert_eq!(report["pairs"][0]["slow_failed"], 0, "{report:#}");
    let connections = report["most_connections_with_measures"].as_u64();
    assert!(connections.is_some_and(|most| most <= 8), "{report:#}");
    assert_eq!(report["measures_on"]["new"]["failures"], serde_json::json!({}), "{said}");
    let failed = report["measures_off"]["failed_in_second_half_of_slow_time"].as_f64();
    assert!(failed.is_some_and(|share| share > 0.5), "{said}");
    let opened = report["measures_on"]["samples"].as_array().expect("samples");
    assert!(opened.iter().any(|sample| sample["breaker"] == "open"), "{said}");
    assert_eq!(opened.last().expect("a sample")["breaker"], "closed", "{said}");
    let page = std::fs::read_to_string(out.join("cascade.html")).expect("a page");
    assert!(page.matches("<svg").count() >= 5);
}
