//! What is forwarded, to whom, and what happens when an instance fails.

mod support;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::{ConnectInfo, Request},
    http::StatusCode,
};
use support::{ENOUGH, Running, named, nobody, scripted, serve, start};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

static GATEWAY: LazyLock<Running> = LazyLock::new(|| start(ENOUGH));

/// Answers with what it got: request line, some headers, body.
async fn echo() -> support::Service {
    let echo = async |request: Request| {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a whole body");
        let kept =
            head.headers.get("x-kept").and_then(|v| v.to_str().ok()).unwrap_or("-").to_owned();
        let text = format!("{} {} {kept} ", head.method, head.uri);
        (
            StatusCode::ACCEPTED,
            [("x-answered", "yes")],
            Bytes::from([text.as_bytes(), &body].concat()),
        )
    };
    serve(Router::new().fallback(echo)).await
}

#[tokio::test]
async fn method_path_query_headers_and_body_arrive_unchanged() {
    let service = echo().await;
    GATEWAY.route("echo", &[service.address]);
    for (line, body) in [
        ("GET /echo", ""),
        ("GET /echo/", ""),
        ("GET /echo/a%20b/M%C3%B6tley%27?q=%2e%2F..//x&&y=%zz&e=", ""),
        ("DELETE /echo/a;v=1,2:3@4!$&'()*+=~_-.x", ""),
        ("POST /echo/x", "{\"a\": 1}"),
        ("PUT /echo/x?y", "body"),
        ("PATCH /echo/x", "body"),
        ("PURGE /echo/x", "body"),
    ] {
        let answer = GATEWAY.ask(line, "X-Kept: it is\r\n", body).await;
        assert_eq!(answer.status, 202, "{line}: {answer:?}");
        assert_eq!(answer.header("x-answered"), Some("yes"));
        assert_eq!(answer.body, format!("{line} it is {body}"));
    }
}

#[tokio::test]
async fn a_chunked_body_arrives_whole() {
    let service = echo().await;
    GATEWAY.route("chunks", &[service.address]);
    let raw = format!(
        "POST /chunks HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
         3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n",
        GATEWAY.address
    );
    assert_eq!(GATEWAY.raw(raw.as_bytes()).await.body, "POST /chunks - abcde");
}

#[tokio::test]
async fn a_target_with_an_authority_is_forwarded_as_a_path() {
    let service = echo().await;
    GATEWAY.route("absolute", &[service.address]);
    let line = format!("GET http://{}/absolute/x?y", GATEWAY.address);
    assert_eq!(GATEWAY.ask(&line, "", "").await.body, "GET /absolute/x?y - ");
}

#[tokio::test]
async fn answers_without_a_body_keep_their_length_to_themselves() {
    let service =
        scripted(Some("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nConnection: close\r\n\r\n"))
            .await;
    let silent = scripted(Some("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")).await;
    let unchanged =
        scripted(Some("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nConnection: close\r\n\r\n"))
            .await;
    GATEWAY.route("sized", &[service.address]);
    GATEWAY.route("silent", &[silent.address]);
    GATEWAY.route("unchanged", &[unchanged.address]);
    let sized = GATEWAY.ask("HEAD /sized", "", "").await;
    assert_eq!((sized.header("content-length"), &*sized.body), (Some("1234"), ""));
    let answer = GATEWAY.ask("HEAD /silent", "", "").await;
    assert_eq!((answer.status, answer.header("content-length")), (200, None), "{answer:?}");
    let answer = GATEWAY.ask("GET /unchanged", "", "").await;
    assert_eq!((answer.status, answer.header("content-length")), (304, None), "{answer:?}");
    assert_eq!(answer.header("etag"), Some("\"1\""));
}

#[tokio::test]
async fn requests_are_spread_over_the_instances() {
    let (a, b, c) = (named("a").await, named("b").await, named("c").await);
    GATEWAY.route("spread", &[a.address, b.address, c.address]);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..30 {
        *counts.entry(GATEWAY.get("/spread").await.body).or_default() += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [10, 10, 10]);
}

