//! What one rank writes.

use std::sync::Arc;

use crate::{Chunk, Outline, Rank, Region};

/// A plan as one of its ranks needs it: its own items, and what all leaves are. Of the shards of others there is nothing in it, so that it is as
/// large for many ranks as for few.
#[derive(Clone, Debug, PartialEq)]
pub struct RankPlan {
    pub(super) rank: Rank,
    pub(super) outline: Arc<Outline>,
    pub(super) items: Vec<WriteItem>,
}

/// One thing that a rank writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteItem {
    /// The number of the entry in the metadata.
    pub entry: usize,
    /// What of it.
    pub what: WriteWhat,
}

/// What of an entry is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteWhat {
    /// A chunk of a tensor, and its size in bytes.
    Chunk(Chunk, u64),
    /// The value.
    Value,
}

impl RankPlan {
    /// Whose it is.
    #[must_use]
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// What is saved by all ranks together.
    #[must_use]
    pub fn outline(&self) -> &Arc<Outline> {
        &self.outline
    }

    /// Everything that the rank writes: chunks in the order of the entries, then values.
    #[must_use]
    pub fn items(&self) -> &[WriteItem] {
        &self.items
    }
}

impl WriteItem {
    pub(super) fn value(entry: usize) -> Self {
        Self { entry, what: WriteWhat::Value }
    }

    /// A chunk of a tensor, unless there is nothing in it.
    pub(super) fn chunk(entry: usize, element: u64, region: Region, number: u32) -> Option<Self> {
        let bytes = region.numel() * element;
        (!region.is_empty()).then(|| Self { entry, what: WriteWhat::Chunk(Chunk { region, number }, bytes) })
    }
}
