//! The settings of a service: the one place that reads the environment.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use backline_client::{Discovery, Limits};
use backline_resilience::{AdaptiveConfig, Limit};

use crate::{operator::OperatorToken, service::Setting};

/// What the environment says to a service.
#[derive(Clone, Debug)]
pub struct Config {
    /// `BACKLINE_INSTANCE`: the name of this process among those of its service. Default: the
    /// service's name with `-1` behind.
    pub instance: String,
    /// `BACKLINE_ZONE`: where it runs. Default `local`.
    pub zone: String,
    /// `BACKLINE_ENVIRONMENT`: what it runs for. Default `dev`.
    pub environment: String,
    /// `BACKLINE_LISTEN`: address to listen on; port 0 takes a free one. Default `127.0.0.1:0`, and
    /// for a daemon its own port.
    pub listen: SocketAddr,
    /// `BACKLINE_ADVERTISE`: the IP address under which others reach it. Default: the one that it
    /// listens on; needed where that is all of the machine's (`0.0.0.0`, `::`).
    pub advertise: Option<IpAddr>,
    /// `BACKLINE_HOSTS`: names besides loopback and its address under which it may be called, with
    /// commas between. Default none.
    pub hosts: Vec<String>,
    /// `BACKLINE_PUBLIC`: `true` lets the gateway route to it. Default `false`.
    pub public: bool,
    /// `BACKLINE_DISCOVERY`: where others are found: `consul://host:port` or
    /// `static:name=host:port,...`. Default `consul://127.0.0.1:8500`.
    pub discovery: String,
    /// `BACKLINE_STORE`: `sqlite:<path>`. Default `sqlite:var/store/<service>.db`.
    pub store: String,
    /// `BACKLINE_CALLS_<NAME>`: the limits of its calls to another service, such as
    /// `timeout=2s connections=32 tries=1`; see [`Limits::from_text`]. The name is in capitals with
    /// `_` for `-`: `BACKLINE_CALLS_ACCOUNTS_REPORTING`. What is not named has its default.
    pub calls: BTreeMap<String, Limits>,
    /// `BACKLINE_LIMIT`: how many requests to its resources a service works on at once; it refuses
    /// more with 503 before any work is done. A number from 1 to 65,535; `adaptive`, which finds
    /// the limit by the latency it sees, between 20 and 200; or `adaptive:MIN-MAX`. Default 256.
    pub limit: Limit,
    /// `BACKLINE_ADDRESS_FILE`: a file that gets the address listened on; none by default.
    pub address_file: Option<PathBuf>,
    /// `BACKLINE_OPERATOR_TOKEN_FILE`: the file with the operator's token, which nobody but its
    /// owner may read; none by default. Only the registry, which asks for the token, and the
    /// console, which sends it, are given one.
    pub operator: Option<OperatorToken>,
    /// Settings of the service's own, by name.
    pub own: BTreeMap<String, String>,
}

/// Everything that is wrong with the settings, all at once.
#[derive(Debug)]
pub struct Mistakes(Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the settings in the environment are wrong:")?;
        self.0.iter().try_for_each(|mistake| writeln!(f, "  - {mistake}"))
    }
}

impl std::error::Error for Mistakes {}

impl Config {
    /// Reads the settings of `service` from the process's environment.
    ///
    /// # Errors
    /// All mistakes together, each with the variable, the value seen and what would be right.
    pub(crate) fn from_env(
        service: &str,
        default_port: u16,
        settings: &[Setting],
    ) -> Result<Self, Mistakes> {
        let text = |text: OsString| text.to_string_lossy().into_owned();
        let vars = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
        Self::from_vars(service, default_port, settings, vars)
    }

