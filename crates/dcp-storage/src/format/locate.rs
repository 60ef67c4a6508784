//! Where items lie in files.

use std::ops::Range;
use std::sync::Arc;

use crate::StorePath;

/// How to come by the bytes of a chunk or value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Locator {
    /// They lie in a file as they are; any part of them can be read by itself.
    Extent(Extent),
}

/// The bytes of a chunk or value, row-major in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The file.
    pub file: StorePath,
    /// Where they start.
    pub offset: u64,
    /// How many there are.
    pub length: u64,
    /// Their checksums, if the format has any.
    pub checks: Option<BlockChecks>,
}

/// CRC-32 checksums of the blocks of an extent, the last of which may be shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockChecks {
    /// The size of a block in bytes, counted from the start of the extent.
    pub block: u64,
    /// A table of checksums that may serve many extents.
    pub table: Arc<[u32]>,
    /// The entries of the table that are this extent's.
    pub entries: Range<usize>,
}

impl BlockChecks {
    /// The checksum of a block.
    #[must_use]
    pub fn expected(&self, block: u64) -> Option<u32> {
        let index = self.entries.start.checked_add(usize::try_from(block).ok()?)?;
        if self.entries.contains(&index) { self.table.get(index).copied() } else { None }
    }
}
