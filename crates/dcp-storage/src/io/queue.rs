//! What is to be done, and by whoever comes first.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::IntoIter;

/// Tasks that nobody has begun.
pub(super) struct Queue<F>(Mutex<IntoIter<F>>);

impl<F> Queue<F> {
    pub(super) fn new(tasks: Vec<F>) -> Self {
        Self(Mutex::new(tasks.into_iter()))
    }

    pub(super) fn next(&self) -> Option<F> {
        self.lock().next()
    }

    /// Drops them: others may wait for what they would have done, or hold.
    pub(super) fn clear(&self) {
        let rest = std::mem::take(&mut *self.lock());
        drop(rest);
    }

    fn lock(&self) -> MutexGuard<'_, IntoIter<F>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clears a queue when a thread ends: nothing is left by then, or it has failed.
pub(super) struct Stop<'q, F>(&'q Queue<F>);

impl<'q, F> Stop<'q, F> {
    pub(super) fn new(queue: &'q Queue<F>) -> Self {
        Self(queue)
    }
}

impl<F> Drop for Stop<'_, F> {
    fn drop(&mut self) {
        self.0.clear();
    }
}
