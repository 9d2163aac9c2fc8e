//! Which addresses refused a connection just now. Shared by all clients of a process: what one
//! learnt, no other needs to find out.

use std::{collections::HashMap, net::SocketAddr, sync::Mutex, time::Duration};

use tokio::time::Instant;

use crate::sync::lock;

/// For this long an address that refused is tried last.
const TRIED_LAST_FOR: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<SocketAddr, Instant>>);

impl Refusals {
    pub fn note(&self, address: SocketAddr, now: Instant) {
        let mut refused = lock(&self.0);
        refused.retain(|_, at| now.duration_since(*at) < TRIED_LAST_FOR);
        refused.insert(address, now);
    }

    /// Moves the addresses that refused behind the others; the order is kept otherwise.
    pub fn put_last(&self, addresses: &mut [SocketAddr], now: Instant) {
        let refused = lock(&self.0);
        if refused.is_empty() {
            return;
        }
        addresses.sort_by_key(|address| {
            refused.get(address).is_some_and(|at| now.duration_since(*at) < TRIED_LAST_FOR)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusing_address_is_last_for_a_second() {
        let [a, b, c] = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let (refusals, now) = (Refusals::default(), Instant::now());
        refusals.note(a, now);
        let mut order = [a, b, c];
        refusals.put_last(&mut order, now);
        assert_eq!(order, [b, c, a]);
        let mut order = [a, b, c];
        refusals.put_last(&mut order, now + TRIED_LAST_FOR);
        assert_eq!(order, [a, b, c]);
    }
}
