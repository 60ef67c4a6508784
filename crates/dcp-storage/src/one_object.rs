//! One object of a store, as a place of its own.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Look, ObjectMeta, Precondition, ReadRange, SharedUpload, SharedUploads, StorageError, Store, StorePath,
    StoreTraits, Upload, UploadId, Version,
};

/// A store that shows just one object of another: the place where a checkpoint of a one-file format is.
#[derive(Clone, Debug)]
pub struct OneObject {
    inner: Arc<dyn Store>,
    path: StorePath,
}

impl OneObject {
    /// The object of a store that has this name, whether or not it exists.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, path: StorePath) -> Self {
        Self { inner, path }
    }

    fn inner_shared(&self, path: &StorePath) -> Result<&dyn SharedUploads, StorageError> {
        self.check(path)?;
        self.inner.shared().ok_or_else(|| StorageError::NotShared { location: self.location() })
    }

    fn check(&self, path: &StorePath) -> Result<(), StorageError> {
        if *path == self.path {
            return Ok(());
        }
        Err(StorageError::NotFound { location: self.location(), path: path.clone() })
    }
}

#[async_trait]
impl Store for OneObject {
    fn location(&self) -> String {
        format!("{} ({})", self.inner.location(), self.path)
    }

    fn traits(&self) -> StoreTraits {
        StoreTraits { one_object: Some(self.path.clone()), ..self.inner.traits() }
    }

    fn shared(&self) -> Option<&dyn SharedUploads> {
        self.inner.shared().map(|_| self as &dyn SharedUploads)
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        self.check(path)?;
        self.inner.head(path).await
    }

    async fn size(&self, path: &StorePath) -> Result<u64, StorageError> {
        self.check(path)?;
        self.inner.size(path).await
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        self.check(path)?;
        self.inner.read(path, ranges).await
    }

    async fn read_each(
        &self,
        path: &StorePath,
        ranges: &mut [ReadRange<'_>],
        look: &mut Look<'_>,
    ) -> Result<(), StorageError> {
        self.check(path)?;
        self.inner.read_each(path, ranges, look).await
    }

    async fn read_whole(&self, path: &StorePath, longest: u64) -> Result<(Bytes, Version), StorageError> {
        self.check(path)?;
        self.inner.read_whole(path, longest).await
    }

    async fn create(&self, path: &StorePath, expected_size: Option<u64>) -> Result<Box<dyn Upload>, StorageError> {
        self.check(path)?;
        self.inner.create(path, expected_size).await
    }

    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError> {
        self.check(path)?;
        self.inner.publish(path, content, when).await
    }

    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError> {
        if prefix.is_some_and(|prefix| !self.path.starts_with(prefix)) {
            return Ok(Vec::new());
        }
        match self.inner.size(&self.path).await {
            Ok(size) => Ok(vec![ObjectMeta { path: self.path.clone(), size, version: None }]),
            Err(StorageError::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, path: &StorePath) -> Result<(), StorageError> {
        self.check(path)?;
        self.inner.delete(path).await
    }

    async fn unfinished(&self) -> Result<Vec<StorePath>, StorageError> {
        let mut names = self.inner.unfinished().await?;
        names.retain(|path| *path == self.path);
        Ok(names)
    }

    async fn discard_unfinished(&self, path: &StorePath) -> Result<(), StorageError> {
        self.check(path)?;
        self.inner.discard_unfinished(path).await
    }
}

#[async_trait]
impl SharedUploads for OneObject {
    async fn begin(&self, path: &StorePath, expected_size: Option<u64>) -> Result<UploadId, StorageError> {
        self.inner_shared(path)?.begin(path, expected_size).await
    }

    async fn join(&self, path: &StorePath, id: &UploadId) -> Result<Box<dyn SharedUpload>, StorageError> {
        self.inner_shared(path)?.join(path, id).await
    }

    async fn complete(
        &self,
        path: &StorePath,
        id: &UploadId,
        size: u64,
        when: Precondition,
    ) -> Result<ObjectMeta, StorageError> {
        self.inner_shared(path)?.complete(path, id, size, when).await
    }

    async fn abort(&self, path: &StorePath, id: &UploadId) -> Result<(), StorageError> {
        self.inner_shared(path)?.abort(path, id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Io, MemoryStore};

    #[test]
    fn the_others_are_not_there() {
        let (store, io) = (MemoryStore::new(), Io::new().expect("threads"));
        let path = |name: &str| StorePath::parse(name).expect("path");
        for name in ["a", "b"] {
            io.block_on(store.publish(&path(name), b"12", Precondition::None)).expect("published");
        }
        let one = OneObject::new(Arc::new(store), path("a"));
        let listed = io.block_on(one.list(None)).expect("lists");
        assert_eq!(listed.iter().map(|object| object.path.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(io.block_on(one.size(&path("a"))).expect("there"), 2);
        assert!(matches!(io.block_on(one.size(&path("b"))), Err(StorageError::NotFound { .. })));
        assert!(one.traits().one_object.is_some());
    }
}
