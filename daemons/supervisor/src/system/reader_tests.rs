use std::path::Path;

use super::*;

fn programs() -> Programs {
    Programs::of(&["catalog", "customers", "loyalty"])
}

fn mistakes(text: &str) -> Vec<String> {
    let file = Path::new("/estate/system.toml");
    let mistakes = read(file, text, &programs()).expect_err("mistakes");
    mistakes.to_string().lines().skip(1).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn a_whole_file_is_read() {
    let text = r#"
        [system]
        name = "shop"
        zone = "east"
        [ports]
        gateway = 9090
        [services.loyalty]
        instances = 2
        [services.catalog]
        public = true
        [services.catalog.env]
        PAGE_SIZE = "50"
    "#;
    let system = read(Path::new("/estate/system.toml"), text, &programs()).expect("no mistakes");
    assert_eq!(
        (system.name.as_str(), system.environment.as_str(), system.zone.as_str()),
        ("shop", "dev", "east")
    );
    assert_eq!(system.ports, Ports { gateway: 9090, console: 8070, registry: 8500 });
    let names: Vec<_> = system.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["loyalty", "catalog"], "the file's order");
    assert_eq!((system.services[0].instances, system.services[1].instances), (2, 1));
    assert_eq!(system.services[1].env["PAGE_SIZE"], "50");
    assert_eq!(system.folder, Path::new("/estate"));
}

#[test]
fn all_mistakes_are_told_together_with_line_and_remedy() {
    let text = r#"[system]
nmae = "shop"
zone = "Far East"

[ports]
gateway = 80800
console = "8070"
registry = 8080

[monitor]
processes = "nowhere"

[services.registry]
run = "catalog"

[services.catalogue]
run = "catalg"
instances = 65
public = "yes"

[services.loyalty-2]
run = 7
replicas = 3

[services.customers.env]
BACKLINE_LISTEN = "0.0.0.0:80"
page-size = "5"
PAGE_SIZE = 5

[sevices.email]
"#;
    let expected = r#"
system.toml:1: system: the key 'name' is missing: add name = "..."
system.toml:2: system.nmae: unknown key: did you mean 'name'?
system.toml:3: system.zone = "Far East": give a name made of a-z, 0-9 and '-' that starts with a letter, of at most 40 characters
system.toml:5: ports.registry = 8080: the gateway has this port too: give each its own
system.toml:6: ports.gateway = 80800: give a port from 1 to 65535 (`backline up --ports auto` takes free ones)
system.toml:7: ports.console = "8070": give a port from 1 to 65535 (`backline up --ports auto` takes free ones)
system.toml:11: monitor.processes = "nowhere": no such folder (the path starts at system.toml's own folder)
system.toml:13: services.registry: this name is the platform's own: choose another
system.toml:17: services.catalogue.run = "catalg": no crate of this workspace has a binary 'catalg'; did you mean 'catalog'?
system.toml:18: services.catalogue.instances = 65: give a number from 0 to 64
system.toml:19: services.catalogue.public = "yes": give true or false, without quotation marks
system.toml:21: services.loyalty-2: 'loyalty-2' looks like the name of an instance: don't end it with a number
system.toml:22: services.loyalty-2.run = 7: give a text in quotation marks
system.toml:23: services.loyalty-2.replicas: unknown key: here are known run, instances, public, limit, calls, env
system.toml:26: services.customers.env.BACKLINE_LISTEN: `backline up` sets this itself: remove the line
system.toml:27: services.customers.env.page-size: a variable's name is made of A-Z, 0-9 and '_'
system.toml:28: services.customers.env.PAGE_SIZE = 5: give a text in quotation marks
system.toml:30: sevices: unknown key: did you mean 'services'?
"#;
    let expected: Vec<_> = expected.trim().lines().collect();
    assert_eq!(mistakes(text), expected);
}

#[test]
fn a_service_that_stands_twice_is_told_where() {
    let text = "[system]\nname = \"shop\"\n[services.loyalty]\n[services.loyalty]\n";
    assert_eq!(
        mistakes(text),
        ["system.toml:4: [services.loyalty]: this stands twice: remove one"]
    );
}

#[test]
fn a_line_that_is_not_toml_hides_no_other_mistake() {
    let text = "[system]\nname = shop\n[services.loyalty]\ninstances = -1\n";
    let told = mistakes(text);
    assert!(told.iter().any(|line| line.starts_with("system.toml:2:")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("instances = -1")), "{told:?}");
}

#[test]
fn an_empty_file_is_told_what_it_needs() {
    assert_eq!(
        mistakes(""),
        ["system.toml:1: system: this table is missing: add [system] with name = \"...\""]
    );
}

#[test]
fn a_service_without_a_program_is_told_at_its_own_line() {
    let text = "[system]\nname = \"shop\"\n[services.parcels]\n";
    let told = "system.toml:3: services.parcels (runs 'parcels', as it has no key 'run'): no crate of this workspace has a binary 'parcels'";
    assert_eq!(mistakes(text), [told]);
}
