//! The three fixed ports: free ones for the asking, and a clear word where one is taken.

use std::{
    fmt, fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use crate::{state::Addresses, system::Ports};

/// A port that somebody else listens on.
#[derive(Debug, PartialEq, Eq)]
struct TakenPort {
    key: &'static str,
    port: u16,
    holder: Option<String>,
}

/// All ports that are taken.
#[derive(Debug)]
pub struct Taken(Vec<TakenPort>);

impl std::error::Error for Taken {}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for TakenPort { key, port, holder } in &self.0 {
            let holder = holder.as_deref().unwrap_or("a process of another user or container");
            writeln!(
                f,
                "port {port} is taken by {holder}: end that, change the key '{key}' under [ports] \
                 in system.toml, or take free ports with --ports auto"
            )?;
        }
        Ok(())
    }
}

/// The addresses of `ports`, all on loopback.
///
/// # Errors
/// All that are taken.
pub fn fixed(ports: Ports) -> Result<Addresses, Taken> {
    let taken: Vec<_> =
        [("gateway", ports.gateway), ("console", ports.console), ("registry", ports.registry)]
            .into_iter()
            .filter(|(_, port)| !is_free(*port))
            .map(|(key, port)| TakenPort { key, port, holder: holder(port) })
            .collect();
    if taken.is_empty() {
        Ok(Addresses {
            gateway: loopback(ports.gateway),
            console: loopback(ports.console),
            registry: loopback(ports.registry),
        })
    } else {
        Err(Taken(taken))
    }
}

/// Three free addresses. They lie below the range from which the kernel takes ports for outgoing
/// connections: a process that died must get its port back, and meanwhile nobody's connection may
/// have taken it.
pub fn free() -> std::io::Result<Addresses> {
    let below = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse::<u16>().ok())
        .unwrap_or(0);
    // All three at the same time: none is given twice.
    let held = [free_below(below)?, free_below(below)?, free_below(below)?];
    let [gateway, console, registry] = held.each_ref().map(TcpListener::local_addr);
    Ok(Addresses { gateway: gateway?, console: console?, registry: registry? })
}

fn free_below(end: u16) -> std::io::Result<TcpListener> {
    const LOWEST: u16 = 10_000;
    if end > LOWEST + 1000 {
        for _ in 0..100 {
            if let Ok(listener) = TcpListener::bind(loopback(fastrand::u16(LOWEST..end))) {
                return Ok(listener);
            }
        }
    }
    TcpListener::bind(loopback(0))
}

/// Whether a process could listen there now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(loopback(port)).is_ok()
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Who listens on a port, as far as this user may know.
fn holder(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|table| fs::read_to_string(table).unwrap_or_default());
    let inode = tables.iter().find_map(|table| listening_inode(table, port))?;
    let socket = format!("socket:[{inode}]");
    let pid = fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let mut open = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        open.any(|fd| {
            fs::read_link(fd.path()).is_ok_and(|link| link.as_os_str() == socket.as_str())
        })
        .then_some(pid)
    })?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("'{}' (pid {pid})", name.trim()))
}

/// The socket that listens on `port` in a table as `/proc/net/tcp` is (proc_net_tcp in the kernel's
/// documentation): local address, remote address, state (0A listens), ..., inode.
fn listening_inode(table: &str, port: u16) -> Option<&str> {
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        (fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == "0A")
            .then(|| fields.get(9).copied())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_told_with_its_key_and_its_holder() {
        let listener = TcpListener::bind(loopback(0)).expect("a port");
        let gateway = listener.local_addr().expect("an address").port();
        let free = free().expect("ports");
        let ports = Ports { gateway, console: free.console.port(), registry: free.registry.port() };
        let told = fixed(ports).expect_err("taken").to_string();
        let me = format!("(pid {})", std::process::id());
        assert!(told.contains("the key 'gateway'") && told.contains(&me), "{told}");
    }

    #[test]
    fn free_ports_are_three_different_ones() {
        let Addresses { gateway, console, registry } = free().expect("ports");
        assert!(gateway != console && console != registry && gateway != registry);
        assert!([gateway, console, registry].iter().all(|address| is_free(address.port())));
    }
}
