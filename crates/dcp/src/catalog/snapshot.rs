//! A store that was listed already.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dcp_storage::{ObjectMeta, Precondition, ReadRange, StorageError, Store, StorePath, StoreTraits, Upload, Version};

/// A store that answers what is there, and how large it is, from a listing. Everything else is up to the store itself.
#[derive(Debug)]
pub(super) struct Snapshot {
    inner: Arc<dyn Store>,
    /// Sorted by path.
    listing: Vec<ObjectMeta>,
}

impl Snapshot {
    pub(super) fn new(inner: Arc<dyn Store>, listing: Vec<ObjectMeta>) -> Self {
        Self { inner, listing }
    }
}

#[async_trait]
impl Store for Snapshot {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn traits(&self) -> StoreTraits {
        self.inner.traits()
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        self.inner.head(path).await
    }

    async fn size(&self, path: &StorePath) -> Result<u64, StorageError> {
        match self.listing.binary_search_by(|object| object.path.cmp(path)) {
            Ok(found) => Ok(self.listing[found].size),
            Err(_) => Err(StorageError::NotFound { location: self.location(), path: path.clone() }),
        }
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        self.inner.read(path, ranges).await
    }

    async fn read_whole(&self, path: &StorePath, longest: u64) -> Result<(Bytes, Version), StorageError> {
        self.inner.read_whole(path, longest).await
    }

    async fn create(&self, path: &StorePath, expected_size: Option<u64>) -> Result<Box<dyn Upload>, StorageError> {
        self.inner.create(path, expected_size).await
    }

    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError> {
        self.inner.publish(path, content, when).await
    }

    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError> {
        let wanted = |object: &&ObjectMeta| prefix.is_none_or(|prefix| object.path.starts_with(prefix));
        Ok(self.listing.iter().filter(wanted).cloned().collect())
    }

    async fn delete(&self, path: &StorePath) -> Result<(), StorageError> {
        self.inner.delete(path).await
    }
}
