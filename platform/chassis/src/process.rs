//! The life of a process, service or daemon: settings, logs, listener, registration, drain.

use std::{
    collections::BTreeMap, error::Error, fmt, net::SocketAddr, process::ExitCode, sync::Arc,
    time::Duration,
};

use axum::{Router, extract::DefaultBodyLimit, middleware::from_fn_with_state};
use backline_client::{Caller, Discovery, Registration};
use backline_hypermedia::Problem;
use http::StatusCode;
use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusHandle;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Fault,
    admission::MAX_BODY,
    guard::Guard,
    request::{Around, around},
    server,
    service::Setting,
    telemetry,
};

pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// Reads the settings, starts logs and runtime, runs `main`, and turns its end into an exit code:
/// 0 after a drain, 1 after a failure, 2 for wrong settings.
pub(crate) fn run<F>(name: &str, default_port: u16, settings: &[Setting], main: F) -> ExitCode
where
    F: AsyncFnOnce(Config) -> Result<(), Failed>,
{
    let config = match Config::from_env(name, default_port, settings) {
        Ok(config) => config,
        Err(mistakes) => {
            complain(name, &mistakes);
            return ExitCode::from(2);
        }
    };
    telemetry::start_logs();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(main(config));
            // What still runs on blocking threads must not hold up the end.
            runtime.shutdown_timeout(Duration::from_millis(500));
            ended
        }
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(name, &*error);
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a process that cannot run says so where people look first"
)]
pub(crate) fn complain(name: &str, error: &(impl fmt::Display + ?Sized)) {
    eprintln!("{name}: {error}");
}

/// What cannot be listened on, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; free it, or set BACKLINE_LISTEN to another address")]
struct CannotListen {
    address: SocketAddr,
    source: std::io::Error,
}

/// What a process is to others.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Service,
    /// A part of the platform: no store for answers, and perhaps callers from outside.
    Daemon {
        trusts_callers: bool,
    },
}

/// A process that listens and does not serve yet.
pub(crate) struct Process {
    pub config: Config,
    pub address: SocketAddr,
    pub discovery: Discovery,
    pub metrics: PrometheusHandle,
    pub drain: CancellationToken,
    name: &'static str,
    kind: Kind,
    listener: TcpListener,
}

impl Process {
    pub async fn start(config: Config, name: &'static str, kind: Kind) -> Result<Self, Failed> {
        allow_many_connections();
        let drain = server::shutdown_signal()?;
        let metrics = telemetry::start_metrics()?;
        tokio::spawn(telemetry::upkeep(metrics.clone()));
        let caller = Caller {
            service: name.to_owned(),
            instance: config.instance.clone(),
            limits: config.calls.clone(),
        };
        let discovery = Discovery::for_caller(&config.discovery, caller)?;
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|source| CannotListen { address: config.listen, source })?;
        let address = listener.local_addr()?;
        Ok(Self { config, address, discovery, metrics, drain, name, kind, listener })
    }

    pub fn registration(&self, version: &str, owner: &str, about: &str) -> Registration {
        let config = &self.config;
        let mut tags = vec![
            format!("zone={}", config.zone),
            format!("environment={}", config.environment),
            format!("version={version}"),
        ];
        if config.public {
            tags.insert(0, "public".into());
        }
        let mut meta = BTreeMap::new();
        let started = Timestamp::now().to_string();
        for (key, value) in [
            ("kind", if self.is_service() { "service" } else { "daemon" }),
            ("version", version),
            ("zone", &config.zone),
            ("environment", &config.environment),
            ("owner", owner),
            ("about", about),
            ("started", &started),
        ] {
            meta.insert(key.to_owned(), value.to_owned());
        }
        if self.is_service() {
            meta.insert("openapi".into(), "/openapi.json".into());
            meta.insert("docs".into(), "/docs".into());
        }
        Registration {
            id: config.instance.clone(),
            service: self.name.to_owned(),
            address: SocketAddr::new(
                config.advertise.unwrap_or(self.address.ip()),
                self.address.port(),
            ),
            tags,
            meta,
        }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    fn is_service(&self) -> bool {
        matches!(self.kind, Kind::Service)
    }

    /// Serves until the drain, and leaves the registry first.
    pub async fn serve(
        self,
        router: Router,
        registration: Option<Registration>,
    ) -> Result<(), Failed> {
        let around_all = Arc::new(Around {
            guard: Guard {
                service: self.name.to_owned(),
                instance: self.config.instance.clone(),
                address: self.address,
                hosts: self.config.hosts.clone(),
            },
            trusts_callers: !matches!(self.kind, Kind::Daemon { trusts_callers: false }),
        });
        let router = router
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(from_fn_with_state(around_all, around));
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server::serve(self.listener, router, stop.clone()));
        if let Some(file) = &self.config.address_file {
            server::write_address(file, self.address).map_err(|error| {
                format!("cannot write BACKLINE_ADDRESS_FILE '{}': {error}", file.display())
            })?;
        }
        tracing::info!(instance = self.config.instance, address = %self.address, "ready");
        let registered = registration
            .map(|registration| self.discovery.keep_registered(registration, self.drain.clone()));
        self.drain.cancelled().await;
        tracing::info!("draining");
        if let Some(registered) = registered {
            let _ = registered.await;
        }
        stop.cancel();
        serving.await?;
        Ok(())
    }
}

/// The usual limit of 1,024 descriptors is for programs that still use select(2); each request
/// that a gateway forwards costs two.
fn allow_many_connections() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the number of open connections stays limited");
    }
}

/// Answers for paths and methods that no route takes.
pub(crate) fn fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .fallback(async || Fault::not_found("No resource has this path."))
        .method_not_allowed_fallback(async || {
            Fault::from(
                Problem::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method-not-allowed",
                    "This resource does not take that method",
                )
                .detail("See the resource's own links and actions, or the service's /docs."),
            )
        })
}
