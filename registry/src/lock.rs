//! A mutex's guard, whether or not a thread panicked while it had one.
//! Takes a mutex whose contents are whole between any two statements, gives its guard.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex. The guarded value is valid even if a thread panics between two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
