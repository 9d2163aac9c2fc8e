//! Operators' wishes in a real registry: kept through SIGKILL, watched, and written by nobody else.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use backline_client::{Discovery, Key, KeyOp};
use backline_testkit::{Service, TempDir, http};
use tokio::sync::watch;

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A registry that comes back on its address: on a loopback address of this test's own.
struct Registry {
    service: Service,
    _dir: TempDir,
}

impl Registry {
    fn start(number: u8) -> Self {
        let (dir, pid) = (TempDir::new(), std::process::id() % 0xFFFF);
        let file = token_file(&dir, 0o600);
        let service = Service::daemon("registry")
            .env("BACKLINE_LISTEN", format!("127.{}.{}.{number}:8500", pid >> 8, pid & 0xFF))
            .env("BACKLINE_OPERATOR_TOKEN_FILE", file.display().to_string())
            .start();
        Self { service, _dir: dir }
    }

    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> http::Answer {
        let body = Some(body.as_bytes());
        http::request(method, &self.service.url(path), headers, body).expect("an answer")
    }

    fn operate(&self, method: &str, path: &str, body: &str) -> String {
        self.call(method, path, &[("X-Consul-Token", TOKEN)], body).expect(200).text()
    }

    fn get(&self, path: &str) -> (u16, u64) {
        let answer = http::get(&self.service.url(path));
        let index = answer.header("x-consul-index").and_then(|index| index.parse().ok());
        (answer.status, index.expect("an index"))
    }

    fn discovery(&self) -> Discovery {
        let url = format!("consul://{}", self.service.address());
        Discovery::from_url(&url, "tester-1").expect("an address")
    }
}

fn token_file(dir: &TempDir, mode: u32) -> PathBuf {
    let file = dir.join("operator.token");
    fs::write(&file, TOKEN).expect("written");
    fs::set_permissions(&file, Permissions::from_mode(mode)).expect("ours");
    file
}

#[test]
fn what_was_answered_is_there_after_sigkill() {
    let mut registry = Registry::start(1);
    let mut last = 0;
    for round in 0..5 {
        let path = format!("/v1/kv/wish/{round}");
        assert_eq!(registry.operate("PUT", &path, "x"), "true");
        registry.service.restart();
        let (status, index) = registry.get(&path);
        assert_eq!(status, 200, "{path}");
        assert!(index > last, "{index} after {last}");
        last = index;
    }
    assert_eq!(registry.operate("DELETE", "/v1/kv/wish/0", ""), "true");
    registry.service.restart();
    let (status, index) = registry.get("/v1/kv/wish/0");
    assert_eq!(status, 404);
    assert!(index > last);
    assert_eq!(registry.get("/v1/kv/wish/?keys"), (200, index));
}

#[test]
fn a_blocking_query_goes_on_over_a_restart_where_it_was() {
    let mut registry = Registry::start(2);
    registry.operate("PUT", "/v1/kv/wish/1", "x");
    registry.operate("PUT", "/v1/kv/wish/2", "x");
    registry.operate("DELETE", "/v1/kv/wish/2", "");
    let (_, index) = registry.get("/v1/kv/wish/?recurse");
    registry.service.restart();
    let same = format!("/v1/kv/wish/?recurse&index={index}&wait=100ms");
    assert_eq!(registry.get(&same), (200, index), "nothing changed: it waits in vain");
    let waits = registry.service.url(&format!("/v1/kv/wish/?recurse&index={index}&wait=9s"));
    let waiting = thread::spawn(move || http::get(&waits));
    registry.operate("PUT", "/v1/kv/wish/3", "x");
    let answer = waiting.join().expect("an answer").expect(200);
    assert_eq!(answer.json().as_array().map(Vec::len), Some(2));
    assert!(registry.get("/v1/kv/wish/?recurse").1 > index);
}

/// Waits until exactly these keys are known.
async fn know(keys: &mut watch::Receiver<Arc<BTreeMap<String, Key>>>, wanted: &[&str]) {
    let known = keys.wait_for(|keys| keys.keys().map(String::as_str).eq(wanted.to_vec()));
    let known = tokio::time::timeout(Duration::from_secs(20), known).await;
    drop(known.unwrap_or_else(|_| panic!("{wanted:?} are not known")).expect("a watcher"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_watches_writes_and_forgets_at_once_what_was_deleted() {
    let mut registry = Registry::start(3);
    let discovery = registry.discovery();
    let mut keys = discovery.watch_keys("wish/");
    let set = |key: &str| KeyOp::Set { key: format!("wish/{key}"), value: b"on".to_vec() };
    discovery.write_keys(TOKEN, vec![set("a"), set("b")]).await.expect("written");
    know(&mut keys, &["wish/a", "wish/b"]).await;
    assert_eq!(keys.borrow()["wish/a"].value, b"on");
    let denied = discovery.write_keys("another", vec![set("c")]).await.expect_err("denied");
    assert_eq!(denied.status(), Some(403));
    assert!(denied.to_string().contains("Permission denied"), "{denied}");

    registry.service.kill9();
    know(&mut keys, &["wish/a", "wish/b"]).await;
    assert!(discovery.write_keys(TOKEN, vec![set("c")]).await.expect_err("away").is_away());
    registry.service.restart();
    let gone = KeyOp::Delete { key: "wish/a".into() };
    discovery.write_keys(TOKEN, vec![gone]).await.expect("written");
    know(&mut keys, &["wish/b"]).await;
}

#[test]
fn a_web_page_cannot_write_even_with_the_token() {
    let registry = Registry::start(4);
    let token = ("X-Consul-Token", TOKEN);
    for (header, code) in [
        (("Origin", "http://evil.example"), "foreign-origin"),
        (("Origin", "null"), "foreign-origin"),
        (("Host", "evil.example"), "foreign-host"),
    ] {
        for (method, path) in [("PUT", "/v1/kv/a"), ("PUT", "/v1/txn"), ("DELETE", "/v1/kv/a")] {
            let answer = registry.call(method, path, &[token, header], "[]").expect(403);
            assert!(answer.text().contains(code), "{answer}");
        }
    }
    assert_eq!(registry.call("PUT", "/v1/kv/a", &[], "x").status, 403);
    assert_eq!(registry.get("/v1/kv/a").0, 404);
    let big = "x".repeat(512 * 1024);
    assert_eq!(registry.operate("PUT", "/v1/kv/a", &big), "true");
}

#[test]
fn a_token_that_others_can_read_is_refused_at_the_start() {
    let dir = TempDir::new();
    let file = token_file(&dir, 0o644);
    let output = Command::new(env!("CARGO_BIN_EXE_backline"))
        .args(["registry", "--listen", "127.0.0.1:0"])
        .env("BACKLINE_OPERATOR_TOKEN_FILE", &file)
        .current_dir(dir.path())
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("BACKLINE_OPERATOR_TOKEN_FILE") && said.contains("644"), "{said}");
}