#[tokio::test]
async fn each_request_on_one_connection_is_balanced_by_itself() {
    let (a, b) = (named("a").await, named("b").await);
    GATEWAY.route("each", &[a.address, b.address]);
    let mut stream = GATEWAY.connect().await;
    let mut bodies = String::new();
    for _ in 0..4 {
        let request = format!("GET /each HTTP/1.1\r\nHost: {}\r\n\r\n", GATEWAY.address);
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.expect("an answer");
        bodies.push_str(&String::from_utf8_lossy(&buffer[read - 1..read]));
    }
    assert!(["abab", "baba"].contains(&&*bodies), "{bodies}");
}

#[tokio::test]
async fn connections_to_an_instance_are_used_again() {
    let ports =
        async |ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>| peer.port().to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let service =
        Router::new().fallback(ports).into_make_service_with_connect_info::<std::net::SocketAddr>();
    let serving = tokio::spawn(async move { axum::serve(listener, service).await });
    GATEWAY.route("again", &[address]);
    let first = GATEWAY.get("/again").await.body;
    assert_eq!(GATEWAY.get("/again").await.body, first);
    serving.abort();
}

#[tokio::test]
async fn idempotent_requests_that_were_cut_are_repeated_once_on_another_instance() {
    for method in ["GET", "PUT", "DELETE"] {
        let (dying, alive) = (scripted(None).await, named("alive").await);
        GATEWAY.route("cut", &[dying.address, alive.address]);
        let body = if method == "PUT" { "small" } else { "" };
        for _ in 0..2 {
            let answer = GATEWAY.ask(&format!("{method} /cut"), "", body).await;
            assert_eq!((answer.status, &*answer.body), (200, "alive"), "{method}");
        }
        assert!(dying.count() >= 1, "{method} was tried there");
    }
    let (one, two) = (scripted(None).await, scripted(None).await);
    let three = scripted(None).await;
    GATEWAY.route("all-cut", &[one.address, two.address, three.address]);
    let answer = GATEWAY.get("/all-cut").await;
    assert_eq!((answer.status, &*answer.code()), (502, "upstream-cut"));
    assert_eq!(one.count() + two.count() + three.count(), 2, "once, and once again");
}

#[tokio::test]
async fn a_post_that_an_instance_has_read_is_not_repeated() {
    for method in ["POST", "PATCH"] {
        let (one, two) = (scripted(None).await, scripted(None).await);
        GATEWAY.route("post", &[one.address, two.address]);
        let answer = GATEWAY.ask(&format!("{method} /post"), "", "charge 10").await;
        assert_eq!((answer.status, &*answer.code()), (502, "upstream-cut"));
        assert_eq!(one.count() + two.count(), 1, "{method} went out once");
    }
}

#[tokio::test]
async fn what_was_never_sent_goes_to_another_instance_whatever_the_method() {
    let alive = echo().await;
    let away = nobody().await;
    GATEWAY.route("refused", &[away, away, alive.address]);
    for _ in 0..3 {
        let answer = GATEWAY.ask("POST /refused", "", "charge 10").await;
        assert_eq!((answer.status, &*answer.body), (202, "POST /refused - charge 10"));
        let large = "x".repeat(100 * 1024);
        let answer = GATEWAY.ask("POST /refused", "", &large).await;
        assert_eq!(answer.body.len(), "POST /refused - ".len() + large.len());
    }
}

