//! What the gateway does not let through: claims, foreign pages, ambiguous paths and framing.

mod support;

use std::sync::LazyLock;

use axum::{Json, Router, extract::Request};
use support::{Answer, ENOUGH, Running, Service, named, scripted, serve, start};
use tokio::io::AsyncWriteExt;

static GATEWAY: LazyLock<Running> = LazyLock::new(|| start(ENOUGH));

/// Answers with the headers that it got.
async fn headers() -> Service {
    let headers = async |request: Request| {
        let lines: Vec<String> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or("?")))
            .collect();
        (
            [("trace-id", "theirs"), ("backline-secret", "1"), ("keep-alive", "timeout=1")],
            Json(lines),
        )
    };
    serve(Router::new().fallback(headers)).await
}

fn line<'a>(answer: &'a serde_json::Value, name: &str) -> Vec<&'a str> {
    let lines = answer.as_array().expect("a list").iter().filter_map(|line| line.as_str());
    lines
        .filter_map(|line| line.split_once(": "))
        .filter(|(n, _)| *n == name)
        .map(|(_, v)| v)
        .collect()
}

#[tokio::test]
async fn a_request_gets_a_trace_of_its_own() {
    let service = headers().await;
    GATEWAY.route("traced", &[service.address]);
    let claimed = "0af7651916cd43dd8448eb211c80319c";
    let claims = format!(
        "traceparent: 00-{claimed}-b7ad6b7169203331-01\r\ntracestate: a=b\r\nbaggage: user=root\r\n\
         Backline-Correlation: {claimed}\r\n"
    );
    let answer = GATEWAY.ask("GET /traced", &claims, "").await;
    let got = answer.json();
    let trace = answer.header("trace-id").expect("a trace id").to_owned();
    assert_eq!(answer.headers("trace-id").len(), 1);
    assert_ne!(trace, claimed);
    assert_eq!(line(&got, "backline-correlation"), [&*trace]);
    assert!(line(&got, "traceparent")[0].starts_with(&format!("00-{trace}-")), "{got}");
    assert!(line(&got, "tracestate").is_empty() && line(&got, "baggage").is_empty(), "{got}");
}

#[tokio::test]
async fn a_service_sees_only_what_the_gateway_says_of_the_caller() {
    let service = headers().await;
    GATEWAY.route("believed", &[service.address]);
    let claims = format!(
        "Forwarded: for=1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\
         X-Real-IP: 1.2.3.4\r\nBackline-Identity: root\r\nBackline-To: gateway\r\n\
         Origin: http://{}\r\nTE: trailers\r\nUpgrade: h2c\r\nProxy-Authorization: x\r\n\
         Connection: x-named\r\nX-Named: 1\r\nAuthorization: kept\r\n",
        GATEWAY.address
    );
    let answer = GATEWAY.ask("GET /believed", &claims, "").await;
    let got = answer.json();
    let mut names: Vec<&str> = got
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|line| line.as_str()?.split_once(": "))
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "authorization",
            "backline-correlation",
            "backline-to",
            "forwarded",
            "host",
            "traceparent"
        ]
    );
    assert_eq!(line(&got, "host"), [service.address.to_string()]);
    assert_eq!(line(&got, "backline-to"), ["believed"]);
    let forwarded = line(&got, "forwarded")[0];
    assert!(
        forwarded.ends_with(&format!(";host=\"{}\";proto=http", GATEWAY.address)),
        "{forwarded}"
    );
    assert!(!forwarded.contains("1.2.3.4"));
    assert_eq!(answer.header("backline-secret"), None);
    assert_eq!(answer.header("keep-alive"), None);
}

#[tokio::test]
async fn pages_and_names_of_other_sites_are_refused() {
    let service = scripted(None).await;
    GATEWAY.route("guarded", &[service.address]);
    for origin in ["http://evil.example", "null", "http://localhost:1"] {
        let answer = GATEWAY.ask("GET /guarded", &format!("Origin: {origin}\r\n"), "").await;
        assert_eq!((answer.status, &*answer.code()), (403, "foreign-origin"), "{origin}");
    }
    let raw = "GET /guarded HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let answer = GATEWAY.raw(raw.as_bytes()).await;
    assert_eq!((answer.status, &*answer.code()), (403, "foreign-host"));
    assert_eq!(service.count(), 0, "nothing was forwarded");
}

