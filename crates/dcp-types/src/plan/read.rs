//! What is read.

use crate::{Chunk, Region};

/// One thing to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadItem {
    /// The number of the entry in the metadata.
    pub entry: usize,
    /// What of it.
    pub what: ReadWhat,
}

impl ReadItem {
    /// All of a chunk of a tensor.
    #[must_use]
    pub fn whole_chunk(entry: usize, chunk: Chunk) -> Self {
        let region = chunk.region.clone();
        Self { entry, what: ReadWhat::Region { chunk, region } }
    }

    /// A value.
    #[must_use]
    pub fn value(entry: usize) -> Self {
        Self { entry, what: ReadWhat::Value }
    }
}

/// What of an entry is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadWhat {
    /// A region (in the tensor's coordinates) that lies in one chunk of a tensor.
    Region {
        /// The chunk that holds it.
        chunk: Chunk,
        /// The region.
        region: Region,
    },
    /// The value.
    Value,
}
