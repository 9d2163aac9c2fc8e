use std::{collections::BTreeMap, future::Future, pin::Pin, process::ExitCode};

use backline_events::{Emit, Failure};
use backline_store::Migration;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    App, Done, Reaction,
    describe::{self, EmittedEvent},
    process::complain,
    reaction::Reactions,
    run,
};

/// A variable of the service's own, and what says whether its value is right.
pub(crate) type Setting = (&'static str, fn(&str) -> Result<(), String>);
type Job = Box<dyn FnOnce(App) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// What a service is. Its `main` says it in one expression and ends with [`Service::run`].
///
/// ```no_run
/// # use backline_chassis::Service;
/// # use utoipa_axum::router::OpenApiRouter;
/// fn main() -> std::process::ExitCode {
///     Service::named("greetings")
///         .version(env!("CARGO_PKG_VERSION"))
///         .about("Says hello.")
///         .owner("front desk")
///         .resources(OpenApiRouter::new())
///         .run()
/// }
/// ```
pub struct Service {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) about: &'static str,
    pub(crate) owner: &'static str,
    pub(crate) migrations: Vec<Migration>,
    pub(crate) resources: OpenApiRouter<App>,
    pub(crate) emits: Vec<EmittedEvent>,
    pub(crate) calls: BTreeMap<&'static str, &'static str>,
    pub(crate) reactions: BTreeMap<&'static str, Reactions>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) jobs: Vec<(&'static str, Job)>,
}

impl Service {
    /// A service with this name; its resources lie under `/<name>`.
    #[must_use]
    pub fn named(name: &'static str) -> Self {
        Self {
            name,
            version: "0.0.0",
            about: "",
            owner: "",
            migrations: Vec::new(),
            resources: OpenApiRouter::new(),
            emits: Vec::new(),
            calls: BTreeMap::new(),
            reactions: BTreeMap::new(),
            settings: Vec::new(),
            jobs: Vec::new(),
        }
    }

    /// The service's own version: `env!("CARGO_PKG_VERSION")`.
    #[must_use]
    pub fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    /// One sentence for people: what it is there for.
    #[must_use]
    pub fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Who answers for it.
    #[must_use]
    pub fn owner(mut self, owner: &'static str) -> Self {
        self.owner = owner;
        self
    }

    /// The tables of its store. Migrations are applied in order, each once.
    #[must_use]
    pub fn store(mut self, migrations: &[Migration]) -> Self {
        self.migrations.extend_from_slice(migrations);
        self
    }

    /// Its resources.
    #[must_use]
    pub fn resources(mut self, routes: OpenApiRouter<App>) -> Self {
        self.resources = self.resources.merge(routes);
        self
    }

    /// An event that it emits, for its documentation.
    #[must_use]
    pub fn emits<E: Emit + ToSchema>(mut self) -> Self {
        self.emits.push(EmittedEvent::of::<E>());
        self
    }

    /// Another service that its handlers and reactions call, and the answer to "what happens if
    /// this is down?", for people: the breaker board shows it, and a test of the estate takes the
    /// dependency down.
    #[must_use]
    pub fn calls(mut self, dependency: &'static str, if_down: &'static str) -> Self {
        self.calls.insert(dependency, if_down);
        self
    }

    /// What it does when `producer` has emitted an event of type `kind`. The payload is a type of
    /// its own, with only the fields that it reads.
    #[must_use]
    pub fn on<T, F, Fut>(mut self, producer: &'static str, kind: &'static str, reaction: F) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        F: Fn(Reaction, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Done, Failure>> + Send + 'static,
    {
        self.reactions.entry(producer).or_default().add(kind, reaction);
        self
    }

    /// A setting of its own: an environment variable that may be absent. `check` says what would be
    /// right when it is wrong; the service does not start then.
    #[must_use]
    pub fn setting(mut self, name: &'static str, check: fn(&str) -> Result<(), String>) -> Self {
        self.settings.push((name, check));
        self
    }

    /// Work that goes on beside the requests. It ends when [`App::drain`] is cancelled.
    #[must_use]
    pub fn job<F, Fut>(mut self, name: &'static str, job: F) -> Self
    where
        F: FnOnce(App) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.jobs.push((name, Box::new(move |app| Box::pin(job(app)))));
        self
    }

    /// Runs the service until it is asked to end (SIGTERM, SIGINT). With the argument `describe` it
    /// prints its OpenAPI document and event schemas instead.
    ///
    /// The exit code is 0 after a drain, 1 after a failure, 2 for wrong settings or arguments.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => run::run(self),
            ["describe"] => describe::print(&self),
            _ => {
                complain(
                    self.name,
                    &format!(
                        "unknown arguments '{}': it takes none to run, or `describe`; settings \
                         come by environment variables (BACKLINE_LISTEN, BACKLINE_STORE, ...)",
                        arguments.join(" ")
                    ),
                );
                ExitCode::from(2)
            }
        }
    }
}

/// Jobs and reactions that run while the service does.
pub(crate) fn spawn_jobs(
    jobs: Vec<(&'static str, Job)>,
    app: &App,
) -> Vec<tokio::task::JoinHandle<()>> {
    jobs.into_iter()
        .map(|(name, job)| {
            let work = job(app.clone());
            tokio::spawn(async move {
                work.await;
                tracing::debug!(job = name, "ended");
            })
        })
        .collect()
}
