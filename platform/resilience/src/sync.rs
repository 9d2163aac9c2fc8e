//! The locks and atomics of the parts that run at once. In one place, so that the test that tries
//! all interleavings can put its own in their place.

pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

/// Locks; a panic elsewhere does not matter, as no lock is held while others' code runs.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
