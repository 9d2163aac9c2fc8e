//! A shell script stands for a service here: it tells an address and then does as the test says.

use std::{panic, path::Path};

use super::*;

/// The shell gets the script as a text. A file that was just written cannot always be executed:
/// another test's child may have inherited it, open for writing.
fn fake(script: &str) -> Launch {
    Launch {
        name: "fake".into(),
        binary: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        variables: BTreeMap::new(),
    }
}

const TELL_ADDRESS: &str = "echo 127.0.0.1:$$ > $BACKLINE_ADDRESS_FILE.new
mv $BACKLINE_ADDRESS_FILE.new $BACKLINE_ADDRESS_FILE";

#[test]
fn a_service_tells_its_address_and_keeps_its_store_over_a_restart() {
    let script = &format!("echo run >> ${{BACKLINE_STORE#sqlite:}}\n{TELL_ADDRESS}\nexec sleep 60");
    let mut service = fake(script).start();
    let (address, pid) = (service.address().to_owned(), service.pid());
    assert_eq!(service.url("/x"), format!("http://{address}/x"));
    service.kill9();
    assert!(!process::is_alive(pid));
    service.restart();
    assert_ne!(service.address(), address);
    assert_eq!(fs::read_to_string(service.store()).expect("a store"), "run\nrun\n");
}

#[test]
fn it_is_given_its_settings_and_those_of_the_test() {
    let script = &format!("env\n{TELL_ADDRESS}\nexec sleep 60");
    let known = [("customers", "127.0.0.1:1"), ("email", "127.0.0.1:2")];
    let service = fake(script).static_discovery(&known).env("OWN", "value").start();
    let log = service.log();
    for line in [
        "BACKLINE_SERVICE=fake",
        "BACKLINE_INSTANCE=fake-1",
        "BACKLINE_DISCOVERY=static:customers=127.0.0.1:1,email=127.0.0.1:2",
        "OWN=value",
    ] {
        assert!(log.lines().any(|seen| seen == line), "{line} is missing in {log}");
    }
}

#[test]
fn terminate_reports_how_it_ended() {
    // The shell runs the trap between two commands, so it waits for a child in the background.
    let text = format!("trap 'kill $!; exit 5' TERM\nsleep 60 &\n{TELL_ADDRESS}\nwait");
    let mut service = fake(&text).start();
    assert_eq!(service.terminate().code(), Some(5));
}

#[test]
fn a_service_that_ends_early_is_reported_with_its_log() {
    let script = "echo out of luck\nexit 9";
    let panicked = panic::catch_unwind(|| fake(script).start()).expect_err("it cannot start");
    let text = panicked.downcast_ref::<String>().expect("a message").clone();
    assert!(text.contains("out of luck") && text.contains('9'), "{text}");
    let kept = std::env::temp_dir();
    remove_kept(&kept);
}

/// The folder that the panic kept, found by what this test's service logged into it.
fn remove_kept(base: &Path) {
    let mine = format!("backline-{}-", std::process::id());
    for entry in fs::read_dir(base).expect("a folder").flatten() {
        let log = fs::read_to_string(entry.path().join("log")).unwrap_or_default();
        if entry.file_name().to_string_lossy().starts_with(&mine) && log.contains("out of luck") {
            fs::remove_dir_all(entry.path()).expect("it is ours");
        }
    }
}
