//! Kills at the worst moment, with SIGKILL: nothing is lost and nothing happens twice.

use std::{
    process::Child,
    time::{Duration, Instant},
};

use backline_e2e::{Company, small_chinook};
use backline_testkit::{TempDir, http, wait_for};

const CUSTOMERS: usize = 59;
const SOON: Duration = Duration::from_secs(30);

/// An import that is under way: the loyalty service's store shows 20 accounts.
struct Importing {
    company: Company,
    import: Child,
    dir: TempDir,
}

impl Importing {
    fn start() -> Self {
        let company = Company::up();
        let dir = TempDir::new();
        small_chinook(
            &dir.join("chinook.sqlite"),
            u32::try_from(CUSTOMERS).expect("a small number"),
        );
        let import = company.start_import(&dir.join("chinook.sqlite"));
        let deadline = Instant::now() + SOON;
        while company.accounts_in_store().is_none_or(|accounts| accounts < 20) {
            assert!(Instant::now() < deadline, "no 20 accounts within {SOON:?}");
            std::thread::yield_now();
        }
        Self { company, import, dir }
    }

    /// Kills the first instance of a service or daemon, and waits until another lives.
    fn kill(&self, service: &str) {
        let estate = &self.company.estate;
        let victim = estate.instances(service).into_iter().next().expect("an instance");
        estate.kill9(victim.pid);
        wait_for(&format!("another {service}"), SOON, || {
            estate.instances(service).into_iter().find(|instance| instance.pid != victim.pid)
        });
    }

    fn finish(mut self) {
        let status = self.import.wait().expect("the import is our child");
        assert!(status.success(), "the import ended with {status}");
        self.company.expect_each_reaction_once(CUSTOMERS);
    }
}

#[test]
fn loyalty_is_killed_while_customers_are_imported() {
    let importing = Importing::start();
    importing.kill("loyalty");
    importing.finish();
}

#[test]
fn customers_is_killed_while_customers_are_imported() {
    let importing = Importing::start();
    importing.kill("customers");
    importing.finish();
}

#[test]
fn registry_and_monitor_are_killed_while_customers_are_imported() {
    let importing = Importing::start();
    importing.kill("registry");
    importing.kill("monitor");
    importing.finish();
}

#[test]
fn the_supervisor_is_killed_while_customers_are_imported() {
    let mut importing = Importing::start();
    let estate = &mut importing.company.estate;
    let supervisor = estate.supervisor().expect("it runs");
    estate.kill9(supervisor);
    wait_for("all processes to be gone", Duration::from_secs(5), || {
        estate.processes().is_empty().then_some(())
    });
    let _ = importing.import.kill();
    let _ = importing.import.wait();
    estate.up_again();
    let file = importing.dir.join("chinook.sqlite");
    let _ = importing.company.import(&file, SOON * 2).success();
    importing.company.expect_each_reaction_once(CUSTOMERS);
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
