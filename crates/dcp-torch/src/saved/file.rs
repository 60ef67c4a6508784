//! A file of which all has been read but its storages.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::Bytes;
use dcp_storage::{Locator, StorageError, StorePath};
use dcp_types::{Chunks, Digest, Entry, EntryKind, Metadata, Shape, TensorEntry, TypesError, Value};

use super::assemble::Assembly;
use super::objects::Objects;
use crate::archive::{ByteOrder, Fault, Known, Lack, Storages, malformed, unreadable};
use crate::object::{CutStorage, Leaf, LeafContent, TensorRef, wrong_length};

/// The leaves of a saved state. The tensors are still in the file.
#[derive(Debug)]
pub(crate) struct SavedFile {
    pub(super) path: StorePath,
    pub(super) size: u64,
    /// Of what was read.
    pub(super) fingerprint: Digest,
    pub(super) storages: Box<dyn Storages>,
    pub(super) leaves: Vec<Leaf>,
    pub(super) objects: Objects,
    /// Where leaves lie, as far as that was looked up.
    pub(super) found: Vec<OnceLock<Locator>>,
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
                LeafContent::Foreign(_) => EntryKind::Object,
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

    /// Where the leaf of this number lies. `None` if some of the file is needed first: then that is in `lacking`, by offset.
    pub(super) fn locator(
        &self,
        number: usize,
        known: &Known,
        lacking: &mut BTreeMap<u64, u64>,
    ) -> Result<Option<Locator>, Fault> {
        let (Some(leaf), Some(found)) = (self.leaves.get(number), self.found.get(number)) else {
            return Err(malformed(0, "there is no such leaf").into_fault());
        };
        if let Some(found) = found.get() {
            return Ok(Some(found.clone()));
        }
        let located = match &leaf.content {
            LeafContent::Value(_) => Ok(Locator::Inline(Bytes::new())),
            LeafContent::Tensor(tensor) => self.tensor(tensor, known),
            LeafContent::Foreign(_) => self.object(number, known, lacking),
        };
        match located {
            Ok(locator) => Ok(Some(found.get_or_init(|| locator).clone())),
            Err(Lack::Bytes { offset, length }) => {
                lacking.insert(offset, length);
                Ok(None)
            }
            Err(Lack::Fault(fault)) => Err(fault),
        }
    }

    fn tensor(&self, tensor: &TensorRef, known: &Known) -> Result<Locator, Lack> {
        let stored = self.storages.storage(known, &tensor.storage.key)?;
        Ok(Locator::Extent(stored.extent(self.path.clone(), 0, tensor.layout(self.storages.byte_order()))))
    }

    /// An object has a pickle of its own, and storages from all over the file: all that they lack is told at once.
    fn object(&self, number: usize, known: &Known, lacking: &mut BTreeMap<u64, u64>) -> Result<Locator, Lack> {
        let object = self.objects.get(number)?;
        if self.storages.byte_order() == ByteOrder::Big && !object.storages.is_empty() {
            return Err(unreadable(0, "an object of Python with big-endian tensors inside"));
        }
        let mut stored = Vec::new();
        let mut lack = None;
        for CutStorage { key, length } in &object.storages {
            match self.storages.storage(known, key) {
                Ok(found) => match length {
                    Some(length) if *length != found.length => {
                        return Err(malformed(found.offset, wrong_length(key, *length, found.length)));
                    }
                    _ => stored.push(found),
                },
                Err(Lack::Bytes { offset, length }) => {
                    lacking.insert(offset, length);
                    lack = Some(Lack::Bytes { offset, length });
                }
                Err(fault) => return Err(fault),
            }
        }
        match lack {
            Some(lack) => Err(lack),
            None => Ok(Assembly::new(object, stored).locator(self.path.clone())),
        }
    }
}
