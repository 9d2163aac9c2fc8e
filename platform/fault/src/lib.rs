//! A TCP proxy that makes the network bad: slow, narrow, cut, silent.
//!
//! What a program does while its neighbour is slow or half gone is seldom tried, since a good
//! machine has no bad network. This proxy stands between the two and does what it is told; it can
//! be told otherwise at any moment, and its jitter follows a seed. It runs on a thread of its own,
//! so that blocking and async tests alike can use it.
//!
//! It refuses to know what passes: there is no HTTP here, and no byte is ever changed, left out or
//! put in another order. It listens on loopback only.

mod command;
mod faults;
mod flow;
mod proxy;
mod relay;

pub use command::{Args, command};
pub use faults::{Dribble, Faults, Flow};
pub use proxy::{Counts, Proxy};
