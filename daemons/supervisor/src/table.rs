//! The estate as people see it: one table, and where to go.

use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::{
    plan::Kind,
    state::State,
    status::{Process, Service, Snapshot},
    terminal::{bold, human, megabytes},
};

/// What is shown when everything is up.
pub fn welcome(snapshot: &Snapshot, state: &State) -> String {
    let took = Duration::from_millis(state.start_ms.unwrap_or(0));
    let processes: usize = snapshot.services.iter().map(|service| service.instances.len()).sum();
    let up = bold(format_args!("{} is up in {:.2} s", state.system, took.as_secs_f64()));
    let memory = megabytes(snapshot.memory_pss_bytes);
    let at = &state.addresses;
    let mut text = format!(
        "{}\n{up}: {processes} processes, {memory} with the supervisor\n\n  \
         gateway   http://{}\n  console   http://{}\n  registry  http://{}\n\nTry first:\n",
        table(snapshot, Columns::Places),
        at.gateway,
        at.console,
        at.registry,
    );
    for line in hint(state) {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str("  backline logs -f");
    text
}

/// What is shown for `status`.
pub fn status(snapshot: &Snapshot) -> String {
    let (Some(system), Some(pid)) = (&snapshot.system, snapshot.supervisor_pid) else {
        return "nothing runs: start it with `backline up`".to_owned();
    };
    let since = snapshot.since.as_deref().unwrap_or_default();
    let since = since.split_once('.').map_or(since, |(seconds, _)| seconds);
    format!(
        "{}\n{} since {since}Z, supervisor pid {pid}, {} in all",
        table(snapshot, Columns::Lives),
        bold(system),
        megabytes(snapshot.memory_pss_bytes),
    )
}

/// What a newcomer may type: what the file says, otherwise a look at a service.
fn hint(state: &State) -> Vec<String> {
    let gateway = format!("http://{}", state.addresses.gateway);
    if let Some(hint) = &state.hint {
        return hint.trim().lines().map(|line| line.replace("{gateway}", &gateway)).collect();
    }
    let public = state.services.iter().find(|it| it.public && it.kind == Kind::Service);
    public.map(|service| format!("curl -i {gateway}/{}", service.name)).into_iter().collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Columns {
    Places,
    Lives,
}

fn table(snapshot: &Snapshot, columns: Columns) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let mut header = vec!["SERVICE", "INSTANCES", "ADDRESS", "VERSION", "MEMORY"];
    if columns == Columns::Lives {
        header.extend(["HEALTH", "PID", "RESTARTS", "UP"]);
    }
    table.set_header(header);
    for service in &snapshot.services {
        table.add_row(row(service, columns));
    }
    for right in [1, 4, 6, 7] {
        if let Some(column) = table.column_mut(right) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// One row for a service, one line in it for each instance.
fn row(service: &Service, columns: Columns) -> Vec<String> {
    let all = &service.instances;
    let lines = |show: &dyn Fn(&Process) -> Option<String>| {
        let shown = all.iter().map(|it| show(it).unwrap_or_else(|| "-".to_owned()));
        shown.collect::<Vec<_>>().join("\n")
    };
    let mut row = vec![
        service.name.clone(),
        all.len().to_string(),
        lines(&|it| it.address.clone()),
        lines(&|it| it.version.clone()),
        lines(&|it| it.memory_pss_bytes.map(megabytes)),
    ];
    if columns == Columns::Lives {
        row.extend([
            lines(&|it| Some(it.health.clone())),
            lines(&|it| it.pid.map(|pid| pid.to_string())),
            lines(&|it| Some(it.restarts.to_string())),
            lines(&|it| it.uptime_ms.map(|ms| human(Duration::from_millis(ms)))),
        ]);
    }
    row
}
