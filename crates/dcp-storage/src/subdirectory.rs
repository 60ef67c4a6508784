//! A directory of a store, as a place of its own.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Look, ObjectMeta, Precondition, ReadRange, SharedUpload, SharedUploads, StorageError, Store, StorePath,
    StoreTraits, Upload, UploadId, Version,
};

/// A store that shows just what lies below a directory of another: one checkpoint of many in a bucket, say.
///
/// ```
/// use std::sync::Arc;
/// use dcp_storage::{MemoryStore, Precondition, StorageError, Store, StorePath, Subdirectory};
///
/// # async fn example() -> Result<(), StorageError> {
/// let run = Arc::new(MemoryStore::new());
/// let step = Subdirectory::new(run.clone(), StorePath::parse("run/step-7")?);
/// step.publish(&StorePath::parse("index")?, b"", Precondition::Absent).await?;
/// assert_eq!(run.list(None).await?[0].path.as_str(), "run/step-7/index");
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Subdirectory {
    inner: Arc<dyn Store>,
    prefix: StorePath,
}

impl Subdirectory {
    /// The directory of a store that has this name, whether or not there is anything in it.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, prefix: StorePath) -> Self {
        Self { inner, prefix }
    }

    /// An object's name in the other store.
    fn full(&self, path: &StorePath) -> StorePath {
        self.prefix.join(path)
    }

    /// An object's name in this store.
    fn relative(&self, full: &StorePath) -> Option<StorePath> {
        full.below(&self.prefix)
    }

    fn relative_meta(&self, meta: ObjectMeta) -> ObjectMeta {
        let path = self.relative(&meta.path).unwrap_or(meta.path);
        ObjectMeta { path, ..meta }
    }

    /// An error in terms of this store, so that who has asked for an object finds it by its name.
    fn told(&self, error: StorageError) -> StorageError {
        let here = |path: StorePath| self.relative(&path).unwrap_or(path);
        let location = self.location();
        match error {
            StorageError::NotFound { path, .. } => StorageError::NotFound { location, path: here(path) },
            StorageError::AlreadyExists { path, .. } => StorageError::AlreadyExists { location, path: here(path) },
            StorageError::PreconditionFailed { path, expected, found, .. } => {
                StorageError::PreconditionFailed { location, path: here(path), expected, found }
            }
            StorageError::OutOfRange { path, offset, length, size, .. } => {
                StorageError::OutOfRange { location, path: here(path), offset, length, size }
            }
            StorageError::NotAFile { path, found, .. } => StorageError::NotAFile { location, path: here(path), found },
            StorageError::LostWrite { path, expected, found } => {
                StorageError::LostWrite { path: here(path), expected, found }
            }
            other => other,
        }
    }

    fn inner_shared(&self) -> Result<&dyn SharedUploads, StorageError> {
        self.inner.shared().ok_or_else(|| StorageError::NotShared { location: self.location() })
    }
}

#[async_trait]
impl Store for Subdirectory {
    fn location(&self) -> String {
        format!("{}/{}", self.inner.location().trim_end_matches('/'), self.prefix)
    }

    fn traits(&self) -> StoreTraits {
        let traits = self.inner.traits();
        let one_object = traits.one_object.as_ref().and_then(|path| self.relative(path));
        StoreTraits { one_object, ..traits }
    }

    fn shared(&self) -> Option<&dyn SharedUploads> {
        self.inner.shared().map(|_| self as &dyn SharedUploads)
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        let meta = self.inner.head(&self.full(path)).await.map_err(|error| self.told(error))?;
        Ok(self.relative_meta(meta))
    }

    async fn size(&self, path: &StorePath) -> Result<u64, StorageError> {
        self.inner.size(&self.full(path)).await.map_err(|error| self.told(error))
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        self.inner.read(&self.full(path), ranges).await.map_err(|error| self.told(error))
    }

    async fn read_each(
        &self,
        path: &StorePath,
        ranges: &mut [ReadRange<'_>],
        look: &mut Look<'_>,
    ) -> Result<(), StorageError> {
        self.inner.read_each(&self.full(path), ranges, look).await.map_err(|error| self.told(error))
    }

    async fn read_whole(&self, path: &StorePath, longest: u64) -> Result<(Bytes, Version), StorageError> {
        self.inner.read_whole(&self.full(path), longest).await.map_err(|error| self.told(error))
    }

    async fn create(&self, path: &StorePath, expected_size: Option<u64>) -> Result<Box<dyn Upload>, StorageError> {
        let upload = self.inner.create(&self.full(path), expected_size).await.map_err(|error| self.told(error))?;
        Ok(Box::new(Below { upload, directory: self.clone() }))
    }

    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError> {
        self.inner.publish(&self.full(path), content, when).await.map_err(|error| self.told(error))
    }

    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError> {
        let prefix = prefix.map_or_else(|| self.prefix.clone(), |prefix| self.full(prefix));
        let listed = self.inner.list(Some(&prefix)).await.map_err(|error| self.told(error))?;
        // An object that has the name of the directory is not in it.
        let below = |meta: ObjectMeta| Some(ObjectMeta { path: self.relative(&meta.path)?, ..meta });
        Ok(listed.into_iter().filter_map(below).collect())
    }

    async fn delete(&self, path: &StorePath) -> Result<(), StorageError> {
        self.inner.delete(&self.full(path)).await.map_err(|error| self.told(error))
    }

    async fn unfinished(&self) -> Result<Vec<StorePath>, StorageError> {
        let names = self.inner.unfinished().await?;
        Ok(names.iter().filter_map(|name| self.relative(name)).collect())
    }

    async fn discard_unfinished(&self, path: &StorePath) -> Result<(), StorageError> {
        self.inner.discard_unfinished(&self.full(path)).await.map_err(|error| self.told(error))
    }
}

#[async_trait]
impl SharedUploads for Subdirectory {
    async fn begin(&self, path: &StorePath, expected_size: Option<u64>) -> Result<UploadId, StorageError> {
        let begun = self.inner_shared()?.begin(&self.full(path), expected_size).await;
        begun.map_err(|error| self.told(error))
    }

    async fn join(&self, path: &StorePath, id: &UploadId) -> Result<Box<dyn SharedUpload>, StorageError> {
        self.inner_shared()?.join(&self.full(path), id).await.map_err(|error| self.told(error))
    }

    async fn complete(
        &self,
        path: &StorePath,
        id: &UploadId,
        size: u64,
        when: Precondition,
    ) -> Result<ObjectMeta, StorageError> {
        let completed = self.inner_shared()?.complete(&self.full(path), id, size, when).await;
        completed.map(|meta| self.relative_meta(meta)).map_err(|error| self.told(error))
    }

    async fn abort(&self, path: &StorePath, id: &UploadId) -> Result<(), StorageError> {
        self.inner_shared()?.abort(&self.full(path), id).await.map_err(|error| self.told(error))
    }
}

/// An upload whose object has another name in this store.
struct Below {
    upload: Box<dyn Upload>,
    directory: Subdirectory,
}

#[async_trait]
impl Upload for Below {
    async fn write(&mut self, data: &[u8]) -> Result<(), StorageError> {
        self.upload.write(data).await.map_err(|error| self.directory.told(error))
    }

    async fn finish(self: Box<Self>) -> Result<ObjectMeta, StorageError> {
        let Self { upload, directory } = *self;
        upload.finish().await.map(|meta| directory.relative_meta(meta)).map_err(|error| directory.told(error))
    }

    async fn abort(self: Box<Self>) -> Result<(), StorageError> {
        let Self { upload, directory } = *self;
        upload.abort().await.map_err(|error| directory.told(error))
    }
}
