//! How work shows that it moves.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A counter by which the work inside a step shows the other ranks that it gets on.
///
/// Others wait for a working rank as long as this counter moves at least once within the patience of the exchange,
/// however long the work takes in all. Cheap enough to be called for every buffer; shared by reference with as many
/// threads as the work uses.
///
/// ```
/// use dcp_collective::Progress;
///
/// fn write_all(files: &[&str], progress: &Progress) -> Result<usize, &'static str> {
///     for file in files {
///         if progress.is_cancelled() {
///             return Err("cancelled");
///         }
///         progress.advance(file.len() as u64);
///     }
///     Ok(files.len())
/// }
/// assert_eq!(write_all(&["a", "b"], &Progress::new()), Ok(2));
/// ```
#[derive(Debug, Default)]
pub struct Progress {
    total: AtomicU64,
    cancelled: AtomicBool,
}

impl Progress {
    /// A counter at zero that nobody watches.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that `amount` more was done, in any unit. Zero is no progress.
    pub fn advance(&self, amount: u64) {
        self.total.fetch_add(amount, Ordering::Relaxed);
    }

    /// How much was done so far.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Whether the step is already lost, so that the work may stop early; it need not look.
    ///
    /// After this was true the step returns the reason, not what the work itself returns.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}
