//! A file as a checkpoint.

use std::sync::Arc;

use bytes::Bytes;
use dcp_storage::{Ask, Locator, OpenedCheckpoint, StorageError, Strictness};
use dcp_types::{Digest, Metadata, ReadItem, Value};

use super::{LocateSaved, SavedFile};
use crate::object;

/// An open file.
#[derive(Debug)]
pub(super) struct OpenedSaved {
    file: Arc<SavedFile>,
    metadata: Arc<Metadata>,
    strictness: Strictness,
}

impl OpenedSaved {
    pub(super) fn new(file: SavedFile, strictness: Strictness) -> Result<Self, StorageError> {
        let metadata = Arc::new(file.metadata_after(&Metadata::default())?);
        Ok(Self { file: Arc::new(file), metadata, strictness })
    }
}

impl OpenedCheckpoint for OpenedSaved {
    fn metadata(&self) -> &Arc<Metadata> {
        &self.metadata
    }

    fn fingerprint(&self) -> Digest {
        self.file.fingerprint
    }

    fn locate(self: Arc<Self>, items: Vec<ReadItem>) -> Box<dyn Ask<Output = Vec<Locator>>> {
        let leaves = items.into_iter().map(|item| item.entry).collect();
        Box::new(LocateSaved::new(Arc::clone(&self.file), leaves))
    }

    fn decode_value(&self, entry: usize, bytes: Bytes) -> Result<Value, StorageError> {
        if let Some(value) = self.file.value(entry) {
            return Ok(value);
        }
        let name = self.metadata.entry(entry).map_or("?".into(), |(fqn, _)| fqn.to_string());
        object::decode_strictly(&bytes, &name, self.strictness)
    }

    fn harm_in_value(&self, entry: usize, value: &Value) -> Option<StorageError> {
        object::harm_in(value, &self.metadata.entry(entry)?.0.to_string())
    }
}
