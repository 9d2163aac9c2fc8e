//! The supervisor over real processes: up, kept alive, down, and nothing left whatever happens.

mod support;

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use support::{Estate, kill, lives, wait_for};

const TWO: &str = "[services.orders]\nRUN\ninstances = 2\npublic = true\n\n[services.mail]\nRUN\n";

#[test]
fn a_detached_estate_comes_up_whole_and_goes_down_whole() {
    let estate = Estate::with(TWO);
    let told = estate.up_detached();
    for part in ["trial is up in", "orders", "1.2.3", "gateway   http://127.0.0.1:", "/orders"] {
        assert!(told.contains(part), "'{part}' is missing in: {told}");
    }
    let status = estate.status();
    assert_eq!((&status["system"], &status["running"]), (&"trial".into(), &true.into()));
    assert!(status["ports"]["gateway"].as_u64() > Some(0));
    assert!(status["memory_pss_bytes"].as_u64() > Some(100_000));
    let orders = &status["services"][4];
    assert_eq!((&orders["name"], &orders["kind"]), (&"orders".into(), &"service".into()));
    let second = &orders["instances"][1];
    assert_eq!((&second["id"], &second["health"]), (&"orders-2".into(), &"pass".into()));
    assert_eq!((&second["version"], &second["restarts"]), (&"1.2.3".into(), &0.into()));
    let table = estate.says(&["status"]);
    assert!(table.contains("orders") && table.contains("pass"), "{table}");

    let (pids, supervisor) = (estate.pids(), status["supervisor_pid"].as_i64().expect("a pid"));
    assert_eq!(pids.len(), 7);
    assert!(estate.says(&["down"]).contains("7 processes ended"));
    assert!(!lives(supervisor) && pids.iter().all(|(_, pid)| !lives(*pid)));
    assert_eq!(estate.status()["running"], false);
    assert_eq!(estate.says(&["down"]).trim(), "nothing runs");
}

#[test]
fn a_killed_process_comes_back_and_the_gateway_where_it_was() {
    let estate = Estate::with(TWO);
    estate.up_detached();
    let (mail, address) = (estate.pid("mail-1"), gateway_address(&estate));
    let told = estate.says(&["kill", "mail"]);
    assert!(told.contains("mail-1 is back"), "{told}");
    assert!(estate.pid("mail-1").is_some_and(|pid| Some(pid) != mail));
    estate.says(&["kill", "gateway-1"]);
    assert_eq!(gateway_address(&estate), address);
    estate.says(&["restart", "orders"]);
    let status = estate.status();
    let restarts: Vec<_> = status["services"][4]["instances"]
        .as_array()
        .expect("two")
        .iter()
        .map(|it| it["restarts"].as_u64())
        .collect();
    assert_eq!(restarts, [Some(1), Some(1)]);
    let journal = estate.journal();
    assert!(journal.contains("mail-1 was ended by SIGKILL after"), "{journal}");
    assert!(journal.contains("orders-1 ended with exit code 0 after"), "{journal}");
}

fn gateway_address(estate: &Estate) -> String {
    estate.status()["services"][1]["instances"][0]["address"].as_str().expect("listens").to_owned()
}

#[test]
fn a_process_that_dies_again_and_again_waits_ever_longer() {
    let estate = Estate::with(TWO);
    estate.up_detached();
    for death in 0..4 {
        wait_for("mail-1", || estate.status()["services"][5]["instances"][0]["restarts"] == death);
        wait_for("mail-1 alive", || estate.pid("mail-1").is_some_and(lives));
        kill(estate.pid("mail-1").expect("alive"));
    }
    wait_for("the journal", || estate.journal().matches("mail-1 was ended").count() == 4);
    let journal = estate.journal();
    let waits: Vec<_> = journal.lines().filter(|line| line.contains("mail-1 was ended")).collect();
    assert!(waits[0].ends_with("starts again at once"), "{journal}");
    assert!(waits[3].contains("starts again in "), "{journal}");
}

