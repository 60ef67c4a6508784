//! How parts become bytes in named files, and what the index looks like.

mod ask;
mod layout;
mod locate;
mod stream;

pub use ask::{Ask, Need, Reply, Step};
pub use layout::{FileLayout, Late, Segment, WrittenFile, WrittenSegment};
pub use locate::{BlockChecks, Extent, Layout, Locator, PostStep};
pub use stream::{Decoded, Decoder, Stream, StreamCodec};

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use dcp_types::{Digest, GlobalPlan, Metadata, Rank, ReadItem};

use crate::{Generation, StorageError, StorePath};

/// A checkpoint format: pure, without I/O of its own.
///
/// # Contract
/// * The same arguments give the same result; nothing is remembered between calls.
/// * `lay_out` uses each of the rank's items exactly once, and names files that no other rank and no other generation uses.
/// * Nothing is believed that comes from a file: sizes are checked with overflow in mind, paths are parsed, and memory is taken
///   only for what is really there.
pub trait Format: fmt::Debug + Send + Sync {
    /// The name of the format, as `native`.
    fn name(&self) -> &'static str;

    /// The object whose publication makes a checkpoint exist.
    fn index_path(&self) -> StorePath;

    /// The files that a rank writes.
    ///
    /// # Errors
    /// [`StorageError::Unsupported`] for what the format cannot express.
    fn lay_out(&self, plan: &GlobalPlan, rank: Rank, generation: Generation) -> Result<Vec<FileLayout>, StorageError>;

    /// What the index will need to know of a rank's files.
    ///
    /// # Errors
    /// [`StorageError::Unsupported`] for what the format cannot express.
    fn summarise(&self, files: &[WrittenFile]) -> Result<Bytes, StorageError>;

    /// The index of a checkpoint, from the plan and every rank's summary.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] if a summary does not fit the plan.
    fn encode_index(
        &self,
        plan: &GlobalPlan,
        summaries: &[(Rank, Bytes)],
        generation: Generation,
    ) -> Result<Bytes, StorageError>;

    /// The generation of the checkpoint that an index describes.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] if it is no index of this format.
    fn generation(&self, index: &[u8]) -> Result<Generation, StorageError>;

    /// Opens a checkpoint.
    fn open(&self) -> Box<dyn Ask<Output = Arc<dyn OpenedCheckpoint>>>;
}

/// A checkpoint whose index has been read.
pub trait OpenedCheckpoint: fmt::Debug + Send + Sync {
    /// What it holds.
    fn metadata(&self) -> &Arc<Metadata>;

    /// Stands for this very checkpoint: the digest of its index.
    fn fingerprint(&self) -> Digest;

    /// Finds out where items lie: one locator an item, in order.
    fn locate(self: Arc<Self>, items: Vec<ReadItem>) -> Box<dyn Ask<Output = Vec<Locator>>>;
}
