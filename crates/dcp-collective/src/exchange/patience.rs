//! How long a rank waits for another, and how often a rank shows that it is there.

use std::time::{Duration, Instant};

/// The patience of an exchange, and the times that follow from it.
///
/// They are staggered so that blame falls on the right rank: the coordinator gives up on a rank first, and tells the
/// others well before they would give up on the coordinator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience(Duration);

impl Patience {
    /// A patience of nothing would blame everybody, and spin.
    pub(super) fn new(given: Duration) -> Self {
        Self(given.max(Duration::from_millis(1)))
    }

    /// How often keepalives go out.
    pub(super) fn tick(self) -> Duration {
        self.0 / 4
    }

    /// How long the coordinator waits for a silent rank: one tick more than given, since progress made right after one
    /// keepalive is told by the next.
    pub(super) fn for_rank(self) -> Duration {
        self.0.saturating_add(self.tick())
    }

    /// How long the others wait for a silent coordinator: long enough that its verdict on a third rank, found after
    /// `for_rank`, is here before.
    pub(super) fn for_coordinator(self) -> Duration {
        self.for_rank().saturating_mul(2)
    }

    /// How long the coordinator waits for one rank before it looks at all of them again: the longest time that a
    /// departure can go unnoticed. Grows with the number of ranks so that looking stays a small share of the time.
    pub(super) fn slice(self, ranks: usize) -> Duration {
        let looking = Duration::from_micros(10).saturating_mul(u32::try_from(ranks).unwrap_or(u32::MAX));
        self.tick().min(Duration::from_millis(20).saturating_add(looking))
    }
}

/// `start + wait`, or a time that never comes.
pub(super) fn after(start: Instant, wait: Duration) -> Instant {
    const A_CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    start.checked_add(wait.min(A_CENTURY)).unwrap_or(start)
}
