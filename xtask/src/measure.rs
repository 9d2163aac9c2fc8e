//! Start time, idle memory and sizes of the release build: the figures that the README cites.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Failed,
    workspace::{Workspace, cargo},
};

/// Memory is read when the company has had nothing to do for this long.
const IDLE: Duration = Duration::from_secs(5);

/// One start of the company.
struct Run {
    start: Duration,
    /// Process and its proportional set size in KiB.
    memory: Vec<(String, u64)>,
}

/// Builds, measures, prints.
pub fn run(workspace: &Workspace, runs: u32, as_json: bool) -> Result<(), Failed> {
    let built = Command::new(cargo())
        .args(["build", "--release", "--workspace", "--bins"])
        .current_dir(&workspace.root)
        .status()?;
    if !built.success() {
        return Err("the release build failed".into());
    }
    let release = workspace.target.join("release");
    let measured: Vec<_> =
        (0..runs).map(|number| once(workspace, &release, number)).collect::<Result<_, _>>()?;
    let figures = figures(&measured, &sizes(workspace, &release));
    if as_json {
        println!("{figures:#}");
    } else {
        print!("{}", tables(&figures));
    }
    Ok(())
}

fn once(workspace: &Workspace, release: &Path, number: u32) -> Result<Run, Failed> {
    let var = env::temp_dir().join(format!("backline-measure-{}-{number}", process::id()));
    let result = started(workspace, release, &var);
    let down = backline(workspace, release, &var, &["down"]);
    let removed = fs::remove_dir_all(&var);
    let run = result?;
    down?;
    removed?;
    Ok(run)
}

fn started(workspace: &Workspace, release: &Path, var: &Path) -> Result<Run, Failed> {
    let begun = Instant::now();
    backline(workspace, release, var, &["up", "--detach", "--ports", "auto", "--no-build"])?;
    let start = begun.elapsed();
    #[expect(clippy::disallowed_methods, reason = "idle memory is what is left after some quiet")]
    thread::sleep(IDLE);
    let status = backline(workspace, release, var, &["status", "--json"])?;
    let status: Value = serde_json::from_str(&status)?;
    let memory = processes(&status)
        .into_iter()
        .map(|(name, pid)| pss_kib(pid).map(|pss| (name, pss)))
        .collect::<Result<_, _>>()?;
    Ok(Run { start, memory })
}

/// Runs the release build's `backline`. Its output goes to a file: what it leaves running would
/// hold a pipe open.
fn backline(
    workspace: &Workspace,
    release: &Path,
    var: &Path,
    arguments: &[&str],
) -> Result<String, Failed> {
    fs::create_dir_all(var)?;
    let output = var.join("measure-output");
    let file = fs::File::create(&output)?;
    let status = Command::new(release.join("backline"))
        .args(arguments)
        .arg("--var")
        .arg(var)
        .current_dir(&workspace.root)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(if arguments[0] == "status" { Stdio::null() } else { file.into() })
        .status()?;
    let text = fs::read_to_string(&output)?;
    if status.success() {
        return Ok(text);
    }
    Err(format!("`backline {}` failed ({status}): {text}", arguments.join(" ")).into())
}

/// Names and ids of all processes that the status tells of.
fn processes(status: &Value) -> Vec<(String, u64)> {
    let instances = status["services"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|service| service["instances"].as_array().into_iter().flatten())
        .filter_map(|instance| {
            Some((instance["id"].as_str()?.to_owned(), instance["pid"].as_u64()?))
        });
    let supervisor = status["supervisor_pid"].as_u64().map(|pid| ("supervisor".to_owned(), pid));
    supervisor.into_iter().chain(instances).collect()
}

/// proc(5), smaps_rollup: memory with shared pages divided among those that share them.
fn pss_kib(pid: u64) -> Result<u64, Failed> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    parse_pss(&text).ok_or_else(|| format!("{path} names no Pss").into())
}