    fn from_vars(
        service: &str,
        default_port: u16,
        settings: &[Setting],
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Mistakes> {
        let mut env = Environment { vars: vars.into_iter().collect(), mistakes: Vec::new() };
        let own = env.declared(settings);
        env.same_service(service);
        let listen = env.parsed(
            "BACKLINE_LISTEN",
            &format!("127.0.0.1:{default_port}"),
            "an IP address and a port, such as 127.0.0.1:0",
        );
        let listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let advertise = env.parsed("BACKLINE_ADVERTISE", "", "an IP address");
        if listen.ip().is_unspecified() && advertise.is_none() {
            env.mistakes.push(format!(
                "BACKLINE_LISTEN is '{listen}', which is no address to call: say in \
                 BACKLINE_ADVERTISE which of the machine's addresses others shall use"
            ));
        }
        let public = env.parsed("BACKLINE_PUBLIC", "false", "true or false").unwrap_or_default();
        env.known("BACKLINE_EVENTS", "feed", "feed", |value| value == "feed");
        let store = format!("sqlite:var/store/{service}.db");
        let store = env
            .known("BACKLINE_STORE", &store, "sqlite:<path>", |value| value.starts_with("sqlite:"));
        let instance = env.take("BACKLINE_INSTANCE", &format!("{service}-1"));
        let discovery = env.take("BACKLINE_DISCOVERY", "consul://127.0.0.1:8500");
        if let Err(error) = Discovery::from_url(&discovery, &instance) {
            env.mistakes.push(format!("BACKLINE_DISCOVERY is '{discovery}': {error}"));
        }
        let limit = env.take("BACKLINE_LIMIT", "256");
        let limit = limit_of(&limit).unwrap_or_else(|right| {
            env.mistakes.push(format!("BACKLINE_LIMIT is '{limit}': give {right}"));
            Limit::Fixed(1)
        });
        let address_file = env.take("BACKLINE_ADDRESS_FILE", "");
        let operator = env.operator_token();
        let config = Self {
            instance,
            zone: env.take("BACKLINE_ZONE", "local"),
            environment: env.take("BACKLINE_ENVIRONMENT", "dev"),
            listen,
            advertise,
            hosts: names(&env.take("BACKLINE_HOSTS", "")),
            public,
            discovery,
            store,
            calls: env.calls(),
            limit,
            address_file: (!address_file.is_empty()).then(|| address_file.into()),
            operator,
            own,
        };
        if env.mistakes.is_empty() { Ok(config) } else { Err(Mistakes(env.mistakes)) }
    }
}

/// The variables that are not read yet, and what is wrong with those that are.
struct Environment {
    vars: BTreeMap<String, String>,
    mistakes: Vec<String>,
}

impl Environment {
    /// A variable, or its default where it is absent or empty.
    fn take(&mut self, name: &str, default: &str) -> String {
        let value = self.vars.remove(name).filter(|value| !value.is_empty());
        value.unwrap_or_else(|| default.to_owned())
    }

    /// None where it is wrong, and where it is absent and has no default.
    fn parsed<T: FromStr>(&mut self, name: &str, default: &str, right: &str) -> Option<T> {
        let value = self.take(name, default);
        let parsed = value.parse().ok();
        if parsed.is_none() && !value.is_empty() {
            self.mistakes.push(format!("{name} is '{value}': give {right}"));
        }
        parsed
    }

    fn known(
        &mut self,
        name: &str,
        default: &str,
        right: &str,
        is_known: impl FnOnce(&str) -> bool,
    ) -> String {
        let value = self.take(name, default);
        if !is_known(&value) {
            self.mistakes.push(format!("{name} is '{value}': this version knows {right}"));
        }
        value
    }

    fn operator_token(&mut self) -> Option<OperatorToken> {
        let name = "BACKLINE_OPERATOR_TOKEN_FILE";
        let file = self.take(name, "");
        if file.is_empty() {
            return None;
        }
        let read = OperatorToken::read(Path::new(&file));
        read.map_err(|why| self.mistakes.push(format!("{name} is '{file}': {why}"))).ok()
    }

    fn same_service(&mut self, service: &str) {
        let named = self.take("BACKLINE_SERVICE", service);
        if named != service {
            self.mistakes.push(format!(
                "BACKLINE_SERVICE is '{named}', but this program is the service '{service}': \
                 start the other program, or leave it out"
            ));
        }
    }

    /// The limits of calls, by the service that is called.
    fn calls(&mut self) -> BTreeMap<String, Limits> {
        const CALLS: &str = "BACKLINE_CALLS_";
        let named = |name: &String| name.starts_with(CALLS) && name.len() > CALLS.len();
        let names: Vec<_> = self.vars.keys().filter(|name| named(name)).cloned().collect();
        let mut calls = BTreeMap::new();
        for name in names {
            match Limits::from_text(&self.take(&name, "")) {
                Ok(limits) => {
                    let to = name[CALLS.len()..].to_ascii_lowercase().replace('_', "-");
                    calls.insert(to, limits);
                }
                Err(mistake) => self.mistakes.push(format!("{name}: {mistake}")),
            }
        }
        calls
    }

