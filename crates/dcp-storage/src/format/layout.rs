//! Files to be written, as lists of segments.

use std::fmt;

use bytes::Bytes;
use dcp_types::WriteItem;

use super::Encoded;
use crate::{Checksum, StorageError, StorePath};

/// A file that a rank writes.
#[derive(Debug)]
pub struct FileLayout {
    /// Its name.
    pub path: StorePath,
    /// Its size in bytes, as far as it can be told beforehand.
    pub expected_size: Option<u64>,
    /// What it consists of, in order.
    pub segments: Vec<Segment>,
}

/// A part of a file.
#[non_exhaustive]
pub enum Segment {
    /// Bytes that are known beforehand.
    Bytes(Bytes),
    /// So many zero bytes up to a multiple of this number of bytes.
    Align(u64),
    /// The bytes of an item: row-major and little-endian for a chunk, encoded for a value.
    Item {
        /// The item.
        item: WriteItem,
        /// A checksum is taken of each block of so many bytes, counted from the item's start; of none if 0.
        checksum_block: u64,
        /// Of which kind.
        checksum: Checksum,
    },
    /// Bytes that depend on what was written before them.
    Late(Late),
    /// Segments that are encoded together.
    Encoded(Encoded),
}

/// Makes bytes from the segments that were written before.
pub type Late = Box<dyn FnOnce(&[WrittenSegment]) -> Result<Bytes, StorageError> + Send>;

/// A file that was written.
#[derive(Debug)]
pub struct WrittenFile {
    /// Its name.
    pub path: StorePath,
    /// Its size in bytes.
    pub size: u64,
    /// Its segments.
    pub segments: Vec<WrittenSegment>,
}

/// A segment that was written.
#[derive(Clone, Debug)]
pub struct WrittenSegment {
    /// Where it starts in the file.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
    /// The item that it is, if it is one.
    pub item: Option<WriteItem>,
    /// The checksum of each of its blocks.
    pub checksums: Vec<u32>,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Align(to) => write!(f, "Align({to})"),
            Self::Item { item, .. } => write!(f, "Item({item:?})"),
            Self::Late(_) => f.write_str("Late"),
            Self::Encoded(encoded) => write!(f, "{encoded:?}"),
        }
    }
}
