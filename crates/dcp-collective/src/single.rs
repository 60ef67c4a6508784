//! A job of one rank.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use crate::threads::{ThreadGroup, ThreadRank};
use crate::{Collective, CollectiveError, Tag, TagSource};

/// The collective of a program that runs alone: rank 0 of 1.
///
/// ```
/// use dcp_collective::{Collective, SingleProcess};
///
/// let alone = SingleProcess::new();
/// assert_eq!((alone.rank(), alone.size()), (0, 1));
/// ```
#[derive(Debug)]
pub struct SingleProcess {
    // What a rank sends to itself lies in a mailbox like any other message.
    only: ThreadRank,
}

impl SingleProcess {
    /// Rank 0 of 1.
    pub fn new() -> Self {
        Self { only: ThreadGroup::only() }
    }
}

impl Default for SingleProcess {
    fn default() -> Self {
        Self::new()
    }
}

impl Collective for SingleProcess {
    fn rank(&self) -> usize {
        self.only.rank()
    }

    fn size(&self) -> usize {
        self.only.size()
    }

    fn send(&self, to: usize, tag: Tag, message: Vec<u8>) -> Result<(), CollectiveError> {
        self.only.send(to, tag, message)
    }

    fn recv(&self, from: usize, tag: Tag, until: Instant) -> Result<Vec<u8>, CollectiveError> {
        self.only.recv(from, tag, until)
    }

    fn tags(&self) -> &TagSource {
        self.only.tags()
    }

    fn in_common(&self, tag: Tag, offer: Arc<dyn Any + Send + Sync>) -> Arc<dyn Any + Send + Sync> {
        self.only.in_common(tag, offer)
    }

    fn close(&self, tag: Tag) {
        self.only.close(tag);
    }
}
