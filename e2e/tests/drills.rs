//! Kills at the worst moment, with SIGKILL: nothing is lost and nothing happens twice.

use std::{
    process::Child,
    time::{Duration, Instant},
};

use backline_e2e::{Company, small_chinook};
use backline_testkit::{TempDir, http, wait_for};

const CUSTOMERS: usize = 59;
const SOON: Duration = Duration::from_secs(30);

/// An import during which something was killed.
struct Disturbed {
    company: Company,
    import: Child,
    dir: TempDir,
}

/// Kills these, a service's or daemon's first instance each, when the loyalty service's store shows
/// 20 accounts of the 59 customers that are being imported.
fn kill_during_import(victims: &[&str]) -> Disturbed {
    let company = Company::up();
    let estate = &company.estate;
    let pid = |name: &&str| match *name {
        "supervisor" => estate.supervisor().expect("it runs"),
        name => estate.instances(name).first().expect("an instance").pid,
    };
    let pids: Vec<_> = victims.iter().map(pid).collect();
    let dir = TempDir::new();
    small_chinook(&dir.join("chinook.sqlite"), u32::try_from(CUSTOMERS).expect("a small number"));
    let import = company.start_import(&dir.join("chinook.sqlite"));
    let deadline = Instant::now() + SOON;
    while company.accounts_in_store().is_none_or(|accounts| accounts < 20) {
        assert!(Instant::now() < deadline, "no 20 accounts within {SOON:?}");
        std::thread::yield_now();
    }
    pids.into_iter().for_each(|pid| estate.kill9(pid));
    let left = i64::try_from(CUSTOMERS).expect("a small number")
        - company.accounts_in_store().expect("the store is there");
    assert!(left > 0, "the import was over before the kill: nothing was tested");
    Disturbed { company, import, dir }
}

impl Disturbed {
    fn expect_nothing_lost_or_twice(mut self) {
        let status = self.import.wait().expect("the import is our child");
        assert!(status.success(), "the import ended with {status}");
        self.company.expect_each_reaction_once(CUSTOMERS);
    }
}

#[test]
fn loyalty_is_killed_while_customers_are_imported() {
    kill_during_import(&["loyalty"]).expect_nothing_lost_or_twice();
}

#[test]
fn customers_is_killed_while_customers_are_imported() {
    kill_during_import(&["customers"]).expect_nothing_lost_or_twice();
}

#[test]
fn registry_and_monitor_are_killed_while_customers_are_imported() {
    kill_during_import(&["registry", "monitor"]).expect_nothing_lost_or_twice();
}

#[test]
fn email_and_gateway_are_killed_while_customers_are_imported() {
    kill_during_import(&["email", "gateway"]).expect_nothing_lost_or_twice();
}

#[test]
fn the_supervisor_is_killed_while_customers_are_imported() {
    let Disturbed { mut company, mut import, dir } = kill_during_import(&["supervisor"]);
    let estate = &mut company.estate;
    wait_for("all processes to be gone", Duration::from_secs(5), || {
        estate.processes().is_empty().then_some(())
    });
    let _ = import.kill();
    let _ = import.wait();
    estate.up_again();
    let _ = company.import(&dir.join("chinook.sqlite"), SOON * 2).success();
    company.expect_each_reaction_once(CUSTOMERS);
}

#[test]
fn down_leaves_no_process_and_the_state_survives() {
    let mut company = Company::up();
    let (customer, trace) = company.create_customer("ada@example.com");
    let complete = |company: &Company| {
        wait_for("the process to be complete", SOON, || {
            company.process(&trace).filter(|process| process["state"] == "complete")
        })
    };
    let before = complete(&company);
    company.estate.down();
    company.estate.up_again();
    assert_eq!(company.get(&customer)["email"], "ada@example.com");
    assert_eq!(complete(&company), before);
    company.expect_each_reaction_once(1);
}

#[test]
fn traffic_goes_on_while_the_registry_is_away_and_it_heals() {
    let company = Company::up();
    let estate = &company.estate;
    let (customer, _) = company.create_customer("ada@example.com");
    let registry = estate.instances("registry").into_iter().next().expect("an instance");
    estate.kill9(registry.pid);
    assert_eq!(company.get(&customer)["firstname"], "Ada");
    wait_for("everybody to be registered again", SOON, || {
        let services = http::try_get(&format!("{}/v1/catalog/services", estate.registry()))?;
        assert_eq!(company.get(&customer)["firstname"], "Ada");
        let known = services.json();
        ["catalog", "customers", "email", "gateway", "loyalty", "monitor", "postal"]
            .iter()
            .all(|name| known.get(name).is_some())
            .then_some(())
    });
}

#[test]
fn a_killed_service_comes_back() {
    let company = Company::up();
    let estate = &company.estate;
    let before = estate.instances("loyalty").remove(0);
    let _ = estate.backline(&["kill", "loyalty"]).success();
    let after = wait_for("another process", SOON, || {
        estate.instances("loyalty").into_iter().find(|instance| instance.pid != before.pid)
    });
    assert_eq!(after.id, before.id);
    wait_for("an answer", SOON, || {
        let answer = http::try_get(&format!("{}/loyalty/accounts", estate.gateway()))?;
        (answer.status == 200).then_some(())
    });
}