#[test]
fn a_killed_supervisor_leaves_no_process_and_the_next_one_starts() {
    let estate = Estate::with(TWO);
    let mut supervisor = estate.up();
    let pids = estate.pids();
    assert_eq!(pids.len(), 7);
    supervisor.kill().expect("killed");
    supervisor.wait().expect("reaped");
    wait_for("all dead", || pids.iter().all(|(_, pid)| !lives(*pid)));
    assert_eq!(estate.status()["running"], false);
    estate.up_detached();
    assert_eq!(estate.pids().len(), 7);
}

#[test]
fn ctrl_c_ends_everything_with_success() {
    let estate = Estate::with(TWO);
    let mut supervisor = estate.up();
    let pids = estate.pids();
    interrupt(supervisor.id());
    assert!(supervisor.wait().expect("reaped").success());
    assert!(pids.iter().all(|(_, pid)| !lives(*pid)));
}

#[test]
fn a_second_ctrl_c_waits_for_nobody() {
    let estate = Estate::with("[services.deaf]\nRUN\nenv = { DEAF = \"1\" }\n");
    let mut supervisor = estate.up();
    let pids = estate.pids();
    interrupt(supervisor.id());
    wait_for("the stop", || estate.status()["phase"] == "stopping");
    interrupt(supervisor.id());
    assert!(supervisor.wait().expect("reaped").success());
    let journal = estate.journal();
    assert!(!journal.contains("did not end within"), "the drain was waited for: {journal}");
    assert!(pids.iter().all(|(_, pid)| !lives(*pid)));
}

fn interrupt(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a pid");
    kill_process(pid, Signal::INT).expect("sent");
}

#[test]
fn a_process_deaf_to_its_drain_is_killed() {
    let estate = Estate::with("[services.deaf]\nRUN\nenv = { DEAF = \"1\" }\n");
    estate.up_detached();
    let pids = estate.pids();
    estate.says(&["down"]);
    assert!(pids.iter().all(|(_, pid)| !lives(*pid)));
    assert!(estate.journal().contains("deaf-1 did not end within 5.0 s: killed"));
}

/// An estate whose start still waits for a service that the gateway does not lead to; all its
/// processes are healthy.
fn waiting_for_routes(services: &str) -> (Estate, Child) {
    let estate = Estate::with(services);
    let mut up = estate.command(&["up", "--no-build", "--ports", "auto"]);
    let up = up.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    wait_for("all healthy", || {
        let status = estate.status();
        status["phase"] == "starting" && status["services"][4]["instances"][0]["health"] == "pass"
    });
    (estate, up)
}

#[test]
fn a_process_that_was_healthy_is_never_abandoned_during_the_start() {
    let frail = "[services.hidden]\nRUN\npublic = true\nenv = { FRAIL = \"1\" }\n";
    let (estate, mut up) = waiting_for_routes(frail);
    kill(estate.pid("hidden-1").expect("alive"));
    wait_for("the third life", || estate.status()["services"][4]["instances"][0]["restarts"] == 2);
    wait_for("hidden-1 alive", || estate.pid("hidden-1").is_some_and(lives));
    assert!(estate.journal().contains("hidden-1 ended with exit code 4"), "{}", estate.journal());
    estate.says(&["down"]);
    assert!(up.wait().expect("reaped").success());
}

#[test]
fn down_is_heard_while_the_start_waits_for_routes() {
    let (estate, mut up) = waiting_for_routes("[services.hidden]\nRUN\npublic = true\n");
    estate.says(&["down"]);
    assert!(up.wait().expect("reaped").success());
    let journal = estate.journal();
    assert!(!journal.contains("is up in") && !journal.contains("killed"), "{journal}");
}

