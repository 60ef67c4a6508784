//! The same for objects that several write.

use async_trait::async_trait;

use super::{FaultStore, Site};
use crate::{ObjectMeta, Precondition, SharedUpload, SharedUploads, StorageError, Store, StorePath, UploadId};

#[async_trait]
impl<S: Store> SharedUploads for FaultStore<S> {
    async fn begin(&self, path: &StorePath, expected_size: Option<u64>) -> Result<UploadId, StorageError> {
        self.site(path).run("begin", async { self.inner_shared()?.begin(path, expected_size).await }).await
    }

    async fn join(&self, path: &StorePath, id: &UploadId) -> Result<Box<dyn SharedUpload>, StorageError> {
        let site = self.site(path);
        let inner = site.run("join", async { self.inner_shared()?.join(path, id).await }).await?;
        Ok(Box::new(FaultHand { inner, site }))
    }

    async fn complete(
        &self,
        path: &StorePath,
        id: &UploadId,
        size: u64,
        when: Precondition,
    ) -> Result<ObjectMeta, StorageError> {
        self.site(path).run("complete", async { self.inner_shared()?.complete(path, id, size, when).await }).await
    }

    async fn abort(&self, path: &StorePath, id: &UploadId) -> Result<(), StorageError> {
        self.site(path).run("abort", async { self.inner_shared()?.abort(path, id).await }).await
    }
}

impl<S: Store> FaultStore<S> {
    fn inner_shared(&self) -> Result<&dyn SharedUploads, StorageError> {
        self.inner.shared().ok_or_else(|| StorageError::NotShared { location: self.location() })
    }
}

struct FaultHand {
    inner: Box<dyn SharedUpload>,
    site: Site,
}

#[async_trait]
impl SharedUpload for FaultHand {
    async fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        self.site.run("write_at", self.inner.write_at(offset, data)).await
    }

    async fn flush(self: Box<Self>) -> Result<(), StorageError> {
        let Self { inner, site } = *self;
        site.run("flush", inner.flush()).await
    }
}
