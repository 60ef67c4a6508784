//! What ranks of one process read together.

mod errand;
mod part;
#[cfg(test)]
mod tests;
mod want;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use self::errand::Errand;
pub(crate) use self::errand::Lent;
use self::part::Parts;
pub(crate) use self::part::Place;
pub(crate) use self::want::{Turn, Want};

/// Parts of files that several ranks of one process want some bytes of, each read by one of them for all: give each rank's
/// [`Io`](crate::Io) [the same](crate::Io::with_commons) for one load.
///
/// Ranks that load as columns what lies in rows want short runs, and what each has to read between its own is another's. Whoever comes first
/// to a part reads it, from the first byte that somebody has said to want to the last, compares its checksums and leaves it here until all
/// who want it have been here. No rank depends on another: what one failed to read the next reads for itself, and who has waited for a
/// second goes on alone.
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

    /// How long a rank waits for others before it goes on alone.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nobody panics while they hold the lock.
    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One rank's share in it, for one call.
#[derive(Debug)]
pub(crate) struct Member {
    commons: Arc<Commons>,
    /// Whether it has waited too long.
    is_alone: AtomicBool,
}

impl Member {
    pub(crate) fn new(commons: &Arc<Commons>) -> Arc<Self> {
        Arc::new(Self { commons: Arc::clone(commons), is_alone: AtomicBool::new(false) })
    }
}
