//! An operator at the console: nothing is changed without the token, and all at once with it.

use std::time::Duration;

use backline_e2e::Company;
use backline_testkit::{http, wait_for};

const SOON: Duration = Duration::from_secs(20);
const BEGIN: &str = "action=begin-maintenance&service=customers&reason=a+new+disk";
const END: &str = "action=end-maintenance&service=customers";

/// The status of a form that is sent to the console, and the cookie that comes back.
fn post(
    company: &Company,
    path: &str,
    headers: &[(&str, &str)],
    form: &str,
) -> (u16, Option<String>) {
    let url = format!("{}{path}", company.estate.console());
    let media_type = [("Content-Type", "application/x-www-form-urlencoded")];
    let headers = [&media_type[..], headers].concat();
    let answer = http::request("POST", &url, &headers, Some(form.as_bytes())).expect("an answer");
    let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next());
    (answer.status, cookie.map(str::to_owned))
}

fn until_customers_answer(company: &Company, status: u16) {
    wait_for(&format!("{status} for customers"), SOON, || {
        let answer = http::try_get(&format!("{}/customers", company.estate.gateway()))?;
        (answer.status == status).then_some(())
    });
}

#[test]
fn who_has_no_token_changes_nothing_and_who_has_it_stops_all_calls() {
    let company = Company::up();
    assert_eq!(post(&company, "/operator/steer", &[], BEGIN).0, 403);
    assert_eq!(post(&company, "/operator", &[], "name=eve&token=guess"), (403, None));
    let records = || http::get(&format!("{}/api/audit", company.estate.console())).expect(200);
    assert_eq!(records().json()["records"], serde_json::json!([]));
    until_customers_answer(&company, 200);

    let token = std::fs::read_to_string(company.estate.var().join("operator.token"));
    let token = token.expect("the token").trim().to_owned();
    let (status, cookie) = post(&company, "/operator", &[], &format!("name=ada&token={token}"));
    let cookie = cookie.expect("a cookie");
    assert!(status == 303 && !cookie.contains(&token), "the cookie is not the token");
    assert_eq!(post(&company, "/operator/steer", &[("Cookie", &cookie)], BEGIN).0, 303);
    until_customers_answer(&company, 503);
    // A page of another site has no say, whatever its browser sends with it.
    let foreign = [("Cookie", cookie.as_str()), ("Origin", "http://evil.example")];
    assert_eq!(post(&company, "/operator/steer", &foreign, END).0, 403);
    until_customers_answer(&company, 503);
    assert_eq!(post(&company, "/operator/steer", &[("Cookie", &cookie)], END).0, 303);
    until_customers_answer(&company, 200);

    let records = wait_for("both records", SOON, || {
        let records = records().json()["records"].as_array()?.clone();
        (records.len() == 2).then_some(records)
    });
    for (record, action) in records.iter().zip(["maintenance.end", "maintenance.begin"]) {
        assert!(record["action"] == action && record["by"] == "ada", "{record}");
    }
}
