//! `backline up --detach`: a supervisor in the background, in a session of its own.

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    failure::Failure,
    journal::append_to,
    state::{Phase, State},
    status::Snapshot,
    supervise::{Estate, Signals},
    table,
    terminal::{Progress, say},
};

const LOOK: Duration = Duration::from_millis(10);

/// Starts the supervisor and returns when all is healthy.
pub fn run(estate: &Estate, file: &Path) -> Result<(), Failure> {
    estate.var.create()?;
    let log = append_to(&estate.var)?;
    let before = log.metadata().map_or(0, |log| log.len());
    let mut supervisor = Command::new(estate.programs.own());
    supervisor.args(["up", "--background", "--no-build"]).arg("--system").arg(file);
    supervisor.arg("--var").arg(estate.var.root());
    if estate.free_ports {
        supervisor.args(["--ports", "auto"]);
    }
    let outputs = log.try_clone().and_then(|stdout| Ok((stdout, log.try_clone()?)));
    let (stdout, stderr) = outputs.map_err(Failure::os("share the log"))?;
    let supervisor = supervisor.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn();
    let mut supervisor = supervisor.map_err(Failure::file("start", estate.programs.own()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::os("start the runtime"))?;
    if let Some(state) = runtime.block_on(wait(estate, &mut supervisor))? {
        say(table::welcome(&Snapshot::take(&state), &state));
        say("\n`backline down` stops everything.");
        return Ok(());
    }
    let mut why = String::new();
    let path = estate.var.log("supervisor");
    let read = std::fs::File::open(&path).and_then(|mut log| {
        log.seek(SeekFrom::Start(before))?;
        log.read_to_string(&mut why)
    });
    read.map_err(Failure::file("read", path))?;
    Err(Failure::Detached(format!("it did not come up:\n{}", why.trim_end())))
}

/// Waits until all is healthy (what runs then) or the supervisor ended (nothing). A signal is
/// handed on: who presses Ctrl-C wants no half-started estate.
async fn wait(estate: &Estate, supervisor: &mut Child) -> Result<Option<State>, Failure> {
    let pid = supervisor.id().cast_signed();
    let mut signals = Signals::new().map_err(Failure::os("listen for signals"))?;
    let progress = Progress::new(&estate.system.name, true);
    loop {
        if supervisor.try_wait().map_err(Failure::os("wait for the supervisor"))?.is_some() {
            return Ok(None);
        }
        let state = State::read(&estate.var)?.filter(|state| state.supervisor.pid == pid);
        if let Some(state) = state {
            if state.phase == Phase::Up {
                return Ok(Some(state));
            }
            let (ready, waiting): (Vec<_>, Vec<_>) = state
                .instances()
                .map(|(_, instance)| instance)
                .partition(|instance| instance.ready);
            let waiting: Vec<_> = waiting.into_iter().map(|instance| instance.id.clone()).collect();
            progress.show(ready.len(), &waiting);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = signals.next() => if let Some(pid) = Pid::from_raw(pid) {
                let _ = kill_process(pid, Signal::TERM);
            }
        }
    }
}
