//! Where items lie in files.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::Stream;
use crate::{Checksum, StorePath};

/// How to come by the bytes of a chunk or value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Locator {
    /// They lie in a file as they are; any part of them can be read by itself.
    Extent(Extent),
    /// They are encoded: compressed, encrypted. They can only be decoded from the first byte on.
    Stream(Stream),
    /// They are known already. For values only.
    Inline(Bytes),
}

/// A payload as it is stored in a file, which holds the bytes of a chunk or value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The file.
    pub file: StorePath,
    /// Where the payload starts.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
    /// How the elements lie in it. The default is the only one for a value.
    pub layout: Layout,
    /// Checksums of the payload, if the format has any.
    pub checks: Option<BlockChecks>,
}

/// How the elements of a chunk lie in a payload, and what must be done to them.
///
/// By default they are row-major and little-endian, and nothing else is in the payload: its length must be theirs. With a
/// `first` or with `strides` it may be longer, but every element must lie inside.
///
/// Chunks that lie transposed, permuted or padded are read exactly, in parallel and into any memory. Where elements share
/// bytes (expanded tensors, windows that overlap) what lies between the first and the last element that fit a buffer is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Bytes from the start of the payload to the first element.
    pub first: u64,
    /// The distance between neighbours in each dimension of the chunk, in elements; row-major if `None`. Of a dimension of one
    /// element it does not matter.
    pub strides: Option<Vec<u64>>,
    /// What is done to the elements, in this order.
    pub steps: Vec<PostStep>,
}

/// Something that must be done to elements after they have been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostStep {
    /// The bytes of each unit of so many bytes are reversed; an element must consist of whole units. A big-endian complex64
    /// has units of 4 bytes.
    SwapBytes(u64),
    /// Imaginary parts change their sign. For complex dtypes only.
    Conjugate,
    /// Elements change their sign, integers in two's complement. Not for booleans, nor for floats without a sign.
    Negate,
}

/// Checksums of the blocks of an extent, the last of which may be shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockChecks {
    /// What they are.
    pub kind: Checksum,
    /// The size of a block in bytes, counted from the start of the extent; the extent's length, if there is but one checksum.
    pub block: u64,
    /// A table of checksums that may serve many extents.
    pub table: Arc<[u32]>,
    /// The entries of the table that are this extent's.
    pub entries: Range<usize>,
}

impl BlockChecks {
    /// The checksum of a block.
    pub(crate) fn expected(&self, block: u64) -> Option<u32> {
        let index = self.entries.start.checked_add(usize::try_from(block).ok()?)?;
        if self.entries.contains(&index) { self.table.get(index).copied() } else { None }
    }
}
