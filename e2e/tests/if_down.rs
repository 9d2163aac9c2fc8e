//! What happens when something is down: each pair of a process and what it calls has a declared
//! answer, and a test here takes the one down and sees that the other does as it says.
//!
//! Down means frozen: the process keeps its port and its connections and answers nothing. One that
//! is merely gone is found out sooner, and is what the drills are about.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use backline_e2e::Company;
use backline_testkit::{Estate, TempDir, http, wait_for};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(30);

/// Who calls (`*`: everybody), who is called, what for; and which test below takes that one down.
const TAKEN_DOWN: [(&str, &str, &str); 15] = [
    // `customers_down_everything_else_goes_on_and_nothing_is_lost`
    ("email", "customers", "calls"),
    ("email", "customers", "feed"),
    ("gateway", "customers", "traffic"),
    ("loyalty", "customers", "feed"),
    ("monitor", "customers", "feed"),
    ("postal", "customers", "feed"),
    // `one_service_down_touches_nobody_else`
    ("gateway", "catalog", "traffic"),
    ("gateway", "email", "traffic"),
    ("gateway", "loyalty", "traffic"),
    ("gateway", "postal", "traffic"),
    ("monitor", "email", "feed"),
    ("monitor", "loyalty", "feed"),
    ("monitor", "postal", "feed"),
    // `the_monitor_down_processes_go_on_unobserved`
    ("console", "monitor", "operations"),
    // `the_registry_down_the_known_addresses_are_used`
    ("*", "registry", "operations"),
];

/// The estate as it is, but that the gateway gives services a second: tests need not wait longer.
fn company() -> Company {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut system = fs::read_to_string(root.join("system.toml")).expect("system.toml");
    let processes = format!("processes = \"{}/", root.display());
    system = system.replace("processes = \"", &processes);
    for service in ["catalog", "customers", "email", "loyalty", "postal"] {
        system.push_str(&format!("\n[gateway.calls.{service}]\ntimeout = \"1s\"\n"));
    }
    let folder = TempDir::new();
    let file = folder.join("system.toml");
    fs::write(&file, system).expect("written");
    Company { estate: Estate::up_with(&file) }
}

/// Freezes all processes of a service while `work` goes on.
fn without(company: &Company, service: &str, work: impl FnOnce()) {
    let instances = company.estate.instances(service);
    assert!(!instances.is_empty(), "there is no {service}");
    instances.iter().for_each(|instance| company.estate.freeze(instance.pid));
    work();
    instances.iter().for_each(|instance| company.estate.thaw(instance.pid));
}

fn status(company: &Company, path: &str) -> u16 {
    http::get(&format!("{}{path}", company.estate.gateway())).status
}

/// The service is asked for in vain, and told so in time.
fn is_refused(company: &Company, path: &str) {
    let status = status(company, path);
    assert!([502, 503, 504].contains(&status), "{path}: {status}");
}

#[test]
fn every_dependency_says_what_happens_when_it_is_down_and_is_taken_down_here() {
    let company = company();
    // The gateway has a breaker for whom it has called.
    for path in ["/catalog", "/customers", "/email", "/loyalty", "/postal"] {
        assert_eq!(status(&company, path), 200, "{path}");
    }
    let url = format!("{}/api/breakers", company.estate.console());
    let board = wait_for("all boards", SOON, || {
        let board = http::try_get(&url)?.json();
        let processes = board["processes"].as_array()?;
        let all = processes.len() >= 9 && processes.iter().all(|p| p["board"].is_object());
        all.then_some(board)
    });
    let processes = board["processes"].as_array().expect("processes");
    let mut found = BTreeSet::new();
    for process in processes {
        for dependency in process["board"]["dependencies"].as_array().expect("dependencies") {
            let text = |name: &str| dependency[name].as_str().unwrap_or_default();
            let caller = process["service"].as_str().expect("a name");
            let pair = format!("{caller} -> {} ({})", text("to"), text("purpose"));
            assert!(!text("if_down").is_empty(), "{pair}: it does not say what happens");
            let of = |(by, to, purpose): &&(&str, &str, &str)| {
                (*by == "*" || *by == caller) && *to == text("to") && *purpose == text("purpose")
            };
            let tested = TAKEN_DOWN.iter().find(of);
            found.insert(*tested.unwrap_or_else(|| panic!("{pair}: no test takes it down")));
        }
    }
    let gone: Vec<_> = TAKEN_DOWN.iter().filter(|pair| !found.contains(*pair)).collect();
    assert!(gone.is_empty(), "nobody calls these: {gone:?}");
}

#[test]
fn customers_down_everything_else_goes_on_and_nothing_is_lost() {
    let company = company();
    let _ = company.create_customer("ada@example.com");
    company.expect_each_reaction_once(1);
    without(&company, "customers", || {
        is_refused(&company, "/customers");
        for path in ["/loyalty/accounts", "/postal/packs", "/email/mails", "/catalog"] {
            assert_eq!(status(&company, path), 200, "{path}");
        }
        let _ = http::get(&format!("{}/", company.estate.console())).expect(200);
    });
    wait_for("customers to be back", SOON, || {
        (status(&company, "/customers") == 200).then_some(())
    });
    let _ = company.create_customer("bea@example.com");
    company.expect_each_reaction_once(2);
}

#[test]
fn one_service_down_touches_nobody_else() {
    let company = company();
    let down = ["loyalty", "postal", "email", "catalog"];
    for (done, service) in down.into_iter().enumerate() {
        without(&company, service, || {
            // Whoever has nothing to do with it does not notice.
            let _ = company.create_customer(&format!("{service}@example.com"));
            is_refused(&company, &format!("/{service}"));
            for other in down.iter().filter(|other| **other != service) {
                assert_eq!(status(&company, &format!("/{other}")), 200, "{other}");
            }
        });
        // What it should have done it does when it is back.
        company.expect_each_reaction_once(done + 1);
    }
}

#[test]
fn the_monitor_down_processes_go_on_unobserved() {
    let company = company();
    let page = format!("{}/processes", company.estate.console());
    let _ = company.create_customer("ada@example.com");
    company.expect_each_reaction_once(1);
    assert!(http::get(&page).expect(200).text().contains("Creating a customer"));
    without(&company, "monitor", || {
        let _ = company.create_customer("bea@example.com");
        let told = wait_for("the page says so", SOON, || {
            let shown = http::try_get(&page)?;
            (shown.status == 200 && shown.text().contains("The monitor is away")).then_some(shown)
        });
        assert!(told.text().contains("Creating a customer"), "what was known is still shown");
    });
    company.expect_each_reaction_once(2);
}

#[test]
fn the_registry_down_the_known_addresses_are_used() {
    let company = company();
    let (ada, _) = company.create_customer("ada@example.com");
    company.expect_each_reaction_once(1);
    without(&company, "registry", || {
        assert_eq!(company.get(&ada)["firstname"], "Ada");
        let _ = company.create_customer("bea@example.com");
        company.expect_each_reaction_once(2);
    });
    let services: Value =
        http::get(&format!("{}/v1/catalog/services", company.estate.registry())).json();
    assert!(services.get("customers").is_some(), "{services}");
}
