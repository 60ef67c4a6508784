//! The format as the engine sees it.

use std::sync::Arc;

use bytes::Bytes;
use dcp_storage::{
    Ask, FileLayout, Format, Generation, Need, ObjectMeta, OneFile, OpenedCheckpoint, Reply, Step, StorageError,
    StorePath, Strictness, WrittenFile,
};
use dcp_types::{Fqn, GlobalPlan, Rank, RankPlan, Value};

use super::legacy::{LONGEST_MAGIC, is_legacy};
use super::opened::OpenedSaved;
use super::read::ReadSaved;
use super::write;
use crate::tuples;

/// A file of `torch.save` that holds a state: nested dicts and lists of tensors and values.
///
/// What is written is what `torch.load(weights_only=True)` takes, as long as no foreign object is in it. All ranks write the one
/// file together, each its shards at their places: nothing is gathered. The storages come first in it, then the pickle.
///
/// Both forms are read: the zip archives of today, and what PyTorch wrote before 1.6. Objects that only Python can make become opaque values:
/// each an archive by itself, of that object alone.
///
/// Tensors are read by ranges, as from any checkpoint: each of many ranks can load its shard of one file.
///
/// ```
/// use dcp_storage::Format;
/// use dcp_torch::TorchSaveFormat;
/// assert!(TorchSaveFormat::new().is_one_file());
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TorchSaveFormat {}

impl TorchSaveFormat {
    /// The format.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Format for TorchSaveFormat {
    fn name(&self) -> &'static str {
        "torch-save"
    }

    /// What a file is called that is given no name.
    fn index_path(&self) -> StorePath {
        match StorePath::parse("model.pt") {
            Ok(path) => path,
            Err(_) => unreachable!("a constant that is a valid path"),
        }
    }

    fn one_file(&self) -> Option<&dyn OneFile> {
        Some(self)
    }

    fn check(&self, plan: &GlobalPlan) -> Result<(), StorageError> {
        tuples::refuse(plan, self.name())?;
        write::check(plan.outline())
    }

    fn encode_value(&self, fqn: &Fqn, value: &Value) -> Result<Bytes, StorageError> {
        write::encode_value(fqn, value)
    }

    fn endings(&self) -> &'static [&'static str] {
        &["pt", "pth", "ckpt", "bin"]
    }

    fn recognise(&self) -> Box<dyn Ask<Output = bool>> {
        Box::new(Recognise)
    }

    fn lay_out(&self, _: &RankPlan, _: Generation) -> Result<Vec<FileLayout>, StorageError> {
        Err(no_files())
    }

    fn summarise(&self, _: &[WrittenFile]) -> Result<Bytes, StorageError> {
        Err(no_files())
    }

    fn encode_index(&self, _: &GlobalPlan, _: &[(Rank, Bytes)], _: Generation) -> Result<Bytes, StorageError> {
        Err(no_files())
    }

    fn generation(&self, _: &[u8]) -> Result<Generation, StorageError> {
        Err(no_files())
    }

    fn open(&self, strictness: Strictness) -> Box<dyn Ask<Output = Arc<dyn OpenedCheckpoint>>> {
        Box::new(Open { strictness, read: None })
    }
}

/// A zip archive begins so.
const ZIP: &[u8] = b"PK\x03\x04";

/// What tells a file of `torch.save`, at its beginning.
fn is_ours(start: &[u8]) -> bool {
    start.starts_with(ZIP) || is_legacy(start)
}

/// Looks for the one file, then at its first bytes.
struct Recognise;

impl Ask for Recognise {
    type Output = bool;

    fn next(&mut self, replies: Vec<Reply>) -> Result<Step<bool>, StorageError> {
        match replies.as_slice() {
            [Reply::Listing(objects)] => match objects.as_slice() {
                [ObjectMeta { path, size, .. }] => {
                    let (path, length) = (path.clone(), (*size).min(LONGEST_MAGIC));
                    Ok(Step::Needs(vec![Need::Range { path, offset: 0, length }]))
                }
                _ => Ok(Step::Done(false)),
            },
            [Reply::Bytes(bytes)] => Ok(Step::Done(is_ours(bytes))),
            _ => Ok(Step::Needs(vec![Need::Listing(None)])),
        }
    }
}

/// Looks for the one file, then reads it.
struct Open {
    strictness: Strictness,
    read: Option<ReadSaved>,
}

impl Ask for Open {
    type Output = Arc<dyn OpenedCheckpoint>;

    fn next(&mut self, replies: Vec<Reply>) -> Result<Step<Self::Output>, StorageError> {
        let step = match (&mut self.read, replies.as_slice()) {
            (Some(read), _) => read.next(replies)?,
            (None, [Reply::Listing(objects)]) => {
                let [ObjectMeta { path, size, .. }] = objects.as_slice() else { return Err(not_one_file()) };
                self.read.insert(ReadSaved::new(path.clone(), *size)).next(Vec::new())?
            }
            (None, _) => return Ok(Step::Needs(vec![Need::Listing(None)])),
        };
        Ok(match step {
            Step::Needs(needs) => Step::Needs(needs),
            Step::Done(file) => Step::Done(Arc::new(OpenedSaved::new(file, self.strictness)?)),
        })
    }
}

fn not_one_file() -> StorageError {
    StorageError::NoCheckpoint { location: "the given place".into(), reason: "it is not one file".into() }
}

fn no_files() -> StorageError {
    StorageError::Unsupported { format: "torch-save", what: "files beside an index: it is one file".into() }
}