#[tokio::test]
async fn somebody_elses_port_is_passed_over_for_any_method() {
    let other = scripted(Some(
        "HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ))
    .await;
    let right = named("right").await;
    GATEWAY.route("moved", &[other.address, right.address]);
    for _ in 0..4 {
        assert_eq!(GATEWAY.ask("POST /moved", "", "x").await.body, "right");
    }
    assert!(other.count() >= 1);
    GATEWAY.route("all-moved", &[other.address]);
    let answer = GATEWAY.ask("POST /all-moved", "", "x").await;
    assert_eq!((answer.status, &*answer.code()), (503, "upstream-moved"));
}

#[tokio::test]
async fn a_connection_that_went_stale_is_no_reason_to_fail() {
    // It answers once on each connection, without saying so, and cuts the second request.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let served = Arc::new(AtomicUsize::new(0));
    let counted = served.clone();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = counted.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                let _ = stream.read(&mut buffer).await;
                counted.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    GATEWAY.route("stale", &[address]);
    for _ in 0..4 {
        assert_eq!(GATEWAY.get("/stale").await.body, "ok");
    }
    assert!(served.load(Ordering::Relaxed) >= 1, "old connections were tried");
    serving.abort();
}

#[tokio::test]
async fn an_instance_that_is_no_longer_known_gets_no_connection_kept() {
    let (old, new) = (named("old").await, named("new").await);
    GATEWAY.route("replaced", &[old.address]);
    assert_eq!(GATEWAY.get("/replaced").await.body, "old");
    GATEWAY.route("replaced", &[new.address]);
    assert_eq!(GATEWAY.get("/replaced").await.body, "new");
}

#[tokio::test]
async fn unknown_services_are_not_found_and_the_public_ones_are_listed() {
    let service = named("x").await;
    GATEWAY.route("listed", &[service.address]);
    for path in
        ["/nothing", "/nothing/health", "/LISTED", "/%6cisted", "/events", "/openapi.json", "/docs"]
    {
        let answer = GATEWAY.get(path).await;
        assert_eq!((answer.status, &*answer.code()), (404, "no-such-service"), "{path}");
        let public = answer.json()["services"].clone();
        assert!(public.as_array().is_some_and(|all| all.contains(&"/listed".into())), "{public}");
    }
}

#[tokio::test]
async fn operational_paths_are_the_gateways_own() {
    let service = named("the service").await;
    GATEWAY.route("health", &[service.address]);
    GATEWAY.route("metrics", &[service.address]);
    assert_eq!(GATEWAY.get("/health").await.json()["service"], "gateway");
    assert!(!GATEWAY.get("/metrics").await.body.contains("the service"));
    assert_eq!(GATEWAY.get("/health/x").await.status, 404);
}

#[tokio::test]
async fn nobody_healthy_and_nobody_reachable_are_told_apart() {
    GATEWAY.route("empty", &[]);
    let answer = GATEWAY.get("/empty/x").await;
    assert_eq!((answer.status, &*answer.code()), (503, "no-healthy-instance"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    GATEWAY.route("away", &[nobody().await]);
    let answer = GATEWAY.ask("POST /away/x", "", "x").await;
    assert_eq!((answer.status, &*answer.code()), (502, "upstream-unreachable"));
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn the_start_page_links_to_every_public_service() {
    let service = named("x").await;
    GATEWAY.route("linked", &[service.address]);
    let home = GATEWAY.ask("GET /", "Accept: application/hal+json\r\n", "").await;
    assert_eq!(home.status, 200);
    assert_eq!(home.json()["_links"]["linked"]["href"], "/linked");
    let page = GATEWAY.ask("GET /", "Accept: text/html\r\n", "").await;
    assert!(page.header("content-type").is_some_and(|t| t.starts_with("text/html")), "{page:?}");
    assert!(page.body.contains("href=\"/linked\""), "{}", page.body);
    let post = GATEWAY.ask("POST /", "", "x").await;
    assert_eq!((post.status, post.header("allow")), (405, Some("get, head")));
}

#[tokio::test]
async fn problems_are_pages_for_browsers() {
    let page = GATEWAY.ask("GET /nothing", "Accept: text/html\r\n", "").await;
    assert_eq!(page.status, 404);
    assert!(page.header("content-type").is_some_and(|t| t.starts_with("text/html")), "{page:?}");
}

#[tokio::test]
async fn requests_are_counted_by_service_and_outcome() {
    let (dying, alive) = (scripted(None).await, named("alive").await);
    GATEWAY.route("counted", &[dying.address, alive.address]);
    for _ in 0..2 {
        assert_eq!(GATEWAY.get("/counted").await.status, 200);
    }
    let metrics = GATEWAY.get("/metrics").await.body;
    for line in [
        "gateway_requests_total{service=\"counted\",status_class=\"2xx\",method=\"GET\"} 2",
        "gateway_request_seconds_count{service=\"counted\"} 2",
        "gateway_retries_total{service=\"counted\"} 1",
        "gateway_outstanding_requests{service=\"counted\",instance=\"counted-2\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is missing in: {metrics}");
    }
}

#[tokio::test]
async fn a_service_that_keeps_failing_gets_a_pause() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let failing = async move || {
        count.fetch_add(1, Ordering::SeqCst);
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let service = serve(Router::new().fallback(failing)).await;
    GATEWAY.route("failing", &[service.address]);
    for _ in 0..20 {
        assert_eq!(GATEWAY.get("/failing").await.status, 500);
    }
    let refused = GATEWAY.get("/failing").await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "breaker-open"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(asked.load(Ordering::SeqCst), 20);
}
