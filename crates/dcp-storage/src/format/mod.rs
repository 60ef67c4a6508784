//! How parts become bytes in named files, and what the index looks like.

mod ask;
mod companions;
mod encoded;
mod layout;
mod locate;
mod one_file;
mod steps;
mod stream;

pub use ask::{Ask, Need, Reply, Step};
pub use companions::Companions;
pub use encoded::Encoded;
pub use layout::{FileLayout, Late, Segment, WrittenFile, WrittenSegment};
pub use locate::{BlockChecks, Extent, Layout, Locator, PostStep};
pub use one_file::{OneFile, Piece, Pieces, PlacedChunk, Written};
pub(crate) use steps::Steps;
pub(crate) use stream::longest_value;
pub use stream::{Decoded, Decoder, Stream, StreamCodec};

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use dcp_types::{Digest, Fqn, GlobalPlan, Metadata, Rank, RankPlan, ReadItem, Value};

use crate::{Generation, StorageError, StorePath};

/// A checkpoint format: pure, without I/O of its own.
///
/// # Contract
/// * The same arguments give the same result; nothing is remembered between calls.
/// * `lay_out` uses each of the rank's items exactly once (but for values that are [collected](Companions::collected)), and names files that no other rank and no other generation uses.
/// * Nothing is believed that comes from a file: sizes are checked with overflow in mind, paths are parsed, and memory is taken
///   only for what is really there.
pub trait Format: fmt::Debug + Send + Sync {
    /// The name of the format, as `native`.
    fn name(&self) -> &'static str;

    /// The object whose publication makes a checkpoint exist.
    fn index_path(&self) -> StorePath;

    /// How a checkpoint is written that is one file, at a place that is [one object](crate::OneObject). `None` for formats of several
    /// files.
    fn one_file(&self) -> Option<&dyn OneFile> {
        None
    }

    /// Whether a checkpoint is one file.
    fn is_one_file(&self) -> bool {
        self.one_file().is_some()
    }

    /// The small objects that the format has beside its index, if it has some.
    fn companions(&self) -> Option<&dyn Companions> {
        None
    }

    /// The endings of names, as `pt`, that tell this format of a file or directory that is yet to be written. They are other names of the
    /// format, too.
    fn endings(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether the ending of a name tells this format.
    fn is_told_by(&self, name: &str) -> bool {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
        ending.is_some_and(|ending| self.endings().contains(&ending.as_str()))
    }

    /// Finds out whether a checkpoint of this format is there, by reading as little as it can: whether the index is, unless
    /// the format has more to go by.
    fn recognise(&self) -> Box<dyn Ask<Output = bool>> {
        Box::new(ask::IsThere(self.index_path()))
    }

    /// Whether the format can hold what a plan says, as far as the plan tells. Asked before anything is written.
    ///
    /// # Errors
    /// [`StorageError::Unsupported`] for what the format cannot express.
    fn check(&self, plan: &GlobalPlan) -> Result<(), StorageError> {
        let _ = plan;
        Ok(())
    }

    /// The bytes of a value as they are stored. Natively they are MessagePack.
    ///
    /// # Errors
    /// [`StorageError::Unsupported`] for what the format cannot express.
    fn encode_value(&self, fqn: &Fqn, value: &Value) -> Result<Bytes, StorageError> {
        value
            .encode()
            .map_err(|fault| StorageError::Unsupported { format: self.name(), what: format!("{fqn}: {fault}") })
    }

    /// The files that a rank writes.
    ///
    /// # Errors
    /// [`StorageError::Unsupported`] for what the format cannot express.
    fn lay_out(&self, plan: &RankPlan, generation: Generation) -> Result<Vec<FileLayout>, StorageError>;

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
    fn open(&self, strictness: Strictness) -> Box<dyn Ask<Output = Arc<dyn OpenedCheckpoint>>>;
}

/// What is done about a tensor or value that an index describes in a way that cannot be right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// The checkpoint is refused.
    #[default]
    Strict,
    /// It is left out and [listed](OpenedCheckpoint::findings), so that the rest can be rescued.
    Salvage,
}

/// A checkpoint whose index has been read.
pub trait OpenedCheckpoint: fmt::Debug + Send + Sync {
    /// What it holds.
    fn metadata(&self) -> &Arc<Metadata>;

    /// Stands for this very checkpoint: the digest of its index.
    fn fingerprint(&self) -> Digest;

    /// What was left out of the metadata because it is not sound; nothing unless opened to [salvage](Strictness::Salvage).
    fn findings(&self) -> &[Finding] {
        &[]
    }

    /// Finds out where items lie: one locator an item, in order.
    fn locate(self: Arc<Self>, items: Vec<ReadItem>) -> Box<dyn Ask<Output = Vec<Locator>>>;

    /// Decodes the bytes of the value that is this entry. Natively they are MessagePack.
    ///
    /// # Errors
    /// [`StorageError::BadValue`] if they do not decode.
    fn decode_value(&self, entry: usize, bytes: Bytes) -> Result<Value, StorageError> {
        let _ = entry;
        Value::decode(&bytes).map_err(|fault| StorageError::BadValue { reason: fault.to_string() })
    }

    /// What a value would do where its own language decodes it, if that is harm: a [`StorageError::Harmful`].
    /// [`decode_value`](Self::decode_value) fails with it, unless the checkpoint was opened to salvage.
    fn harm_in_value(&self, entry: usize, value: &Value) -> Option<StorageError> {
        let _ = (entry, value);
        None
    }

    /// How many bytes of a value have a checksum of the format's own, which [`decode_value`](Self::decode_value) compares.
    fn checked_in_value(&self, entry: usize, bytes: &Bytes) -> u64 {
        let _ = (entry, bytes);
        0
    }
}

/// Something in a checkpoint that is not sound.
#[derive(Debug)]
pub struct Finding {
    /// The tensor or value, where it is known.
    pub fqn: Option<Fqn>,
    /// What is wrong with it.
    pub fault: StorageError,
}
