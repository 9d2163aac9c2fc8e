//! The life of a supervisor: start, keep, stop.
//!
//! It has one thread. All children are its, and the kernel ends them with it.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
    time::interval,
};
use tokio_util::sync::CancellationToken;
use ureq::Agent;

use crate::{
    board::Board,
    failure::Failure,
    journal::{Journal, keep_small},
    keep::{Event, Keeper},
    lock::Lock,
    place::Var,
    plan::{Launch, Planner, STOP_TURNS, inherited},
    ports, probe,
    process::{Identity, boot_id},
    programs::Programs,
    route,
    start::{self, Failed, Outcome, start},
    state::{Addresses, Phase, State},
    status::Snapshot,
    system::System,
    table,
    terminal::{Progress, human, say},
    token,
};

/// An estate that is about to run.
pub struct Estate {
    pub system: System,
    pub programs: Programs,
    pub var: Var,
    /// Take free ports instead of the file's.
    pub free_ports: bool,
    /// Tell the terminal; otherwise only the log.
    pub on_terminal: bool,
}

impl Estate {
    /// Runs until a signal ends it.
    pub fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::os("start the runtime"))?;
        runtime.block_on(self.supervise())
    }

    async fn supervise(self) -> Result<(), Failure> {
        self.var.create()?;
        let _lock = Lock::take(&self.var)?;
        token::see_to_it(&self.var.operator_token())?;
        let mut signals = Signals::new().map_err(Failure::os("listen for signals"))?;
        if let Some(left) = State::read(&self.var)? {
            let ended = left.end_leftovers();
            if ended > 0 {
                self.journal()?
                    .note(format_args!("ended {ended} processes that an earlier supervisor left"));
            }
        }
        for attempt in 1.. {
            let addresses = self.addresses()?;
            match self.attempt(addresses, &mut signals).await {
                // Between looking for a free port and using it somebody else took it.
                Err(Failure::Start(Failed::Stillborn { .. }))
                    if self.free_ports && attempt < 3 && any_taken(addresses) => {}
                done => return done,
            }
        }
        Ok(())
    }

    fn journal(&self) -> Result<Journal, Failure> {
        Journal::open(&self.var, self.on_terminal)
    }

    /// One start with these addresses and, if it succeeds, the life after it.
    async fn attempt(&self, addresses: Addresses, signals: &mut Signals) -> Result<(), Failure> {
        let begun = Instant::now();
        let planner = Planner {
            system: &self.system,
            programs: &self.programs,
            var: &self.var,
            addresses,
            inherited: inherited(unicode_vars()),
        };
        let launches = planner.plan();
        let state = self.first_state(&planner, &launches)?;
        state.write(&self.var)?;
        let board = Arc::new(Board::new(state, self.var.clone(), self.journal()?));
        let (mut crew, mut events) = Crew::new(board.clone());
        let progress = Progress::new(&self.system.name, self.on_terminal);
        let started = start(&mut crew, &launches, &mut events, signals, &progress).await;
        drop((progress, events));
        let unreached = match started {
            Ok(Outcome::Healthy) => tokio::select! {
                left = route::wait(&crew.agent, addresses.gateway, planner.public_services()) => {
                    Some(left)
                }
                () = signals.next() => None,
            },
            _ => None,
        };
        if let Some(unreached) = unreached {
            for service in unreached {
                board.journal.note(format_args!("the gateway does not lead to {service} yet"));
            }
            let took = begun.elapsed();
            board.journal.record(format_args!("{} is up in {}", self.system.name, human(took)));
            board.update(|state| {
                state.phase = Phase::Up;
                state.start_ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
            });
            if self.on_terminal {
                say(table::welcome(&Snapshot::take(&board.state()), &board.state()));
                say("\nCtrl-C stops everything.");
            }
            keep_going(&launches, &self.var, signals).await;
        }
        board.update(|state| state.phase = Phase::Stopping);
        let begun = Instant::now();
        crew.stop(signals).await;
        State::clear(&self.var)?;
        let name = &self.system.name;
        board.journal.note(format_args!("{name} is down after {}", human(begun.elapsed())));
        started.map(|_| ()).map_err(start::Failed::into)
    }

    fn addresses(&self) -> Result<Addresses, Failure> {
        if self.free_ports {
            ports::free().map_err(Failure::os("find free ports"))
        } else {
            Ok(ports::fixed(self.system.ports)?)
        }
    }

    fn first_state(&self, planner: &Planner<'_>, launches: &[Launch]) -> Result<State, Failure> {
        let me = Identity::of(std::process::id().cast_signed())
            .ok_or_else(|| Failure::os("read /proc/self/stat")(io::ErrorKind::NotFound.into()))?;
        Ok(State {
            system: self.system.name.clone(),
            hint: self.system.hint.clone(),
            boot: boot_id(),
            supervisor: me,
            since: Timestamp::now().to_string(),
            phase: Phase::Starting,
            start_ms: None,
            addresses: planner.addresses,
            services: planner.services(launches),
        })
    }
}

fn any_taken(addresses: Addresses) -> bool {
    [addresses.gateway, addresses.console, addresses.registry]
        .iter()
        .any(|address| !ports::is_free(address.port()))
}

/// A variable that is not Unicode is none that is handed on.
fn unicode_vars() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Until a signal comes; meanwhile the logs are kept from growing.
async fn keep_going(launches: &[Launch], var: &Var, signals: &mut Signals) {
    let mut second = interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = signals.next() => return,
            _ = second.tick() => {
                launches.iter().for_each(|launch| keep_small(&launch.log));
                keep_small(&var.log("supervisor"));
            }
        }
    }
}

/// All keepers, and how to end them.
pub struct Crew {
    board: Arc<Board>,
    agent: Agent,
    events: UnboundedSender<Event>,
    turns: [(CancellationToken, JoinSet<()>); STOP_TURNS],
    kill: CancellationToken,
}

impl Crew {
    fn new(board: Arc<Board>) -> (Self, UnboundedReceiver<Event>) {
        let (events, receiver) = unbounded_channel();
        let crew = Self {
            board,
            agent: probe::agent(),
            events,
            turns: Default::default(),
            kill: CancellationToken::new(),
        };
        (crew, receiver)
    }

    /// Starts a process and keeps it alive.
    pub fn keep(&mut self, launch: Launch) {
        let (stop, keepers) = &mut self.turns[launch.stop_turn()];
        let keeper = Keeper {
            launch,
            board: self.board.clone(),
            agent: self.agent.clone(),
            events: self.events.clone(),
            stop: stop.clone(),
            kill: self.kill.clone(),
        };
        keepers.spawn(keeper.run());
    }

    /// Stops all, turn after turn; at once if another signal comes.
    async fn stop(mut self, signals: &mut Signals) {
        let all_stops: Vec<_> = self.turns.iter().map(|(stop, _)| stop.clone()).collect();
        for (stop, keepers) in &mut self.turns {
            stop.cancel();
            loop {
                tokio::select! {
                    ended = keepers.join_next() => if ended.is_none() { break },
                    () = signals.next() => {
                        self.kill.cancel();
                        all_stops.iter().for_each(CancellationToken::cancel);
                    }
                }
            }
        }
    }
}

/// The signals that end a supervisor: Ctrl-C, `backline down`, a terminal that is closed.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
