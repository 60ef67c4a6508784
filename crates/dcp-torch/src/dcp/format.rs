//! The format as the engine sees it.

use std::sync::Arc;

use bytes::Bytes;
use dcp_storage::{
    Ask, FileLayout, Format, Generation, Need, OpenedCheckpoint, Reply, Step, StorageError, StorePath, StreamTransform,
    Strictness, Transforms, WrittenFile,
};
use dcp_types::{Fqn, GlobalPlan, Rank, Value};

use super::open::{Open, rank_of};
use super::{summary, write};
use crate::{metadata, object, tuples};

/// PyTorch's format, as its `FileSystemWriter` writes it: a directory of `.metadata` and `.distcp` files.
///
/// Reads what PyTorch 2.0 to 2.15 write: with one index or one for each rank (`use_collectives=False`), several files a rank or
/// one an item, with and without checksums, through stream transforms, with `SerializationFormat.SAFETENSORS`; and with Lightning's
/// `meta.pt` beside, whose content is then part of the checkpoint.
///
/// Writes what `torch.distributed.checkpoint.load` of PyTorch 2.4 to 2.15 reads, on any mesh of its own: each tensor and value is an archive of
/// `torch.save`, as PyTorch 2.15 writes it. What PyTorch does to a state when it saves, is done: integer keys of dicts become text. What it
/// cannot hold is refused before anything is written: a tensor or dict inside a tuple; or when its turn comes: values of types that are not
/// Python's or PyTorch's, and foreign objects other than whole archives of `torch.save`.
///
/// ```
/// use dcp_torch::DcpFormat;
/// // Four files a rank, for a file system that is faster with several.
/// let format = DcpFormat::new().files_per_rank(4);
/// ```
#[derive(Clone, Debug)]
pub struct DcpFormat {
    files_per_rank: u32,
    transforms: Transforms,
}

impl DcpFormat {
    /// The format with PyTorch's own defaults: one file a rank.
    #[must_use]
    pub fn new() -> Self {
        Self { files_per_rank: 1, transforms: Transforms::new() }
    }

    /// The same with several files a rank (at least 1), over which its tensors are spread by bytes.
    #[must_use]
    pub fn files_per_rank(mut self, files: u32) -> Self {
        self.files_per_rank = files.max(1);
        self
    }

    /// The same with one more transform. When writing each tensor and value goes through it, after those that were named before it; when reading it is
    /// known, besides `Zstd`, which always is. PyTorch reads what `Zstd` has made if Python has the package `zstandard` or
    /// `pyzstd`; for others it needs an extension of the same name.
    ///
    /// ```
    /// use dcp_storage::Zstd;
    /// use dcp_torch::DcpFormat;
    /// let format = DcpFormat::new().transform(Zstd::level(3));
    /// ```
    #[must_use]
    pub fn transform(mut self, transform: impl StreamTransform + 'static) -> Self {
        self.transforms = self.transforms.with(transform);
        self
    }
}

impl Default for DcpFormat {
    fn default() -> Self {
        Self::new()
    }
}

impl Format for DcpFormat {
    fn name(&self) -> &'static str {
        "dcp"
    }

    fn index_path(&self) -> StorePath {
        index_path()
    }

    fn recognise(&self) -> Box<dyn Ask<Output = bool>> {
        Box::new(Recognise)
    }

    fn check(&self, plan: &GlobalPlan) -> Result<(), StorageError> {
        self.transforms.check().map_err(unsupported)?;
        tuples::refuse(plan, self.name())
    }

    fn encode_value(&self, fqn: &Fqn, value: &Value) -> Result<Bytes, StorageError> {
        object::encode(value).map_err(|fault| unsupported(format!("{fqn}: {fault}")))
    }

    fn lay_out(&self, plan: &GlobalPlan, rank: Rank, generation: Generation) -> Result<Vec<FileLayout>, StorageError> {
        write::lay_out(plan, rank, generation, self.files_per_rank, &self.transforms)
    }

    fn summarise(&self, files: &[WrittenFile]) -> Result<Bytes, StorageError> {
        summary::encode(files, &self.transforms)
    }

    fn encode_index(
        &self,
        plan: &GlobalPlan,
        summaries: &[(Rank, Bytes)],
        generation: Generation,
    ) -> Result<Bytes, StorageError> {
        let places = summary::places(summaries, generation, &self.transforms)?;
        metadata::encode(plan.metadata(), places, &self.transforms.descriptors(), generation).map(Bytes::from)
    }

    fn generation(&self, index: &[u8]) -> Result<Generation, StorageError> {
        metadata::generation(&index_path(), index)
    }

    fn open(&self, strictness: Strictness) -> Box<dyn Ask<Output = Arc<dyn OpenedCheckpoint>>> {
        Box::new(Open::new(strictness, self.transforms.clone()))
    }
}

/// PyTorch's index of a checkpoint.
pub(super) fn index_path() -> StorePath {
    match StorePath::parse(".metadata") {
        Ok(path) => path,
        Err(_) => unreachable!("a constant that is a valid path"),
    }
}

/// Looks for an index, then for those of the ranks.
struct Recognise;

impl Ask for Recognise {
    type Output = bool;

    fn next(&mut self, replies: Vec<Reply>) -> Result<Step<bool>, StorageError> {
        match replies.as_slice() {
            [Reply::Presence(Some(_))] => Ok(Step::Done(true)),
            [Reply::Presence(None)] => Ok(Step::Needs(vec![Need::Listing(None)])),
            [Reply::Listing(objects)] => Ok(Step::Done(objects.iter().any(|object| rank_of(&object.path).is_some()))),
            _ => Ok(Step::Needs(vec![Need::Presence(index_path())])),
        }
    }
}

pub(super) fn unsupported(what: impl Into<String>) -> StorageError {
    StorageError::Unsupported { format: "dcp", what: what.into() }
}