    /// The service's own settings.
    fn declared(&mut self, settings: &[Setting]) -> BTreeMap<String, String> {
        let mut own = BTreeMap::new();
        for (name, check) in settings {
            let value = self.take(name, "");
            if value.is_empty() {
                continue;
            }
            if let Err(mistake) = check(&value) {
                self.mistakes.push(format!("{name} is '{value}': {mistake}"));
            }
            own.insert((*name).to_owned(), value);
        }
        own
    }
}

fn limit_of(text: &str) -> Result<Limit, String> {
    let right = || "a number from 1 to 65535, adaptive, or adaptive:MIN-MAX".to_owned();
    let number = |text: &str| text.parse::<u16>().map(u32::from).map_err(|_| right());
    let limit = match text.strip_prefix("adaptive") {
        None => Limit::Fixed(number(text)?),
        Some("") => Limit::Adaptive(AdaptiveConfig::default()),
        Some(bounds) => {
            let bounds = bounds.strip_prefix(':').and_then(|bounds| bounds.split_once('-'));
            let (min, max) = bounds.ok_or_else(right)?;
            let (min, max) = (number(min)?, number(max)?);
            Limit::Adaptive(AdaptiveConfig { initial: min, min, max, ..AdaptiveConfig::default() })
        }
    };
    limit.check().map_err(|error| error.to_string())?;
    Ok(limit)
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn an_empty_environment_is_enough() {
        let config = Config::from_vars("loyalty", 0, &[], []).expect("defaults");
        assert_eq!(config.instance, "loyalty-1");
        assert_eq!(config.store, "sqlite:var/store/loyalty.db");
        assert!(config.listen.ip().is_loopback());
    }

    #[test]
    fn all_mistakes_are_reported_together() {
        let wrong = vars(&[
            ("BACKLINE_DISCOVERY", "pigeon:"),
            ("BACKLINE_SERVICE", "email"),
            ("BACKLINE_LISTEN", "8080"),
            ("BACKLINE_EVENTS", "pigeon"),
            ("BACKLINE_STORE", "oracle:x"),
            ("BACKLINE_LIMIT", "none"),
            ("BACKLINE_CALLS_EMAIL", "timeout=soon"),
            ("BACKLINE_OPERATOR_TOKEN_FILE", "/nowhere/token"),
        ]);
        let text =
            Config::from_vars("loyalty", 0, &[], wrong).expect_err("eight mistakes").to_string();
        for part in [
            "'email'",
            "'8080'",
            "'pigeon'",
            "'oracle:x'",
            "'pigeon:'",
            "'none'",
            "'soon'",
            "'/nowhere/token'",
        ] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
    }

    #[test]
    fn calls_have_limits_by_the_name_of_the_service() {
        let vars = vars(&[("BACKLINE_CALLS_ACCOUNTS_REPORTING", "timeout=2s")]);
        let config = Config::from_vars("loyalty", 0, &[], vars).expect("valid");
        let limits = Limits::from_text("timeout=2s").expect("valid");
        assert_eq!(config.calls["accounts-reporting"], limits);
    }

    #[test]
    fn a_limit_is_a_number_or_adaptive() {
        assert!(matches!(limit_of("1"), Ok(Limit::Fixed(1))));
        assert!(matches!(limit_of("adaptive"), Ok(Limit::Adaptive(_))));
        let Ok(Limit::Adaptive(found)) = limit_of("adaptive:8-64") else { panic!("bounds") };
        assert_eq!((found.min, found.initial, found.max), (8, 8, 64));
        for wrong in ["0", "-1", "65536", "many", "adaptive:", "adaptive:9", "adaptive:64-8"] {
            assert!(limit_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn variables_of_its_own_reach_the_service() {
        let check: Setting =
            ("EMAIL_SMTP", |url| url.starts_with("smtp:").then_some(()).ok_or("give a URL".into()));
        let read = |url| Config::from_vars("email", 0, &[check], vars(&[("EMAIL_SMTP", url)]));
        assert_eq!(read("smtp://h:25").expect("valid").own["EMAIL_SMTP"], "smtp://h:25");
        let text = read("pigeon").expect_err("no URL").to_string();
        assert!(text.contains("EMAIL_SMTP is 'pigeon': give a URL"), "{text}");
    }
}
