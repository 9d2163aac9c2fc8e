//! The binary's face: its commands, and what it says of a wrong file.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

fn backline(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_backline")).args(args).output().expect("run")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_part_of_the_platform_is_a_command() {
    let help = text(&backline(&["--help"]).stdout);
    for command in [
        "up",
        "down",
        "status",
        "logs",
        "breakers",
        "maintenance",
        "kill",
        "restart",
        "registry",
        "gateway",
        "monitor",
        "console",
        "load",
        "fault",
    ] {
        let line = format!("\n  {command} ");
        assert!(help.contains(&line), "'{command}' is missing in: {help}");
    }
    assert!(!help.contains("exec-child"), "{help}");
}

#[test]
fn the_estate_of_this_repository_has_no_mistake() {
    // A copy that is wrong in one place: all that is told is that place.
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let right = std::fs::read_to_string(root.join("system.toml")).expect("system.toml");
    let file = root.join(format!("target/wrong-{}.toml", std::process::id()));
    let wrong = right.replace("processes = \"musiccorp/processes\"", "processes = \"..\"")
        + "\n[sevices]\n";
    std::fs::write(&file, wrong).expect("written");
    let output = backline(&["up", "--system", &file.display().to_string(), "--ports", "auto"]);
    std::fs::remove_file(&file).expect("removed");
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.contains("one mistake in") && told.contains("did you mean 'services'?"), "{told}");
}

#[test]
fn load_and_fault_say_what_is_wrong_and_what_would_be_right() {
    let here = "http://127.0.0.1:1/";
    for (args, told) in [
        (&["load", "https://127.0.0.1/"][..], "only plain HTTP"),
        (&["load", "http://10.0.0.1/"], "--beyond-loopback"),
        (&["load", here, "--rate", "0"], "0.001 to 1,000,000"),
        (&["load", here, "--duration", "5"], "give 250ms, 30s or 5m"),
        (&["load", here, "--header", "x"], "name: value"),
        (&["load", here, "--method", "a b"], "is no method"),
        (&["load", here, "--json", "/nowhere/load.json"], "cannot write /nowhere/load.json"),
        (&["fault"], "--to"),
        (&["fault", "--to", "nowhere"], "nowhere"),
        (&["fault", "--to", "127.0.0.1:1", "--listen", "0.0.0.0:0"], "give 127.0.0.1:0"),
        (&["fault", "--to", "127.0.0.1:1", "--bandwidth", "0"], "64KiB"),
    ] {
        let output = backline(args);
        let seen = text(&output.stderr);
        assert!(output.status.code() == Some(2) && seen.contains(told), "{args:?}: {seen}");
    }
}
