use super::*;
use crate::system::{Ports, Service};

fn system() -> System {
    let service = |name: &str, instances, env: &[(&str, &str)]| Service {
        name: name.into(),
        run: name.into(),
        instances,
        public: name == "catalog",
        env: env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
    };
    System {
        name: "shop".into(),
        environment: "dev".into(),
        zone: "local".into(),
        hint: None,
        ports: Ports { gateway: 1, console: 2, registry: 3 },
        processes: Some("/estate/processes".into()),
        gateway: [("BACKLINE_CALLS_CATALOG".to_owned(), "timeout=2s".to_owned())].into(),
        gamedays: Vec::new(),
        services: vec![
            service("catalog", 2, &[]),
            service(
                "email",
                1,
                &[("EMAIL_SMTP", "smtp://h"), ("BACKLINE_STORE", "sqlite:/elsewhere")],
            ),
            service("idle", 0, &[]),
        ],
        folder: "/estate".into(),
    }
}

fn plan() -> Vec<Launch> {
    let addresses = Addresses {
        gateway: ([127, 0, 0, 1], 8080).into(),
        console: ([127, 0, 0, 1], 8070).into(),
        registry: ([127, 0, 0, 1], 8500).into(),
    };
    let (system, programs, var) = (system(), Programs::of(&[]), Var::at("/estate/var"));
    let inherited =
        inherited([("PATH".to_owned(), "/bin".to_owned()), ("SECRET".into(), "x".into())]);
    Planner { system: &system, programs: &programs, var: &var, addresses, inherited }.plan()
}

fn launch(id: &str) -> Launch {
    plan().into_iter().find(|launch| launch.id == id).expect("planned")
}

#[test]
fn daemons_come_first_and_each_instance_is_a_process() {
    let ids: Vec<_> = plan().into_iter().map(|launch| launch.id).collect();
    assert_eq!(
        ids,
        ["registry-1", "gateway-1", "monitor-1", "console-1", "catalog-1", "catalog-2", "email-1"]
    );
}

#[test]
fn services_stop_before_the_gateway_and_the_registry_last() {
    let turns = ["catalog-1", "gateway-1", "monitor-1", "console-1", "registry-1"];
    assert_eq!(turns.map(|id| launch(id).stop_turn()), [0, 1, 1, 1, 2]);
}

#[test]
fn a_service_is_told_all_that_it_needs() {
    let env = launch("catalog-2").env;
    let told: Vec<_> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        told,
        [
            "BACKLINE_ADDRESS_FILE=/estate/var/run/catalog-2.addr",
            "BACKLINE_DISCOVERY=consul://127.0.0.1:8500",
            "BACKLINE_ENVIRONMENT=dev",
            "BACKLINE_EVENTS=feed",
            "BACKLINE_INSTANCE=catalog-2",
            "BACKLINE_LISTEN=127.0.0.1:0",
            "BACKLINE_PUBLIC=true",
            "BACKLINE_SERVICE=catalog",
            "BACKLINE_STORE=sqlite:/estate/var/store/catalog.db",
            "BACKLINE_ZONE=local",
            "PATH=/bin",
            "RUST_LOG=info",
        ]
    );
}

#[test]
fn a_services_own_settings_win() {
    let env = launch("email-1").env;
    assert_eq!(env["EMAIL_SMTP"], "smtp://h");
    assert_eq!(env["BACKLINE_STORE"], "sqlite:/elsewhere");
}

#[test]
fn daemons_keep_the_addresses_that_people_know() {
    assert_eq!(launch("gateway-1").env["BACKLINE_LISTEN"], "127.0.0.1:8080");
    assert_eq!(launch("registry-1").env["BACKLINE_LISTEN"], "127.0.0.1:8500");
    let console = launch("console-1").env;
    assert_eq!(console["BACKLINE_LISTEN"], "127.0.0.1:8070");
    assert_eq!(console["CONSOLE_GATEWAY"], "http://127.0.0.1:8080");
    assert_eq!(launch("monitor-1").env["MONITOR_PROCESSES"], "/estate/processes");
}

#[test]
fn only_who_asks_for_the_operators_token_or_sends_it_is_told_where_it_is() {
    let knows = |launch: &Launch| launch.env.contains_key("BACKLINE_OPERATOR_TOKEN_FILE");
    let ids: Vec<_> = plan().into_iter().filter(knows).map(|launch| launch.id).collect();
    assert_eq!(ids, ["registry-1", "console-1"]);
    let file = &launch("registry-1").env["BACKLINE_OPERATOR_TOKEN_FILE"];
    assert_eq!(file, "/estate/var/operator.token");
}

#[test]
fn the_gateway_is_told_the_limits_of_its_calls_and_no_other_daemon() {
    assert_eq!(launch("gateway-1").env["BACKLINE_CALLS_CATALOG"], "timeout=2s");
    for id in ["registry-1", "monitor-1", "console-1", "email-1"] {
        assert!(!launch(id).env.contains_key("BACKLINE_CALLS_CATALOG"), "{id}");
    }
}
