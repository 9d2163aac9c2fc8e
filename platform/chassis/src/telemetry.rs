//! Logs and metrics of a process.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Upper bounds of the histograms in seconds: from a call on loopback to a default timeout.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Starts JSON logs on standard output: one object a line, with the fields of the request's span
/// (trace id, correlation). `RUST_LOG` chooses what is logged; without it, or when it cannot be
/// read, that is `info` and above.
pub fn start_logs() {
    let filter =
        EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    let json = fmt::layer().json().flatten_event(true).with_span_list(false);
    // A second start in one process (a test) keeps the first.
    let _ = tracing_subscriber::registry().with(filter).with(json).try_init();
}

/// Starts the recording of metrics; the handle renders them for Prometheus.
///
/// # Errors
/// When a recorder runs already.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS)?
        .install_recorder()
}

/// Keeps histograms from growing between two scrapes.
pub(crate) async fn upkeep(handle: PrometheusHandle) {
    let mut every = tokio::time::interval(Duration::from_secs(10));
    loop {
        every.tick().await;
        handle.run_upkeep();
    }
}
