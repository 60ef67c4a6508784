//! Asking for a stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dcp_types::DataError;

/// Asks a conversion to stop, from any thread. Clones ask for the same.
///
/// A conversion that is asked before its commit begins ends with [`Error::Cancelled`](crate::Error::Cancelled) when it has removed what it wrote.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Nobody has asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has asked.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Ends what reads or writes if somebody has asked.
    pub(super) fn check(&self) -> Result<(), DataError> {
        if self.is_cancelled() { Err("it was cancelled".into()) } else { Ok(()) }
    }
}
