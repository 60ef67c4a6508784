//! Formats whose checkpoints are one file, which all ranks write together.

use bytes::Bytes;
use dcp_types::{Outline, RankPlan, WriteItem};

use crate::StorageError;

/// How all ranks write one file together: each its chunks at their places, then one of them all that lies between and behind.
///
/// In such a file every tensor is there as a whole, row-major and little-endian; where each starts follows from the outline of the plan alone.
/// Values are collected, and are part of what is written last.
///
/// # Contract
/// * The same arguments give the same result.
/// * Tensors do not overlap one another, nor the [`pieces`](Self::pieces).
/// * A piece does not depend on checksums of tensors that lie behind it. So one rank alone can write the file from its first byte to its
///   last, where nothing else can be done to an object.
pub trait OneFile: Send + Sync {
    /// Where the tensors start whose chunks a rank writes: in the order of the plan's items, without values and without other names
    /// of tensors ([`Outline::ties`]).
    ///
    /// # Errors
    /// [`StorageError::Unsupported`] for what the format cannot express.
    fn place(&self, plan: &RankPlan) -> Result<Vec<PlacedChunk>, StorageError>;

    /// All bytes of the file that are no tensors, in the order of their places. The file ends where the last of them ends.
    ///
    /// # Errors
    /// [`StorageError::Unsupported`] for what the format cannot express.
    fn pieces<'a>(&self, outline: &'a Outline, written: &'a dyn Written) -> Result<Pieces<'a>, StorageError>;
}

/// A chunk, and where the tensor starts of which it is a part.
#[derive(Clone, Debug)]
pub struct PlacedChunk {
    /// The chunk.
    pub item: WriteItem,
    /// The byte of the file at which the first element of the whole tensor lies.
    pub tensor: u64,
}

/// The bytes of a file that are no tensors, one piece after another.
pub type Pieces<'a> = Box<dyn Iterator<Item = Piece> + Send + 'a>;

/// What was written when a piece is asked for, and the values.
pub trait Written: Send + Sync {
    /// The CRC-32 of the bytes of a tensor that lies before the piece, by the number of its entry.
    fn checksum(&self, entry: usize) -> u32;

    /// Values as [`encode_value`](crate::Format::encode_value) has made them, by the numbers of their entries, ascending.
    fn values(&self) -> &[(usize, Bytes)];
}

/// Some bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where in the file they start.
    pub offset: u64,
    /// The bytes.
    pub bytes: Bytes,
}
