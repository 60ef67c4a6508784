//! The format as the engine sees it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use dcp_storage::{
    Ask, Companions, FileLayout, Format, Generation, Need, OpenedCheckpoint, Reply, Step, StorageError, StorePath,
    StreamTransform, Strictness, Transforms, WrittenFile,
};
use dcp_types::{Entry, Fqn, GlobalPlan, Outline, Rank, RankPlan, Segment, Value, unflatten};

use super::open::{Open, rank_of};
use super::{companion, summary, write};
use crate::metadata::{Places, Scope};
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
    form: Form,
}

/// What there is of indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One.
    Plain,
    /// One, and Lightning's `meta.pt`.
    Lightning,
    /// One for each rank.
    PerRank,
}

impl DcpFormat {
    /// The format with PyTorch's own defaults: one file a rank.
    #[must_use]
    pub fn new() -> Self {
        Self { files_per_rank: 1, transforms: Transforms::new(), form: Form::Plain }
    }

    /// The same with several files a rank (at least 1), over which its tensors are spread by bytes.
    #[must_use]
    pub fn files_per_rank(mut self, files: u32) -> Self {
        self.files_per_rank = files.max(1);
        self
    }

    /// The same with an index for each rank, as PyTorch has them without collectives (`use_collectives=False`): there each rank reads
    /// what is in its own. Ranks are numbered from 0. Such a checkpoint is not overwritten.
    ///
    /// An index lists what its rank holds, whoever has written it, and all values. Of a tensor that is sharded by explicit regions it lists
    /// what the rank itself has written.
    #[must_use]
    pub fn index_per_rank(mut self) -> Self {
        self.form = Form::PerRank;
        self
    }

    /// The same in the layout of Lightning (`Fabric.save`, `Fabric.load`): a `meta.pt` beside the index has the state that is neither
    /// of a model nor of an optimizer: whatever lies under a key of the state in which there is no tensor, and whose name does not start
    /// with `model` or `optimizer`. Such a checkpoint is not overwritten.
    #[must_use]
    pub fn lightning(mut self) -> Self {
        self.form = Form::Lightning;
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
        match self.form {
            Form::Plain | Form::Lightning => index_path(),
            Form::PerRank => index_of(0),
        }
    }

    fn companions(&self) -> Option<&dyn Companions> {
        (self.form != Form::Plain).then_some(self)
    }

    fn recognise(&self) -> Box<dyn Ask<Output = bool>> {
        Box::new(Recognise)
    }

    fn check(&self, plan: &GlobalPlan) -> Result<(), StorageError> {
        self.transforms.check().map_err(unsupported)?;
        refuse_other_roots(plan)?;
        refuse_what_is_no_tree(plan)?;
        tuples::refuse(plan, self.name())
    }

    fn encode_value(&self, fqn: &Fqn, value: &Value) -> Result<Bytes, StorageError> {
        object::encode(value).map_err(|fault| unsupported(format!("{fqn}: {fault}")))
    }

    fn lay_out(&self, plan: &RankPlan, generation: Generation) -> Result<Vec<FileLayout>, StorageError> {
        let mut items = plan.items().to_vec();
        let collected = self.collected(plan.outline());
        items.retain(|item| !collected.contains(&item.entry));
        write::lay_out(plan, items, generation, self.files_per_rank, &self.transforms)
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
        let rank = (self.form == Form::PerRank).then_some(0);
        self.index(plan, rank, &places, generation)
    }

    fn generation(&self, index: &[u8]) -> Result<Generation, StorageError> {
        metadata::generation(&self.index_path(), index)
    }

    fn open(&self, strictness: Strictness) -> Box<dyn Ask<Output = Arc<dyn OpenedCheckpoint>>> {
        Box::new(Open::new(strictness, self.transforms.clone()))
    }
}

impl Companions for DcpFormat {
    fn collected(&self, outline: &Outline) -> BTreeSet<usize> {
        if self.form == Form::Lightning { companion::values(outline) } else { BTreeSet::new() }
    }

    fn encode(
        &self,
        plan: &GlobalPlan,
        summaries: &[(Rank, Bytes)],
        values: &[(usize, Bytes)],
        generation: Generation,
    ) -> Result<Vec<(StorePath, Bytes)>, StorageError> {
        if self.form == Form::Lightning {
            return Ok(vec![(companion::path(), companion::encode(plan.outline(), values)?)]);
        }
        let places = summary::places(summaries, generation, &self.transforms)?;
        let others = summaries.iter().map(|(rank, _)| *rank).filter(|rank| *rank != 0);
        others.map(|rank| Ok((index_of(rank), self.index(plan, Some(rank), &places, generation)?))).collect()
    }
}

impl DcpFormat {
    fn index(
        &self,
        plan: &GlobalPlan,
        rank: Option<Rank>,
        places: &Places,
        generation: Generation,
    ) -> Result<Bytes, StorageError> {
        let scope = Scope { plan, rank, left_out: &self.collected(plan.outline()) };
        metadata::encode(&scope, places, &self.transforms.descriptors(), generation).map(Bytes::from)
    }
}

/// A file may hold a list, or just a tensor; a state is a dict.
fn refuse_other_roots(plan: &GlobalPlan) -> Result<(), StorageError> {
    let is_in_dict = |entry: &Entry| matches!(entry.path.segments().first(), Some(Segment::Key(_)));
    match plan.metadata().entries().find(|(_, entry)| !is_in_dict(entry)) {
        Some((_, entry)) => {
            Err(unsupported(format!("{:?}, which is not in a dict; rename it", entry.path.fqn().to_string())))
        }
        None => Ok(()),
    }
}

/// Refuses a state in which one rank has a leaf (an empty dict is one) where another has something inside.
fn refuse_what_is_no_tree(plan: &GlobalPlan) -> Result<(), StorageError> {
    let leaves = plan.metadata().entries().map(|(_, entry)| (entry.path.clone(), ()));
    unflatten(leaves).map(drop).map_err(|fault| unsupported(fault.to_string()))
}

/// The index of a rank that has one for itself.
fn index_of(rank: Rank) -> StorePath {
    match StorePath::parse(&format!("__{rank}.metadata")) {
        Ok(path) => path,
        Err(_) => unreachable!("a valid path with any number in it"),
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
