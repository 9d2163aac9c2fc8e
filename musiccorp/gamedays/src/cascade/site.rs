//! The site's processes, started for the game day and gone with it.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use backline_client::{Client, Discovery, Purpose};
use backline_load::{Plan, Shape};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::{Failed, OLD_SHARE};

/// A process has to be ready by then.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// The bulkhead before the old ads: what the site gives a service that few ask for.
pub const OLD_PLACES: usize = 8;
/// The limits of the calls to the old ads.
const OLD_LIMITS: &str = "timeout=250ms connections=8 wait=5ms tries=1 slow=100ms window=50 \
                          minimum=10 open=1s probes=2";
const NEW_LIMITS: &str = "timeout=1s connections=64 wait=100ms slow=500ms";

/// The site and the two services behind it.
pub struct Site {
    address: String,
    old: String,
    classifieds: Client,
    /// Of the site itself.
    pid: u32,
    _processes: Vec<Child>,
    folder: PathBuf,
}

impl Site {
    /// Starts all three, with the measures, or with so many workers in one pool.
    pub async fn start(workers: Option<usize>) -> Result<Self, Failed> {
        let folder = std::env::temp_dir().join(format!(
            "cascade-{}-{}",
            std::process::id(),
            if workers.is_none() { "on" } else { "off" }
        ));
        std::fs::create_dir_all(&folder)?;
        let mut processes = Vec::new();
        let mut start = async |name: &str, variables: &[(&str, &str)]| {
            let (process, address) = start(&folder, name, variables).await?;
            processes.push(process);
            Ok::<_, Failed>(address)
        };
        // The services behind the site refuse nobody: the story is about the one in front.
        let unlimited = ("BACKLINE_LIMIT", "65535");
        let new = start("new-ads", &[("BACKLINE_DISCOVERY", "static:"), unlimited]).await?;
        let old = start("old-ads", &[("BACKLINE_DISCOVERY", "static:"), unlimited]).await?;
        let both = format!("static:new-ads={new},old-ads={old}");
        let unguarded = format!("{new},{old},{}", workers.unwrap_or_default());
        let mut variables = vec![("BACKLINE_DISCOVERY", both.as_str())];
        if workers.is_none() {
            variables.push(("BACKLINE_CALLS_OLD_ADS", OLD_LIMITS));
            variables.push(("BACKLINE_CALLS_NEW_ADS", NEW_LIMITS));
        } else {
            variables.push(("CLASSIFIEDS_UNGUARDED", &unguarded));
            variables.push(unlimited);
        }
        let address = start("classifieds", &variables).await?;
        let discovery = Discovery::from_url(&format!("static:classifieds={address}"), "cascade")?;
        let pid = processes.last().and_then(Child::id).unwrap_or_default();
        Ok(Self {
            pid,
            classifieds: discovery.client_for("classifieds", Purpose::Operations),
            address,
            old,
            _processes: processes,
            folder,
        })
    }

    /// A load of both kinds of ads.
    pub fn plan(&self, rate: f64, duration: Duration) -> Result<Plan, Failed> {
        let shape = |kind: &str| {
            Shape::get(kind, &format!("http://{}/classifieds/search?ads={kind}", self.address))
        };
        let shapes =
            vec![shape("new")?.weighing(1.0 - OLD_SHARE), shape("old")?.weighing(OLD_SHARE)];
        Ok(Plan { duration, connections: 2000, ..Plan::new(shapes, rate) })
    }

    /// How long each answer of the old service takes from now on.
    pub async fn old_ads_take(&self, delay: Duration) -> Result<(), Failed> {
        let mood = json!({ "delay_ms": delay.as_millis() as u64 });
        // A client for this call alone: its connection is not to be counted among the site's.
        let discovery = Discovery::from_url(&format!("static:old-ads={}", self.old), "cascade")?;
        let old_ads = discovery.client_for("old-ads", Purpose::Operations);
        old_ads.post("/old-ads/mood").json(&mood).send().await?;
        Ok(())
    }

    /// The site's breaker before the old ads; none without the measures.
    pub async fn breaker(&self) -> Option<String> {
        let answer = self.classifieds.get("/breakers").timeout(Duration::from_secs(2)).send().await;
        let board: Value = answer.ok()?.json().ok()?;
        let dependencies = board["dependencies"].as_array()?;
        let old = dependencies.iter().find(|dependency| dependency["to"] == "old-ads")?;
        Some(old["breaker"]["state"].as_str()?.to_owned())
    }

    /// Makes the old ads well, and waits until the site has noticed.
    pub async fn heal(&self) -> Result<(), Failed> {
        self.old_ads_take(Duration::ZERO).await?;
        let end = Instant::now() + READY_WITHIN;
        while self.breaker().await.as_deref() != Some("closed") {
            if Instant::now() > end {
                return Err("the breaker did not close after the old ads were well again".into());
            }
            // What opens it again for good is calls.
            let ask = self.classifieds.get("/classifieds/search?ads=old");
            let _ = ask.timeout(Duration::from_secs(1)).send().await;
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The site's open connections to the old service, as the kernel has them (proc(5): `net/tcp` and
    /// the site's own descriptors; what this scenario asks the old service is not among them).
    ///
    /// The table is not read at one moment: a connection that ends and the one in its place can both
    /// be in it. So it is read three times, and the least counts.
    pub fn connections_to_old_ads(&self) -> usize {
        (0..3).map(|_| self.connections_in_one_reading()).min().unwrap_or_default()
    }

    fn connections_in_one_reading(&self) -> usize {
        const ESTABLISHED: &str = "01";
        let port = self.old.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        let remote = format!(":{:04X}", port.unwrap_or_default());
        let sockets = self.sockets();
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        let open = table.lines().skip(1).filter(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let [_, _, address, state, _, _, _, _, _, inode, ..] = fields[..] else { return false };
            address.ends_with(&remote) && state == ESTABLISHED && sockets.contains(inode)
        });
        open.count()
    }

    /// The inodes of the site's sockets.
    fn sockets(&self) -> HashSet<String> {
        let folder = format!("/proc/{}/fd", self.pid);
        let links = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let sockets = links.filter_map(|entry| {
            let link = std::fs::read_link(entry.path()).ok()?;
            let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned();
            Some(inode)
        });
        sockets.collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // What is left of it is of no use to anybody.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn start(
    folder: &Path,
    name: &str,
    variables: &[(&str, &str)],
) -> Result<(Child, String), Failed> {
    let beside = std::env::current_exe()?;
    let program = beside.with_file_name(name);
    let address_file = folder.join(format!("{name}.address"));
    let log = std::fs::File::create(folder.join(format!("{name}.log")))?;
    let mut process = Command::new(&program)
        .envs(variables.iter().copied())
        .env("BACKLINE_ADDRESS_FILE", &address_file)
        .env("BACKLINE_STORE", format!("sqlite:{}", folder.join(format!("{name}.db")).display()))
        .env("BACKLINE_LISTEN", "127.0.0.1:0")
        .env("RUST_LOG", "error")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    let end = Instant::now() + READY_WITHIN;
    loop {
        if let Ok(address) = std::fs::read_to_string(&address_file) {
            return Ok((process, address));
        }
        if let Some(status) = process.try_wait()? {
            let log = std::fs::read_to_string(folder.join(format!("{name}.log")));
            return Err(
                format!("{name} ended early ({status}): {}", log.unwrap_or_default()).into()
            );
        }
        if Instant::now() > end {
            return Err(format!("{name} was not ready within {READY_WITHIN:?}").into());
        }
        sleep(Duration::from_millis(10)).await;
    }
}
