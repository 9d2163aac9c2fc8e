//! HTTP checks against real servers.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::support::{Running, start};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[derive(Clone, Copy, Debug)]
enum Mood {
    Well,
    Busy,
    Ill,
    Silent,
    Elsewhere,
    Chatty,
}

#[derive(Clone)]
struct Patient {
    mood: Arc<Mutex<Mood>>,
    followed: Arc<AtomicUsize>,
    address: SocketAddr,
}

impl Patient {
    fn feels(&self, mood: Mood) {
        *self.mood.lock().expect("not poisoned") = mood;
    }
}

/// A service that is as healthy as it is told to be, and knows its own name.
async fn patient() -> Patient {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let patient = Patient {
        mood: Arc::new(Mutex::new(Mood::Well)),
        followed: Arc::default(),
        address: listener.local_addr().expect("an address"),
    };
    let router = Router::new()
        .route("/health", get(tell))
        .route("/elsewhere", get(followed))
        .with_state(patient.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    patient
}

async fn tell(State(patient): State<Patient>, headers: HeaderMap) -> Response {
    if headers.get("backline-instance").is_some_and(|name| name != "loyalty-1") {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    }
    let mood = *patient.mood.lock().expect("not poisoned");
    match mood {
        Mood::Well => "well".into_response(),
        Mood::Busy => StatusCode::TOO_MANY_REQUESTS.into_response(),
        Mood::Ill => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Mood::Silent => std::future::pending().await,
        Mood::Elsewhere => (StatusCode::FOUND, [(header::LOCATION, "/elsewhere")]).into_response(),
        Mood::Chatty => "x".repeat(1_000_000).into_response(),
    }
}

async fn followed(State(patient): State<Patient>) -> &'static str {
    patient.followed.fetch_add(1, Ordering::Relaxed);
    "well"
}

fn registration(id: &str, address: SocketAddr) -> Value {
    json!({
        "Name": "loyalty", "ID": id, "Address": address.ip().to_string(), "Port": address.port(),
        "Check": {
            "HTTP": format!("http://{address}/health"), "Interval": "100ms", "Timeout": "300ms",
            "Header": { "Backline-Instance": [id] }
        }
    })
}

async fn becomes(registry: &Running, status: &str) -> String {
    let is = |checks: &Value| {
        checks[0]["Status"] == status && checks[0]["Output"].as_str().is_some_and(|o| !o.is_empty())
    };
    let checks = registry.until("/v1/health/checks/loyalty", is).await;
    checks[0]["Output"].as_str().expect("text").to_owned()
}

#[tokio::test]
async fn a_check_follows_the_health_of_its_service() {
    let (registry, patient) = (start().await, patient().await);
    registry.register(registration("loyalty-1", patient.address)).await;
    assert!(becomes(&registry, "passing").await.ends_with("200 OK Output: well"));
    patient.feels(Mood::Busy);
    assert!(becomes(&registry, "warning").await.contains("429"));
    patient.feels(Mood::Ill);
    assert!(becomes(&registry, "critical").await.contains("503"));
    patient.feels(Mood::Well);
    becomes(&registry, "passing").await;
    patient.feels(Mood::Silent);
    assert!(becomes(&registry, "critical").await.contains("no answer within 300ms"));
    patient.feels(Mood::Chatty);
    assert_eq!(becomes(&registry, "passing").await.len(), 1_024);
}

#[tokio::test]
async fn a_redirect_is_critical_and_not_followed() {
    let (registry, patient) = (start().await, patient().await);
    patient.feels(Mood::Elsewhere);
    registry.register(registration("loyalty-1", patient.address)).await;
    assert!(becomes(&registry, "critical").await.contains("redirects are not followed"));
    assert_eq!(patient.followed.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn another_process_on_the_same_port_is_critical() {
    let (registry, patient) = (start().await, patient().await);
    registry.register(registration("loyalty-2", patient.address)).await;
    assert!(becomes(&registry, "critical").await.contains("421"));
}

#[tokio::test]
async fn a_service_that_is_gone_is_critical_and_then_taken_out() {
    let registry = start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let mut body = registration("loyalty-1", address);
    body["Check"]["DeregisterCriticalServiceAfter"] = json!("1s");
    body["Check"]["Status"] = json!("passing");
    registry.register(body).await;
    assert!(becomes(&registry, "critical").await.contains("connect to"));
    registry.until("/v1/health/service/loyalty", |entries| *entries == json!([])).await;
}

#[tokio::test]
async fn services_that_hang_do_not_delay_the_checks_of_others() {
    let (registry, hanging, well) = (start().await, patient().await, patient().await);
    hanging.feels(Mood::Silent);
    for n in 0..400 {
        let mut body = registration("loyalty-1", hanging.address);
        body["Name"] = json!("hanging");
        body["ID"] = json!(format!("hanging-{n}"));
        body["Check"]["Timeout"] = json!("2s");
        registry.register(body).await;
    }
    // Each has used up its time once.
    let all_slow = |checks: &Value| {
        let checks = checks.as_array().expect("a list");
        checks.iter().all(|check| check["Output"].as_str().is_some_and(|o| o.contains("no answer")))
    };
    // Critical from the start, they change no index: looked at again each second.
    registry.until("/v1/health/checks/hanging", all_slow).await;
    registry.register(registration("loyalty-1", well.address)).await;
    becomes(&registry, "passing").await;
    let started = std::time::Instant::now();
    well.feels(Mood::Ill);
    becomes(&registry, "critical").await;
    assert!(started.elapsed().as_millis() < 1_500, "it took {:?}", started.elapsed());
}