#[tokio::test]
async fn ambiguous_paths_are_refused_and_not_forwarded() {
    let service = scripted(None).await;
    GATEWAY.route("paths", &[service.address]);
    for path in [
        "/paths/../health",
        "/paths/..",
        "/paths/./health",
        "/paths//health",
        "//health",
        "//paths",
        "/paths/%2e%2e/health",
        "/paths/.%2E/health",
        "/paths%2f..%2fhealth",
        "/paths/%2Fhealth",
        "/paths/..%5chealth",
        "/paths\\..\\health",
        "/paths/..;/health",
        "/paths/%00",
        "/paths/%0d%0a",
        "/paths/%",
        "/paths/%g1",
    ] {
        let answer = GATEWAY.get(path).await;
        assert_eq!((answer.status, &*answer.code()), (400, "ambiguous-path"), "{path}");
        assert_eq!(answer.header("connection"), Some("close"), "{path}");
    }
    for line in ["OPTIONS *", "TRACE /paths", "CONNECT paths:80"] {
        let status = GATEWAY.ask(line, "", "").await.status;
        assert!([400, 403, 405].contains(&status), "{line}: {status}");
    }
    assert_eq!(service.count(), 0, "nothing was forwarded");
}

/// Sends a head as it is; `HOST` in it stands for the gateway's address.
async fn send(head: &str) -> Answer {
    GATEWAY.raw(head.replace("HOST", &GATEWAY.address.to_string()).as_bytes()).await
}

