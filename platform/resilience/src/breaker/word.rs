//! What the next call needs to know, in one atomic word: it can pass and count without the lock.
//!
//! A count window that has its rate cannot be opened by a call that is neither failed nor slow: the
//! rate only falls. So such a call is only counted here, and whoever takes the lock next brings the
//! count into the window before anything else: the order in which calls came to the window stays as
//! it was. Once there are as many as the window holds, it is full of good calls and more make no
//! difference: then a healthy breaker writes nothing at all, and threads that share it do not slow
//! each other down.
//!
//! All parts are in the same word, so that a count can never land in another epoch than the call's.

use crate::sync::{AtomicU64, Ordering};

/// Bit 0: all calls pass. Bit 1: good calls are counted here. 14 bits: up to how many; 14 bits: how
/// many there are. The rest is the epoch: no permit outlives the 2^34 changes of state after which
/// it comes round.
pub(super) struct Word(AtomicU64);

const PASSES: u64 = 1;
const COUNTS: u64 = 2;
const FULL: u32 = 2;
const COUNT: u32 = 16;
const EPOCH: u32 = 30;
const ONE: u64 = 1 << COUNT;
/// Of a count: no window is larger than 10,000.
const MASK: u64 = (1 << 14) - 1;

/// What becomes of good calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Good {
    /// They may decide something: each takes the lock.
    Decides,
    /// They are counted, up to so many.
    Counted(u32),
    /// They make no difference.
    Dropped,
}

const fn full(word: u64) -> u64 {
    (word >> FULL) & MASK
}

const fn count(word: u64) -> u64 {
    (word >> COUNT) & MASK
}

fn word(epoch: u64, passes: bool, good: Good) -> u64 {
    let good = match good {
        Good::Decides => 0,
        Good::Counted(full) => COUNTS | (u64::from(full) & MASK) << FULL,
        Good::Dropped => COUNTS,
    };
    epoch << EPOCH | good | if passes { PASSES } else { 0 }
}

impl Word {
    pub fn new(epoch: u64, passes: bool, good: Good) -> Self {
        Self(AtomicU64::new(word(epoch, passes, good)))
    }

    /// The epoch, if all calls pass.
    #[inline]
    pub fn passes(&self) -> Option<u64> {
        let word = self.0.load(Ordering::Acquire);
        (word & PASSES != 0).then_some(word >> EPOCH)
    }

    /// Counts a good call of this epoch, if that is all there is to do about it.
    #[inline]
    pub fn count(&self, epoch: u64) -> bool {
        let word = self.0.load(Ordering::Acquire);
        // Where it makes no difference, it makes none when it is late either.
        let healthy = word & COUNTS != 0 && count(word) >= full(word);
        healthy || self.add(epoch, word)
    }

    #[inline(never)]
    fn add(&self, epoch: u64, mut word: u64) -> bool {
        loop {
            if word & COUNTS == 0 || word >> EPOCH != epoch {
                return false;
            }
            if count(word) >= full(word) {
                return true;
            }
            let added =
                self.0.compare_exchange_weak(word, word + ONE, Ordering::AcqRel, Ordering::Acquire);
            match added {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// Whether this is what was put last, but for how many good calls there are and may be.
    pub fn holds(&self, epoch: u64, passes: bool, good: Good) -> bool {
        let kinds = !(MASK << COUNT | MASK << FULL);
        self.0.load(Ordering::Acquire) & kinds == word(epoch, passes, good) & kinds
    }

    /// The good calls counted so far; the count begins anew.
    pub fn take(&self) -> u32 {
        count(self.0.fetch_and(!(MASK << COUNT), Ordering::AcqRel)) as u32
    }

    /// Sets what holds from now on; the good calls counted since they were taken.
    pub fn put(&self, epoch: u64, passes: bool, good: Good) -> u32 {
        count(self.0.swap(word(epoch, passes, good), Ordering::AcqRel)) as u32
    }
}
