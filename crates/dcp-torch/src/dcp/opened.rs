//! A checkpoint whose index has been read.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dcp_storage::{Ask, Finding, Layers, Locator, OpenedCheckpoint, StorageError, StorePath, Strictness, Transforms};
use dcp_types::{Digest, Metadata, ReadItem, ReadWhat, Value};

use super::blob::Blob;
use super::join::Join;
use super::locate::Locate;
use crate::archive::Lack;
use crate::metadata::{Index, Place};
use crate::object;
use crate::saved::{LocateSaved, SavedFile};

/// How many items are remembered once they are found.
const REMEMBERED: usize = 1 << 16;

/// A checkpoint of PyTorch, open.
pub(super) struct OpenedDcp {
    metadata: Arc<Metadata>,
    index: Index,
    /// The leaves that come after the index's entries.
    companion: Option<Arc<SavedFile>>,
    findings: Vec<Finding>,
    fingerprint: Digest,
    /// The index, for messages.
    index_path: StorePath,
    strictness: Strictness,
    /// What is known besides what is known anyway.
    transforms: Transforms,
    found: Mutex<Found>,
}

/// What was found out on the way.
#[derive(Default)]
struct Found {
    sizes: HashMap<StorePath, u64>,
    items: HashMap<(usize, u32), Locator>,
    blobs: HashMap<(StorePath, u64), Arc<Blob>>,
}

/// An item of the index.
#[derive(Clone, Debug)]
pub(super) struct ItemPlace {
    pub(super) file: StorePath,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) layers: Layers,
}

impl OpenedDcp {
    pub(super) fn new(
        index: Index,
        findings: Vec<Finding>,
        fingerprint: Digest,
        index_path: StorePath,
        companion: Option<Arc<SavedFile>>,
        strictness: Strictness,
        transforms: Transforms,
    ) -> Result<Self, StorageError> {
        let metadata = match &companion {
            None => Arc::clone(index.metadata()),
            Some(companion) => Arc::new(companion.metadata_after(index.metadata())?),
        };
        let found = Mutex::default();
        Ok(Self { metadata, index, companion, findings, fingerprint, index_path, strictness, transforms, found })
    }

    /// Where an item of the index lies, if there is such an item.
    pub(super) fn place(&self, item: &ReadItem) -> Option<ItemPlace> {
        let place = match &item.what {
            ReadWhat::Region { chunk, .. } => self.index.chunk(item.entry, chunk),
            ReadWhat::Value => self.index.value(item.entry),
        };
        let Place { file, offset, length, transforms } = place?;
        let layers = self.transforms.layers(transforms.iter().map(AsRef::as_ref));
        Some(ItemPlace { file: file.clone(), offset, length, layers })
    }

    /// The leaf of the companion that an entry is, if it is one.
    fn in_companion(&self, entry: usize) -> Option<(&Arc<SavedFile>, usize)> {
        self.companion.as_ref().zip(entry.checked_sub(self.index.metadata().len()))
    }

    pub(super) fn index_path(&self) -> &StorePath {
        &self.index_path
    }

    pub(super) fn size_of(&self, file: &StorePath) -> Option<u64> {
        self.found().sizes.get(file).copied()
    }

    pub(super) fn remember_size(&self, file: StorePath, size: u64) {
        self.found().sizes.insert(file, size);
    }

    /// Where an item is, if that is remembered.
    pub(super) fn located(&self, item: &ReadItem) -> Option<Locator> {
        self.found().items.get(&key(item)?).cloned()
    }

    pub(super) fn remember(&self, item: &ReadItem, locator: &Locator) {
        let Some(key) = key(item) else { return };
        let mut found = self.found();
        if found.items.len() >= REMEMBERED {
            found.items.clear();
        }
        found.items.insert(key, locator.clone());
    }

    /// The header of a blob, read if it is not remembered.
    pub(super) fn blob(
        &self,
        at: &(StorePath, u64),
        read: impl FnOnce() -> Result<Blob, Lack>,
    ) -> Result<Arc<Blob>, Lack> {
        let remembered = self.found().blobs.get(at).cloned();
        if let Some(blob) = remembered {
            return Ok(blob);
        }
        let blob = Arc::new(read()?);
        self.found().blobs.insert(at.clone(), Arc::clone(&blob));
        Ok(blob)
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenedCheckpoint for OpenedDcp {
    fn metadata(&self) -> &Arc<Metadata> {
        &self.metadata
    }

    fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn locate(self: Arc<Self>, items: Vec<ReadItem>) -> Box<dyn Ask<Output = Vec<Locator>>> {
        let Some(companion) = self.companion.clone() else { return Box::new(Locate::new(self, items)) };
        let is_there: Vec<bool> = items.iter().map(|item| self.in_companion(item.entry).is_some()).collect();
        let leaves = items.iter().filter_map(|item| Some(self.in_companion(item.entry)?.1)).collect();
        let mut there = is_there.iter();
        let items = items.into_iter().filter(|_| there.next() == Some(&false)).collect();
        Box::new(Join::new(Locate::new(self, items), LocateSaved::new(companion, leaves), is_there))
    }

    fn decode_value(&self, entry: usize, bytes: Bytes) -> Result<Value, StorageError> {
        if let Some(value) = self.in_companion(entry).and_then(|(companion, leaf)| companion.value(leaf)) {
            return Ok(value);
        }
        let name = self.metadata.entry(entry).map_or("?".into(), |(fqn, _)| fqn.to_string());
        object::decode_strictly(&bytes, &name, self.strictness)
    }

    fn harm_in_value(&self, entry: usize, value: &Value) -> Option<StorageError> {
        object::harm_in(value, self.metadata.entry(entry)?.0.as_str())
    }

    fn checked_in_value(&self, entry: usize, bytes: &Bytes) -> u64 {
        if self.in_companion(entry).is_none() { object::checked_bytes(bytes) } else { 0 }
    }
}

/// Chunks only: values need not be looked for.
fn key(item: &ReadItem) -> Option<(usize, u32)> {
    match &item.what {
        ReadWhat::Region { chunk, .. } => Some((item.entry, chunk.number)),
        ReadWhat::Value => None,
    }
}

impl fmt::Debug for OpenedDcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedDcp").field("index", &self.index_path).finish_non_exhaustive()
    }
}
