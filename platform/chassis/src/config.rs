//! The settings of a service: the one place that reads the environment.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf};

use crate::service::Setting;

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
    /// `BACKLINE_ADDRESS_FILE`: a file that gets the address listened on; none by default.
    pub address_file: Option<PathBuf>,
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
        // A variable that is not Unicode is none of ours.
        let vars = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::from_vars(service, default_port, settings, vars)
    }

    fn from_vars(
        service: &str,
        default_port: u16,
        settings: &[Setting],
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Mistakes> {
        let mut ours: BTreeMap<_, _> = vars.into_iter().collect();
        let mut mistakes = Vec::new();
        let own = declared(&mut ours, settings, &mut mistakes);
        let mut take = |name: &str, default: String| {
            ours.remove(name).filter(|value| !value.is_empty()).unwrap_or(default)
        };
        let named = take("BACKLINE_SERVICE", service.to_owned());
        if named != service {
            mistakes.push(format!(
                "BACKLINE_SERVICE is '{named}', but this program is the service '{service}': \
                 start the other program, or leave it out"
            ));
        }
        let listen = take("BACKLINE_LISTEN", format!("127.0.0.1:{default_port}"));
        let listen = listen.parse().unwrap_or_else(|_| {
            mistakes.push(format!(
                "BACKLINE_LISTEN is '{listen}': give an IP address and a port, such as 127.0.0.1:0"
            ));
            SocketAddr::from(([127, 0, 0, 1], 0))
        });
        let public = take("BACKLINE_PUBLIC", "false".into());
        let public = public.parse().unwrap_or_else(|_| {
            mistakes.push(format!("BACKLINE_PUBLIC is '{public}': give true or false"));
            false
        });
        let events = take("BACKLINE_EVENTS", "feed".into());
        let store = take("BACKLINE_STORE", format!("sqlite:var/store/{service}.db"));
        for (name, value, known) in
            [("BACKLINE_EVENTS", &events, "feed"), ("BACKLINE_STORE", &store, "sqlite:")]
        {
            if !value.starts_with(known) {
                mistakes.push(format!("{name} is '{value}': this version knows {known}"));
            }
        }
        let config = Self {
            instance: take("BACKLINE_INSTANCE", format!("{service}-1")),
            zone: take("BACKLINE_ZONE", "local".into()),
            environment: take("BACKLINE_ENVIRONMENT", "dev".into()),
            listen,
            hosts: names(&take("BACKLINE_HOSTS", String::new())),
            public,
            discovery: take("BACKLINE_DISCOVERY", "consul://127.0.0.1:8500".into()),
            store,
            address_file: ours.remove("BACKLINE_ADDRESS_FILE").map(PathBuf::from),
            own,
        };
        if mistakes.is_empty() { Ok(config) } else { Err(Mistakes(mistakes)) }
    }
}

/// The service's own settings, taken out of the environment.
fn declared(
    vars: &mut BTreeMap<String, String>,
    settings: &[Setting],
    mistakes: &mut Vec<String>,
) -> BTreeMap<String, String> {
    let mut own = BTreeMap::new();
    for (name, check) in settings {
        let Some(value) = vars.remove(*name).filter(|value| !value.is_empty()) else { continue };
        if let Err(mistake) = check(&value) {
            mistakes.push(format!("{name} is '{value}': {mistake}"));
        }
        own.insert((*name).to_owned(), value);
    }
    own
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
            ("BACKLINE_SERVICE", "email"),
            ("BACKLINE_LISTEN", "8080"),
            ("BACKLINE_EVENTS", "pigeon"),
            ("BACKLINE_STORE", "oracle:x"),
        ]);
        let text =
            Config::from_vars("loyalty", 0, &[], wrong).expect_err("four mistakes").to_string();
        for part in ["'email'", "'8080'", "'pigeon'", "'oracle:x'"] {
            assert!(text.contains(part), "{part} is missing in: {text}");
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