#[test]
fn a_restart_insists_when_a_process_is_deaf() {
    let estate = Estate::with("[services.deaf]\nRUN\nenv = { DEAF = \"1\" }\n");
    estate.up_detached();
    let before = estate.pid("deaf-1").expect("alive");
    let said = estate.says(&["restart", "deaf"]);
    assert!(said.contains("deaf-1 did not end within 5.0 s: killed"), "{said}");
    assert!(!lives(before));
    assert!(estate.pid("deaf-1").is_some_and(lives));
}

#[test]
fn a_second_up_is_told_who_was_first() {
    let estate = Estate::with(TWO);
    estate.up_detached();
    let told = estate.complains(&["up", "--no-build", "--ports", "auto"], 1);
    let pid = estate.status()["supervisor_pid"].to_string();
    assert!(
        told.contains(&format!("(pid {pid}, since ")) && told.contains("backline down"),
        "{told}"
    );
    assert_eq!(estate.pids().len(), 7, "the first goes on");
}

#[test]
fn a_taken_port_is_told_before_anything_starts() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    // Two more that are probably free; only the taken one is asserted.
    let estate = Estate::with(&format!("[ports]\nconsole = {port}\ngateway = 17\nregistry = 18\n"));
    let told = estate.complains(&["up", "--no-build"], 1);
    let me = format!("port {port} is taken by ");
    assert!(told.contains(&me) && told.contains("the key 'console'"), "{told}");
    assert!(!estate.folder.join("var/run/state.json").exists());
}

#[test]
fn a_process_that_dies_at_the_start_is_told_with_its_last_words() {
    let services =
        format!("{TWO}\n[services.broken]\nRUN\nenv = {{ DIES = \"no such table: cat\" }}\n");
    let estate = Estate::with(&services);
    for how in [
        &["up", "--no-build", "--ports", "auto"][..],
        &["up", "--detach", "--no-build", "--ports", "auto"],
    ] {
        let told = estate.complains(how, 1);
        assert!(told.contains("broken-1 ended with exit code 3"), "{told}");
        assert!(told.contains("no such table: cat"), "{told}");
        assert_eq!(estate.status()["running"], false);
    }
}

#[test]
fn the_operators_token_is_kept_and_refused_once_others_can_read_it() {
    let estate = Estate::with("[services.mail]\nRUN\n");
    let file = estate.folder.join("var/operator.token");
    let token = || fs::read_to_string(&file).expect("made");
    estate.up_detached();
    let first = token();
    estate.says(&["down"]);
    estate.up_detached();
    estate.says(&["down"]);
    assert_eq!(token(), first);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("ours");
    for how in [
        &["up", "--no-build", "--ports", "auto"][..],
        &["up", "--detach", "--no-build", "--ports", "auto"],
    ] {
        let told = estate.complains(how, 1);
        assert!(told.contains("others can read the operator's token"), "{told}");
        assert_eq!(estate.status()["running"], false);
    }
}

#[test]
fn a_wrong_file_is_told_whole() {
    let estate = Estate::with("[services.orders]\nrun = \"nowhere\"\ninstances = 99\n");
    let told = estate.complains(&["up", "--no-build"], 2);
    assert!(told.contains("2 mistakes in"), "{told}");
    assert!(
        told.contains("system.toml:5: services.orders.run = \"nowhere\": there is no program"),
        "{told}"
    );
    assert!(told.contains("system.toml:6: services.orders.instances = 99"), "{told}");
}

#[test]
fn logs_are_shown_by_service() {
    let estate = Estate::with(TWO);
    estate.up_detached();
    estate.says(&["kill", "mail"]);
    assert!(estate.says(&["logs", "supervisor", "-n", "9"]).contains("mail-1 is back on"));
    let told = estate.complains(&["logs", "maill"], 1);
    assert!(told.contains("did you mean 'mail'?"), "{told}");
}

#[test]
fn a_name_that_nobody_has_is_told_with_the_nearest() {
    let estate = Estate::with(TWO);
    assert!(estate.complains(&["kill", "mail"], 1).contains("nothing runs"));
    estate.up_detached();
    assert!(estate.complains(&["kill", "ordesr"], 1).contains("did you mean 'orders'?"));
}
