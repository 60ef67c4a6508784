//! What ranks of one process read together.

mod errand;
mod part;
#[cfg(test)]
mod tests;
mod want;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dcp_types::Digest;
use tokio::sync::Notify;

use self::errand::Errand;
pub(crate) use self::errand::Lent;
pub(crate) use self::part::Place;
use self::part::{Parts, Payload};
pub(crate) use self::want::{Turn, Want};
use crate::{BlockChecks, StorePath};

/// Parts of files that several ranks of one process want some bytes of, each read by one of them for all: give each rank's
/// [`Io`](crate::Io) [the same](crate::Io::with_commons) for one load.
///
/// Ranks that load as columns what lies in rows want short runs, and what each has to read between its own is another's. Whoever comes first
/// to a part reads it, from the first byte that somebody has said to want to the last, compares its checksums and leaves it here until all
/// who want it have been here. No rank depends on another: what one failed to read the next reads, and who waits while nothing changes reads by
/// itself.
///
/// Takes at most [`MEMORY`](Self::MEMORY), however many ranks there are.
#[derive(Debug, Default)]
pub struct Commons {
    parts: Mutex<Parts>,
    /// Told of whatever somebody may wait for.
    changed: Notify,
}

impl Commons {
    /// The most memory that it takes, in bytes.
    pub const MEMORY: u64 = 16 << 20;

    /// The longest part, in bytes.
    pub(crate) const PART: u64 = 1 << 20;

    /// How long a rank waits for another that reads or has memory, while nothing changes at all.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes something for which others may wait.
    fn change(&self, what: impl FnOnce(&mut Parts)) {
        what(&mut self.lock());
        self.changed.notify_waiters();
    }

    /// Nobody panics while they hold the lock.
    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One rank, while it reads from a checkpoint.
#[derive(Debug)]
pub(crate) struct Member {
    commons: Arc<Commons>,
    location: String,
    checkpoint: Digest,
    /// How many of its tasks can be under way.
    threads: usize,
    /// How many of its tasks are not done. This and the next change only under the lock.
    tasks: AtomicUsize,
    /// How many parts it has read, or reads, that somebody still needs.
    reads: AtomicUsize,
    /// Once it has waited for nothing, it does not wait again.
    has_waited_in_vain: AtomicBool,
}

impl Member {
    /// The checkpoint is one of a place, by the digest of its index.
    pub(crate) fn new(commons: &Arc<Commons>, location: String, checkpoint: Digest, threads: usize) -> Arc<Self> {
        let (commons, (tasks, reads, has_waited_in_vain)) = (Arc::clone(commons), Default::default());
        Arc::new(Self { commons, location, checkpoint, threads, tasks, reads, has_waited_in_vain })
    }

    /// The parts of a payload: the same for all who read it from the same checkpoint, and compare it with the same checksums.
    pub(crate) fn payload(&self, file: &StorePath, offset: u64, length: u64, checks: Option<&BlockChecks>) -> u64 {
        let (location, checkpoint, file) = (self.location.clone(), self.checkpoint, file.clone());
        self.commons.lock().payload(Payload { location, checkpoint, file, offset, length }, checks)
    }

    /// There is one more task that goes through parts, now or later.
    pub(crate) fn task(self: &Arc<Self>) -> Pending {
        let mut parts = self.commons.lock();
        let before = self.tasks.fetch_add(1, Ordering::Relaxed);
        parts.members += usize::from(before == 0);
        parts.at_work += usize::from(before < self.threads);
        Pending(Arc::clone(self))
    }

    /// Memory can be used again in which it has read.
    fn give_back(&self, memory: Vec<u8>) {
        self.commons.change(|parts| {
            self.reads.fetch_sub(1, Ordering::Relaxed);
            parts.give_back(memory);
        });
    }
}

/// A task that goes through parts, until this is dropped.
#[derive(Debug)]
pub(crate) struct Pending(Arc<Member>);

impl Drop for Pending {
    fn drop(&mut self) {
        let Member { commons, threads, tasks, .. } = &*self.0;
        // Who waits for memory may be the last one then.
        commons.change(|parts| {
            let left = tasks.fetch_sub(1, Ordering::Relaxed) - 1;
            parts.members -= usize::from(left == 0);
            parts.at_work -= usize::from(left < *threads);
        });
    }
}