fn parse_pss(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn sizes(workspace: &Workspace, release: &Path) -> Vec<(String, u64)> {
    let binaries = workspace.members.iter().filter(|member| member.name != "xtask");
    let path = |name: &String| -> PathBuf { release.join(name) };
    binaries
        .flat_map(|member| &member.binaries)
        .filter_map(|name| Some((name.clone(), fs::metadata(path(name)).ok()?.len())))
        .collect()
}

fn figures(runs: &[Run], sizes: &[(String, u64)]) -> Value {
    let starts = runs.iter().map(|run| run.start.as_millis() as u64);
    let totals = runs.iter().map(|run| run.memory.iter().map(|(_, kib)| kib).sum());
    let names = runs.first().map(|run| run.memory.as_slice()).unwrap_or_default();
    let each = names.iter().map(|(name, _)| {
        let of_run = |run: &Run| run.memory.iter().find(|(other, _)| other == name).map(|m| m.1);
        json!({ "process": name, "pss_kib": median(runs.iter().filter_map(of_run)) })
    });
    json!({
        "runs": runs.len(),
        "start_ms": median(starts),
        "memory_pss_kib": median(totals),
        "processes": each.collect::<Vec<_>>(),
        "binaries": sizes.iter().map(|(name, bytes)| json!({ "name": name, "bytes": bytes })).collect::<Vec<_>>(),
    })
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn tables(figures: &Value) -> String {
    let mib = |value: &Value, unit: f64| value.as_f64().unwrap_or_default() / unit;
    let mut text = format!(
        "| what, median of {} runs | |\n|---|---:|\n\
         | from built binaries to all healthy | {:.2} s |\n\
         | memory of all processes, idle (PSS) | {:.1} MiB |\n\n\
         | process | memory, idle (PSS) |\n|---|---:|\n",
        figures["runs"],
        mib(&figures["start_ms"], 1000.0),
        mib(&figures["memory_pss_kib"], 1024.0),
    );
    let rows = |key: &str| figures[key].as_array().cloned().unwrap_or_default();
    for row in rows("processes") {
        let name = row["process"].as_str().unwrap_or_default();
        text += &format!("| {name} | {:.1} MiB |\n", mib(&row["pss_kib"], 1024.0));
    }
    text += "\n| binary | size |\n|---|---:|\n";
    for row in rows("binaries") {
        let name = row["name"].as_str().unwrap_or_default();
        text += &format!("| {name} | {:.1} MiB |\n", mib(&row["bytes"], 1024.0 * 1024.0));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_medians_over_the_runs() {
        let run = |ms, loyalty, gateway| Run {
            start: Duration::from_millis(ms),
            memory: vec![("loyalty-1".into(), loyalty), ("gateway-1".into(), gateway)],
        };
        let runs = [run(900, 1024, 10), run(700, 2048, 30), run(800, 3072, 20)];
        let figures = figures(&runs, &[("loyalty".into(), 1 << 20)]);
        assert_eq!(figures["start_ms"], 800);
        assert_eq!(figures["memory_pss_kib"], 2078);
        assert_eq!(figures["processes"][0], json!({ "process": "loyalty-1", "pss_kib": 2048 }));
        let text = tables(&figures);
        for line in ["| loyalty-1 | 2.0 MiB |", "| loyalty | 1.0 MiB |", "all healthy | 0.80 s |"] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
    }

    #[test]
    fn the_kernel_tells_the_memory_of_a_process() {
        assert_eq!(parse_pss("Rss:  9 kB\nPss:      1234 kB\nPss_Dirty: 1 kB\n"), Some(1234));
        assert!(pss_kib(u64::from(process::id())).is_ok_and(|kib| kib > 0));
    }

    #[test]
    fn processes_without_an_id_do_not_run() {
        let status = json!({ "supervisor_pid": 1, "services": [
            { "instances": [{ "id": "a-1", "pid": 2 }, { "id": "a-2", "pid": null }] }
        ] });
        assert_eq!(processes(&status), [("supervisor".into(), 1), ("a-1".into(), 2)]);
    }
}
