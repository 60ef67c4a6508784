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
