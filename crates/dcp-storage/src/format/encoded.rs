//! Segments that go through transforms.

use super::Segment;
use crate::{Checksum, Transforms};

/// The segments of one item, which go through transforms together: one stream. What is written is one segment, whose item is theirs.
///
/// For them everything is as if they were a file of their own: their offsets are those in the stream before it is encoded, their checksums
/// of what is not encoded yet, and [late](Segment::Late) ones see the others of them alone.
#[derive(Debug)]
pub struct Encoded {
    /// What they go through.
    pub transforms: Transforms,
    /// The segments. One of them is an item, none is encoded itself.
    pub segments: Vec<Segment>,
    /// A checksum is taken of each block of so many encoded bytes, counted from the start of the encoded segment; of none if 0.
    pub checksum_block: u64,
    /// Of which kind.
    pub checksum: Checksum,
}
