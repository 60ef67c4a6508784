//! A file whose directory and pickle have been read.

use std::sync::OnceLock;

use bytes::Bytes;
use dcp_storage::{Extent, Layout, Locator, StorageError, StorePath};
use dcp_types::{Chunks, Digest, Entry, EntryKind, Metadata, Shape, TensorEntry, TypesError, Value};

use crate::archive::{Archive, Known, Lack};
use crate::object::{Leaf, LeafContent};

/// The leaves of a saved state. The tensors are still in the file.
#[derive(Debug)]
pub(crate) struct SavedFile {
    pub(super) path: StorePath,
    pub(super) size: u64,
    /// Of its directory and its pickle.
    pub(super) fingerprint: Digest,
    pub(super) archive: Archive,
    pub(super) leaves: Vec<Leaf>,
    /// Where tensors lie, as far as that was looked up.
    pub(super) found: Vec<OnceLock<Extent>>,
}

impl SavedFile {
    /// What the file holds, behind what an index holds.
    pub(crate) fn metadata_after(&self, index: &Metadata) -> Result<Metadata, StorageError> {
        // Two places may have one name in a file that is by itself; names are how tensors are found here.
        let corrupt = |fault: TypesError| match index.is_empty() {
            true => StorageError::Unreadable { path: self.path.clone(), offset: 0, what: fault.to_string() },
            false => StorageError::Corrupt { path: self.path.clone(), offset: 0, reason: fault.to_string() },
        };
        let entry = |leaf: &Leaf| {
            let kind = match &leaf.content {
                LeafContent::Tensor(tensor) => EntryKind::Tensor(TensorEntry {
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

    /// The leaf of this number, if it is a value.
    pub(crate) fn value(&self, number: usize) -> Option<Value> {
        match &self.leaves.get(number)?.content {
            LeafContent::Value(value) => Some(value.clone()),
            _ => None,
        }
    }

    /// Where the leaf of this number lies. Values are known already; of an object the whole file is read; for a tensor
    /// something of the file may be needed first.
    pub(super) fn locator(&self, number: usize, known: &Known) -> Result<Locator, Lack> {
        let (Some(leaf), Some(found)) = (self.leaves.get(number), self.found.get(number)) else {
            return Err(crate::archive::malformed(0, "there is no such leaf"));
        };
        let (file, layout) = (self.path.clone(), Layout::default());
        Ok(match &leaf.content {
            LeafContent::Value(_) => Locator::Inline(Bytes::new()),
            LeafContent::Foreign => {
                Locator::Extent(Extent { file, offset: 0, length: self.size, layout, checks: None })
            }
            LeafContent::Tensor(tensor) => {
                if let Some(extent) = found.get() {
                    return Ok(Locator::Extent(extent.clone()));
                }
                let stored = self.archive.storage(known, &tensor.storage.key)?;
                let extent = stored.extent(file, 0, tensor.layout(self.archive.byte_order));
                Locator::Extent(found.get_or_init(|| extent).clone())
            }
        })
    }
}
