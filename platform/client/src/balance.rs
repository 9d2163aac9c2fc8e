//! Which instance a call goes to: of two, the one with fewer calls under way.
//!
//! The power of two choices (Mitzenmacher 2001): as good as asking all, without everybody running
//! to the same idlest one. The first choice takes turns, so that without load all get the same.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::sync::lock;

#[derive(Default)]
pub(crate) struct Balance {
    turn: AtomicUsize,
    outstanding: Mutex<HashMap<SocketAddr, u32>>,
}

/// A call under way to an instance; over when dropped.
pub(crate) struct Underway {
    balance: Arc<Balance>,
    address: SocketAddr,
}

impl Balance {
    /// Orders the instances by whom to try first.
    pub fn order(&self, addresses: &mut [SocketAddr]) {
        if addresses.len() < 2 {
            return;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len();
        addresses.rotate_left(turn);
        let other = fastrand::usize(1..addresses.len());
        let outstanding = lock(&self.outstanding);
        let of = |address| outstanding.get(&address).copied().unwrap_or_default();
        if of(addresses[other]) < of(addresses[0]) {
            addresses.swap(0, other);
        }
    }

    /// A long poll is no load.
    pub fn begin(self: &Arc<Self>, address: SocketAddr, long_poll: bool) -> Option<Underway> {
        if long_poll {
            return None;
        }
        *lock(&self.outstanding).entry(address).or_default() += 1;
        Some(Underway { balance: self.clone(), address })
    }

    #[cfg(test)]
    pub fn outstanding(&self, address: SocketAddr) -> u32 {
        lock(&self.outstanding).get(&address).copied().unwrap_or_default()
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let mut outstanding = lock(&self.balance.outstanding);
        if let Some(calls) = outstanding.get_mut(&self.address) {
            *calls -= 1;
            if *calls == 0 {
                outstanding.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses<const N: usize>() -> [SocketAddr; N] {
        std::array::from_fn(|n| SocketAddr::from(([127, 0, 0, 1], 1 + n as u16)))
    }

    #[test]
    fn without_load_all_take_turns() {
        let (balance, all) = (Balance::default(), addresses::<3>());
        let firsts: Vec<_> = (0..6)
            .map(|_| {
                let mut order = all;
                balance.order(&mut order);
                order[0]
            })
            .collect();
        assert_eq!(firsts, [all[0], all[1], all[2], all[0], all[1], all[2]]);
    }

    #[test]
    fn of_two_the_one_with_fewer_calls_under_way_is_first() {
        let (balance, [busy, idle]) = (Arc::new(Balance::default()), addresses());
        let calls =
            [balance.begin(busy, false), balance.begin(busy, false), balance.begin(idle, true)];
        for _ in 0..4 {
            let mut order = [busy, idle];
            balance.order(&mut order);
            assert_eq!(order, [idle, busy]);
        }
        drop(calls);
        assert_eq!(balance.outstanding(busy), 0);
        assert!(lock(&balance.outstanding).is_empty());
    }

    #[test]
    fn a_slow_instance_gets_few_of_many_calls() {
        let (balance, all) = (Arc::new(Balance::default()), addresses::<4>());
        // Nothing ends at the first instance; elsewhere each call ends at once.
        let mut stuck = Vec::new();
        for _ in 0..400 {
            let mut order = all;
            balance.order(&mut order);
            let call = balance.begin(order[0], false);
            if order[0] == all[0] {
                stuck.push(call);
            }
        }
        assert!(stuck.len() <= 2, "{}", stuck.len());
    }
}
