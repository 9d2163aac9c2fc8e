//! The breaker board, and what operators do to it.

use std::os::unix::fs::PermissionsExt;

use backline_chassis::OperatorToken;
use serde_json::{Value, json};

use super::{Estate, daemon, entry, fakes};

const TOKEN: &str = "5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed";
const BEGIN: &str = "action=begin-maintenance&service=customers&reason=new+disk";

fn token(name: &str) -> OperatorToken {
    let file = std::env::temp_dir().join(format!("backline-{}-{name}", std::process::id()));
    std::fs::write(&file, TOKEN).expect("written");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("ours");
    let token = OperatorToken::read(&file).expect("a token");
    std::fs::remove_file(file).expect("there");
    token
}

/// Email, which tells its breakers, and customers, which gives no answer.
async fn estate(name: &str) -> Estate {
    let board = fakes::board().await;
    let entries = [
        entry("customers", "customers-1", 1, "critical"),
        entry("email", "email-1", board.port(), "passing"),
        daemon("gateway", 1),
    ];
    let estate = Estate::operated(&entries, Some(token(name))).await;
    estate.registry.keys.send_modify(|keys| keys.token = TOKEN.to_owned());
    estate.page_with("/board", "email-1").await;
    estate
}

async fn signed_in(estate: &Estate) -> String {
    let answer = estate.post("/operator", "", &format!("name=Ada&token={TOKEN}")).await;
    assert_eq!((answer.status(), answer.header("location")), ("303", "/board"));
    let cookie = answer.header("set-cookie").to_owned();
    for part in ["httponly", "samesite=strict", "path=/", "max-age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(TOKEN), "the cookie is not the token");
    cookie.split(';').next().expect("a pair").to_owned()
}

#[tokio::test]
async fn breakers_are_shown_with_their_figures_and_who_is_silent() {
    let estate = estate("shown").await;
    let page = estate.page_with("/board", "customers-1").await;
    for part in [
        "<title>Breakers · Backline</title>",
        "No answer from",
        "email-1: 3 of 256 requests at work",
        "1 % of 50 %",
        "for 1 min 30 s",
        "1.3, 9.8 ms / 5 s",
        "2 / 64",
        "mails wait and are sent later",
        "127.0.0.1:41003 left out for 28.1 s",
        "data-live=\"/live/breakers?have=",
        "/operator/steer?service=customers&#38;caller=email",
    ] {
        assert!(page.contains(part), "{part} is missing: {page}");
    }
}

#[tokio::test]
async fn the_same_is_told_as_json() {
    let estate = estate("json").await;
    let told = estate.json("/api/breakers").await;
    assert_eq!(told["maintenance"], json!([]));
    let of = |name: &str| {
        let processes = told["processes"].as_array().expect("processes");
        processes.iter().find(|process| process["instance"] == name).expect("listed").clone()
    };
    assert_eq!(of("customers-1")["board"], Value::Null);
    assert_eq!(of("email-1")["board"]["server"]["limit"], 256);
    assert_eq!(of("email-1")["board"]["dependencies"][0]["breaker"]["state"], "closed");
    let shape = &estate.json("/api").await["shapes"]["/api/breakers"];
    super::api::documented(&told, shape, "/api/breakers");
}

#[tokio::test]
async fn what_an_operator_wishes_is_written_with_its_record_and_seen() {
    let estate = estate("wished").await;
    let cookie = signed_in(&estate).await;
    let mut live = estate.watch("/live/breakers").await;
    let answer = estate.post("/operator/steer", &cookie, BEGIN).await;
    assert_eq!((answer.status(), answer.header("location")), ("303", "/board"));
    while !live.main().await.contains("new disk") {}
    let told = estate.json("/api/breakers").await;
    assert_eq!(told["maintenance"][0]["by"], "Ada");
    let open = "action=open&caller=email&service=customers&reason=";
    assert_eq!(estate.post("/operator/steer", &cookie, open).await.status(), "303");
    let keys = estate.registry.keys.borrow().all.clone();
    assert!(keys.contains_key("backline/breakers/email/customers"), "{keys:?}");
    let end = "action=end-maintenance&service=customers";
    assert_eq!(estate.post("/operator/steer", &cookie, end).await.status(), "303");
    estate.page_without("/board", "Maintenance of").await;
    estate.page_with("/audit", "maintenance.end").await;
    let records = estate.json("/api/audit").await;
    let did = |record: &Value| format!("{} {}", record["by"], record["action"]);
    let did: Vec<_> = records["records"].as_array().expect("records").iter().map(did).collect();
    let expected = ["maintenance.end", "breaker.open", "maintenance.begin"];
    assert_eq!(did, expected.map(|action| format!("\"Ada\" \"{action}\"")));
    let shape = &estate.json("/api").await["shapes"]["/api/audit"];
    super::api::documented(&records, shape, "/api/audit");
}

#[tokio::test]
async fn without_a_session_nothing_is_changed() {
    let estate = estate("unsigned").await;
    let cookie = signed_in(&estate).await;
    for cookie in ["", "backline_operator=", "backline_operator=guess"] {
        let answer = estate.post("/operator/steer", cookie, BEGIN).await;
        assert_eq!(answer.status(), "403");
        assert!(answer.body.contains("urn:backline:error:operator-needed"), "{}", answer.body);
    }
    let wrong = estate.post("/operator", "", "name=Ada&token=guess").await;
    assert_eq!((wrong.status(), wrong.header("set-cookie")), ("403", ""));
    assert!(wrong.body.contains("That is not the token"), "{}", wrong.body);
    let nobody = estate.post("/operator", "", &format!("name=+&token={TOKEN}")).await;
    assert_eq!(nobody.status(), "400");
    assert_eq!(estate.post("/operator/sign-out", &cookie, "").await.status(), "303");
    assert_eq!(estate.post("/operator/steer", &cookie, BEGIN).await.status(), "403");
    assert!(estate.registry.keys.borrow().all.is_empty());
}

#[tokio::test]
async fn a_wish_that_is_none_is_refused_with_what_would_be_right() {
    let estate = estate("none").await;
    let cookie = signed_in(&estate).await;
    for (form, right) in [
        ("", "missing field"),
        ("action=dance&caller=email&service=customers", "begin-maintenance"),
        ("action=begin-maintenance&service=customers", "Say why"),
        ("action=begin-maintenance&service=customers&reason=a%0Ab", "on one line"),
        (
            "action=begin-maintenance&service=custmers&reason=x",
            "There are: customers, email, gateway",
        ),
        ("action=open&caller=nobody&service=customers", "no service 'nobody'"),
    ] {
        let answer = estate.post("/operator/steer", &cookie, form).await;
        assert_eq!(answer.status(), "400", "{form}");
        assert!(answer.body.contains(right), "{form}: {}", answer.body);
    }
    estate.registry.keys.send_modify(|keys| keys.token = "another".to_owned());
    let refused = estate.post("/operator/steer", &cookie, BEGIN).await;
    assert_eq!(refused.status(), "502");
    assert!(refused.body.contains("wish-refused"), "{}", refused.body);
    assert!(estate.registry.keys.borrow().all.is_empty());
}

#[tokio::test]
async fn without_a_token_the_console_says_what_to_do() {
    let estate = Estate::usual().await;
    let page = estate.get("/operator").await;
    assert!(page.body.contains("BACKLINE_OPERATOR_TOKEN_FILE"), "{}", page.body);
    assert!(!page.body.contains("<form"));
    assert_eq!(estate.post("/operator/steer", "", BEGIN).await.status(), "403");
}
