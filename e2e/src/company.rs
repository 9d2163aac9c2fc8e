use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use backline_testkit::{Estate, Finished, bin, http, run, wait_for};
use serde_json::{Value, json};

/// Within this time what follows from an import must be there.
const SOON: Duration = Duration::from_secs(30);

/// MusicCorp, up, as a customer and an operator see it.
#[derive(Debug)]
pub struct Company {
    /// Its processes.
    pub estate: Estate,
}

impl Company {
    /// Brings it up on a store of its own.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn up() -> Self {
        Self { estate: Estate::up() }
    }

    /// GET by a reference, through the gateway.
    ///
    /// # Panics
    /// When the answer is not a 200 with JSON.
    #[must_use]
    pub fn get(&self, reference: &str) -> Value {
        http::get(&format!("{}{reference}", self.estate.gateway())).expect(200).json()
    }

    /// Creates a customer; gives its reference and the id of the trace.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn create_customer(&self, email: &str) -> (String, String) {
        let body = json!({ "firstname": "Ada", "lastname": "Lovelace", "email": email });
        let url = format!("{}/customers", self.estate.gateway());
        let answer = http::post_json(&url, &body, &[]).expect(201);
        let header = |name| answer.header(name).expect("a header").to_owned();
        (header("location"), header("trace-id"))
    }

    /// What the console knows of a process instance.
    #[must_use]
    pub fn process(&self, correlation: &str) -> Option<Value> {
        let url = format!("{}/api/processes?correlation={correlation}", self.estate.console());
        let answer = http::try_get(&url)?;
        (answer.status == 200).then(|| answer.json()["instances"][0].clone())
    }

    /// The file of a service's store. For looking only.
    #[must_use]
    pub fn store(&self, service: &str) -> PathBuf {
        self.estate.var().join("store").join(format!("{service}.db"))
    }

    /// How many accounts the loyalty service's store shows; none before there is a store.
    #[must_use]
    pub fn accounts_in_store(&self) -> Option<i64> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let store = rusqlite::Connection::open_with_flags(self.store("loyalty"), flags).ok()?;
        store.query_row("SELECT count(*) FROM account", [], |row| row.get(0)).ok()
    }

    /// Starts `musiccorp import chinook FILE` and lets it run.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_import(&self, file: &Path) -> Child {
        let mut import = self.import_command(file);
        import.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        import.spawn().expect("the tool starts")
    }

    /// Runs `musiccorp import chinook FILE` to its end.
    ///
    /// # Panics
    /// When it has not ended within `limit`.
    #[must_use]
    pub fn import(&self, file: &Path, limit: Duration) -> Finished {
        run(&mut self.import_command(file), limit)
    }

    fn import_command(&self, file: &Path) -> Command {
        let mut command = Command::new(bin("musiccorp"));
        command.args(["import", "chinook"]).arg(file).args(["--gateway", self.estate.gateway()]);
        command
    }

    /// Waits until there are `total` customers and each has exactly one account, one pack and one
    /// mail, and until the monitor shows all of them complete and none late.
    ///
    /// # Panics
    /// When that is not so in time, or when anybody has two of anything.
    pub fn expect_each_reaction_once(&self, total: usize) {
        let collections = [
            ("/customers", "customers", "self"),
            ("/loyalty/accounts", "accounts", "customer"),
            ("/postal/packs", "packs", "customer"),
            ("/email/mails", "mails", "customer"),
        ];
        for (path, rel, link) in collections {
            let per_customer = wait_for(&format!("{total} {rel}"), SOON, || {
                let found = self.by_customer(path, rel, link)?;
                (found.len() >= total).then_some(found)
            });
            assert_eq!(per_customer.len(), total, "{rel}");
            let twice: Vec<_> = per_customer.iter().filter(|(_, count)| **count != 1).collect();
            assert!(twice.is_empty(), "more than one of {rel}: {twice:?}");
        }
        let complete = json!({ "running": 0, "complete": total, "late": 0 });
        wait_for("all processes complete", SOON, || {
            let processes = http::try_get(&format!("{}/api/processes", self.estate.console()))?;
            (processes.status == 200 && processes.json()["processes"][0]["counts"] == complete)
                .then_some(())
        });
    }

    /// How many resources of a collection there are for each customer.
    fn by_customer(&self, path: &str, rel: &str, link: &str) -> Option<BTreeMap<String, usize>> {
        let mut found = BTreeMap::new();
        let mut next = Some(path.to_owned());
        while let Some(reference) = next {
            let page = http::try_get(&format!("{}{reference}", self.estate.gateway()))?;
            if page.status != 200 {
                return None;
            }
            let page = page.json();
            for item in page["_embedded"][rel].as_array()? {
                *found.entry(item["_links"][link]["href"].as_str()?.to_owned()).or_default() += 1;
            }
            next = page["_links"]["next"]["href"].as_str().map(str::to_owned);
        }
        Some(found)
    }
}
