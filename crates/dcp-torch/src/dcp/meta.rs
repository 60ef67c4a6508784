//! What Lightning saves beside the tensors: `meta.pt`, an archive of `torch.save` with everything else of the state
//! (`lightning/fabric/strategies/fsdp.py`, `_METADATA_FILENAME`).

use bytes::Bytes;
use dcp_storage::{Ask, Extent, Layout, Locator, Need, Reply, Step, StorageError, StorePath};
use dcp_types::{Chunks, Entry, EntryKind, Metadata, Shape, TensorEntry, TypesError, Value};

use super::locate::extent;
use crate::archive::{Known, Lack};
use crate::object::{Leaf, LeafContent, SavedTree};

/// The file, read: the leaves of its state, of which tensors are not read yet.
#[derive(Debug)]
pub(super) struct Companion {
    leaves: Vec<Leaf>,
    size: u64,
}

impl Companion {
    pub(super) fn path() -> StorePath {
        match StorePath::parse("meta.pt") {
            Ok(path) => path,
            Err(_) => unreachable!("a constant that is a valid path"),
        }
    }

    /// What an index holds, and behind it what is here.
    pub(super) fn beside(&self, index: &Metadata) -> Result<Metadata, StorageError> {
        let corrupt =
            |fault: TypesError| StorageError::Corrupt { path: Self::path(), offset: 0, reason: fault.to_string() };
        let entry = |leaf: &Leaf| {
            let kind = match &leaf.content {
                LeafContent::Tensor { tensor, .. } => EntryKind::Tensor(TensorEntry {
                    dtype: tensor.dtype,
                    shape: Shape::new(tensor.shape.iter().copied())?,
                    chunks: Chunks::Whole,
                }),
                LeafContent::Value(_) => EntryKind::Value,
                LeafContent::Foreign => EntryKind::Object,
            };
            Ok(Entry { path: leaf.path.clone(), kind })
        };
        let here = self.leaves.iter().map(entry).collect::<Result<Vec<_>, _>>().map_err(corrupt)?;
        Metadata::new(index.entries().map(|(_, entry)| entry.clone()).chain(here)).map_err(corrupt)
    }

    /// Where the leaf of this number lies. Values are known already; of an object the whole file is read.
    pub(super) fn locator(&self, number: usize) -> Option<Locator> {
        Some(match &self.leaves.get(number)?.content {
            LeafContent::Tensor { tensor, stored, order } => {
                Locator::Extent(extent(Self::path(), 0, stored, tensor.layout(*order)))
            }
            LeafContent::Value(_) => Locator::Inline(Bytes::new()),
            LeafContent::Foreign => {
                let (file, layout) = (Self::path(), Layout::default());
                Locator::Extent(Extent { file, offset: 0, length: self.size, layout, checks: None })
            }
        })
    }

    /// The leaf of this number, if it is a value.
    pub(super) fn value(&self, number: usize) -> Option<Value> {
        match &self.leaves.get(number)?.content {
            LeafContent::Value(value) => Some(value.clone()),
            _ => None,
        }
    }
}

/// Reads all of the file but its tensors.
pub(super) struct ReadCompanion {
    known: Known,
    asked: Option<u64>,
    rounds: usize,
}

/// Of a file of at most so many bytes all is read at once, of a longer one as much from its end.
const EDGE: u64 = 64 << 10;
/// Each storage is asked for by itself.
const ROUNDS: usize = 1 << 16;

impl ReadCompanion {
    pub(super) fn new(size: u64) -> Self {
        Self { known: Known::new(size), asked: None, rounds: 0 }
    }
}

impl Ask for ReadCompanion {
    type Output = Companion;

    fn next(&mut self, replies: Vec<Reply>) -> Result<Step<Companion>, StorageError> {
        match (self.asked.take(), replies.into_iter().next()) {
            (Some(offset), Some(Reply::Bytes(bytes))) => self.known.learn(offset, bytes),
            _ => {
                let start = self.known.length().saturating_sub(EDGE);
                return Ok(self.ask(start, self.known.length() - start));
            }
        }
        match SavedTree::read(&self.known) {
            Ok(tree) => Ok(Step::Done(Companion { leaves: tree.leaves, size: self.known.length() })),
            Err(Lack::Bytes { offset, length }) if self.rounds < ROUNDS => Ok(self.ask(offset, length)),
            Err(lack) => Err(lack.into_fault().into_error(&Companion::path(), 0)),
        }
    }
}

impl ReadCompanion {
    fn ask(&mut self, offset: u64, length: u64) -> Step<Companion> {
        self.rounds += 1;
        self.asked = Some(offset);
        Step::Needs(vec![Need::Range { path: Companion::path(), offset, length }])
    }
}