#[tokio::test]
async fn heads_that_can_be_read_in_two_ways_are_refused() {
    let service = scripted(None).await;
    GATEWAY.route("heads", &[service.address]);
    for (what, head) in [
        (
            "two lengths",
            "POST /heads HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        ),
        (
            "a list of lengths",
            "POST /heads HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1, 1\r\n\r\nab",
        ),
        ("a signed length", "POST /heads HTTP/1.1\r\nHost: HOST\r\nContent-Length: +1\r\n\r\na"),
        (
            "an endless length",
            "POST /heads HTTP/1.1\r\nHost: HOST\r\nContent-Length: 99999999999999999999\r\n\r\na",
        ),
        (
            "another encoding",
            "POST /heads HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: gzip\r\n\r\na",
        ),
        (
            "chunked, then more",
            "POST /heads HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        ),
        (
            "an encoding in HTTP/1.0",
            "POST /heads HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "a space before the colon",
            "POST /heads HTTP/1.1\r\nHost: HOST\r\nContent-Length : 1\r\n\r\na",
        ),
        ("a folded line", "GET /heads HTTP/1.1\r\nHost: HOST\r\nX-A: 1\r\n folded\r\n\r\n"),
        ("a line without a colon", "GET /heads HTTP/1.1\r\nHost: HOST\r\nnothing\r\n\r\n"),
        ("a zero byte", "GET /heads HTTP/1.1\r\nHost: HOST\r\nX-A: a\0b\r\n\r\n"),
        ("a bare carriage return", "GET /heads HTTP/1.1\r\nHost: HOST\r\nX-A: a\rX-B: b\r\n\r\n"),
        (
            "two hosts",
            "GET /heads HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\nConnection: close\r\n\r\n",
        ),
        ("no host", "GET /heads HTTP/1.1\r\nConnection: close\r\n\r\n"),
        ("a host with a user", "GET /heads HTTP/1.1\r\nHost: a@HOST\r\nConnection: close\r\n\r\n"),
        (
            "a target of another host",
            "GET http://127.0.0.1:1/heads HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n",
        ),
        ("two spaces", "GET  /heads HTTP/1.1\r\nHost: HOST\r\n\r\n"),
        ("another version", "GET /heads HTTP/1.7\r\nHost: HOST\r\n\r\n"),
    ] {
        let answer = send(head).await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
    }
    assert_eq!(service.count(), 0, "nothing was forwarded");
}

#[tokio::test]
async fn bodies_that_can_be_read_in_two_ways_end_the_connection() {
    let hidden = "GET /hidden HTTP/1.1\r\nHost: HOST\r\n\r\n";
    for (what, head) in [
        (
            "a size that is none",
            "POST /bodies HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ),
        (
            "a signed size",
            "POST /bodies HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
        ),
        (
            "a size with 0x",
            "POST /bodies HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        ),
        (
            "an endless size",
            "POST /bodies HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n",
        ),
        (
            "more than its size",
            "POST /bodies HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        ),
        (
            "a bare line feed",
            "POST /bodies HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
        ),
    ] {
        let (service, next) = (named("x").await, scripted(None).await);
        GATEWAY.route("bodies", &[service.address]);
        GATEWAY.route("hidden", &[next.address]);
        let bytes = format!("{head}{hidden}").replace("HOST", &GATEWAY.address.to_string());
        let mut stream = GATEWAY.connect().await;
        let _ = stream.write_all(bytes.as_bytes()).await;
        let mut all = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut all);
        let _ = tokio::time::timeout(ENOUGH, read).await.expect("the connection ends");
        assert_eq!(next.count(), 0, "{what}: what hides in the body was not carried out");
    }
}

/// hyper decides by the encoding (RFC 9112, 6.3) and closes; what it forwards has one framing.
#[tokio::test]
async fn a_length_beside_an_encoding_smuggles_nothing() {
    let hidden = "GET /prefixed HTTP/1.1\r\nHost: HOST\r\n\r\n";
    for lengths in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 6",
    ] {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let (service, next) = (scripted(Some(ok)).await, scripted(None).await);
        GATEWAY.route("lengths", &[service.address]);
        GATEWAY.route("prefixed", &[next.address]);
        let answer = send(&format!(
            "POST /lengths HTTP/1.1\r\nHost: HOST\r\n{lengths}\r\n\r\n0\r\n\r\n{hidden}"
        ))
        .await;
        assert_eq!(next.count(), 0, "what follows is not a request: {answer:?}");
        for seen in service.seen.lock().expect("a lock").iter() {
            let seen = seen.to_lowercase();
            let framings = seen.matches("content-length:").count()
                + seen.matches("transfer-encoding:").count();
            assert!(framings <= 1 && !seen.contains("prefixed"), "{seen}");
        }
    }
}

#[tokio::test]
async fn answers_with_two_framings_leave_with_one() {
    let both = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let service = scripted(Some(both)).await;
    GATEWAY.route("framed", &[service.address]);
    let answer = GATEWAY.get("/framed").await;
    assert_eq!((answer.header("content-length"), &*answer.body), (None, "abc"));
    let two = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 3\r\n\r\nabc";
    let service = scripted(Some(two)).await;
    GATEWAY.route("two-lengths", &[service.address]);
    let answer = GATEWAY.get("/two-lengths").await;
    assert_eq!((answer.status, &*answer.code()), (502, "upstream-cut"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_cut_and_does_not_seem_whole() {
    let half = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let service = scripted(Some(half)).await;
    GATEWAY.route("half", &[service.address]);
    let request = format!("GET /half HTTP/1.1\r\nHost: {}\r\n\r\n", GATEWAY.address);
    let mut stream = GATEWAY.connect().await;
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut all = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut all);
    let _ = tokio::time::timeout(ENOUGH, read).await.expect("the connection ends");
    assert!(!String::from_utf8_lossy(&all).contains("\r\n0\r\n"), "no end was written");
}

#[tokio::test]
async fn a_protocol_that_nobody_asked_for_is_no_answer() {
    let service = scripted(Some(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ))
    .await;
    GATEWAY.route("switching", &[service.address]);
    let answer = GATEWAY.ask("GET /switching", "Connection: upgrade\r\nUpgrade: x\r\n", "").await;
    assert_eq!((answer.status, &*answer.code()), (502, "upstream-cut"));
}
