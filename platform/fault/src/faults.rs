//! What can be bad about a network.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    time::Duration,
};

/// What is bad about the network now. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// From the client to the server.
    pub up: Flow,
    /// From the server to the client.
    pub down: Flow,
    /// Connections end by a reset (RST) in place of an orderly end (FIN): with a
    /// [`Flow::cut_after`] when those bytes have passed; without, all at once, new ones as soon as
    /// they are accepted.
    pub reset: bool,
    /// Connections are accepted, and nothing passes. What was said meanwhile passes when this is
    /// over, as it would after a partition; until then, a connection that a side gives up stays open.
    pub black_hole: bool,
    /// New connections are refused, as where no process listens. Those that exist go on.
    pub refuse: bool,
    /// Where the jitter of new connections begins: the same seed gives the same jitter to the
    /// connections in the order in which they are accepted.
    pub seed: u64,
}

/// What is bad about one direction. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// How long a byte is on its way. A change leaves what is on its way as it is. At most 1,024
    /// reads, of up to 16 KiB each, are on their way at once; then the sender has to wait.
    pub latency: Duration,
    /// The latency is longer or shorter by up to this much, evenly spread, never below 0. Bytes keep
    /// their order.
    pub jitter: Duration,
    /// Bytes per second, of each connection.
    pub bandwidth: Option<NonZeroU64>,
    /// Bytes pass in small parts.
    pub dribble: Option<Dribble>,
    /// The connection is cut, both ways, when this many bytes have passed since its begin. With 0,
    /// at the first byte, which does not pass.
    pub cut_after: Option<u64>,
    /// The end of this direction (FIN) is passed on so much later.
    pub slow_close: Duration,
}

/// Bytes in small parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dribble {
    /// The most that passes at once.
    pub bytes: NonZeroUsize,
    /// The pause after each part.
    pub every: Duration,
}

impl Faults {
    /// Whether connections end as soon as they are there.
    pub(crate) fn resets_at_once(&self) -> bool {
        self.reset && self.up.cut_after.is_none() && self.down.cut_after.is_none()
    }
}
