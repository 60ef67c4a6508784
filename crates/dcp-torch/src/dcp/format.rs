//! The format as the engine sees it.

use std::sync::Arc;

use bytes::Bytes;
use dcp_storage::{
    Ask, FileLayout, Format, Generation, Need, OpenedCheckpoint, Reply, Step, StorageError, StorePath, Strictness,
    WrittenFile,
};
use dcp_types::{GlobalPlan, Rank};

use super::open::{Open, rank_of};

/// PyTorch's format, as its `FileSystemWriter` writes it: a directory of `.metadata` and `.distcp` files.
///
/// Reads what PyTorch 2.0 to 2.15 write: with one index or one for each rank (`use_collectives=False`), several files a rank or
/// one an item, with and without checksums, with zstd as a stream transform, with `SerializationFormat.SAFETENSORS`; and with Lightning's
/// `meta.pt` beside, whose content is then part of the checkpoint.
///
/// ```
/// use dcp_storage::Format;
/// use dcp_torch::DcpFormat;
/// assert_eq!(DcpFormat::new().name(), "dcp");
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DcpFormat {}

impl DcpFormat {
    /// The format with PyTorch's own defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
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

    fn lay_out(&self, _: &GlobalPlan, _: Rank, _: Generation) -> Result<Vec<FileLayout>, StorageError> {
        Err(no_writing())
    }

    fn summarise(&self, _: &[WrittenFile]) -> Result<Bytes, StorageError> {
        Err(no_writing())
    }

    fn encode_index(&self, _: &GlobalPlan, _: &[(Rank, Bytes)], _: Generation) -> Result<Bytes, StorageError> {
        Err(no_writing())
    }

    fn generation(&self, _: &[u8]) -> Result<Generation, StorageError> {
        Err(no_writing())
    }

    fn open(&self, strictness: Strictness) -> Box<dyn Ask<Output = Arc<dyn OpenedCheckpoint>>> {
        Box::new(Open::new(strictness))
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

fn no_writing() -> StorageError {
    StorageError::Unsupported { format: "dcp", what: "a new checkpoint: it is only read".into() }
}
