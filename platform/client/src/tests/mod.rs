//! Against real sockets.

mod calls;
mod connections;
mod discovery;
mod fake_registry;
mod keys;
mod measured;
mod operators;
mod registration;
mod safety;
mod server;

use std::time::Duration;

use crate::{Client, Discovery};

/// No test waits longer than this for what it expects.
const LIMIT: Duration = Duration::from_secs(10);

async fn within_limit<T>(what: &str, wanted: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, wanted).await {
        Ok(value) => value,
        Err(_) => panic!("not within {LIMIT:?}: {what}"),
    }
}

/// A client of the service `test` with these instances.
fn client_of<A: std::fmt::Display>(addresses: &[A]) -> Client {
    static_discovery(addresses).client("test")
}

fn static_discovery<A: std::fmt::Display>(addresses: &[A]) -> Discovery {
    let list: Vec<_> = addresses.iter().map(|address| format!("test={address}")).collect();
    Discovery::from_url(&format!("static:{}", list.join(",")), "tester-1").unwrap()
}
