//! Shared uploads that go wrong.

use async_trait::async_trait;
use dcp_storage::{ObjectMeta, Precondition, SharedUpload, SharedUploads, StorageError, Store, StorePath, UploadId};

use super::{Broken, Defect};

#[async_trait]
impl SharedUploads for Broken {
    async fn begin(&self, path: &StorePath, expected_size: Option<u64>) -> Result<UploadId, StorageError> {
        self.inner.begin(path, expected_size).await
    }

    async fn join(&self, path: &StorePath, id: &UploadId) -> Result<Box<dyn SharedUpload>, StorageError> {
        let inner = SharedUploads::join(&self.inner, path, id).await?;
        Ok(Box::new(BrokenHand { store: self.clone(), path: path.clone(), inner, written: 0 }))
    }

    async fn complete(
        &self,
        path: &StorePath,
        id: &UploadId,
        mut size: u64,
        mut when: Precondition,
    ) -> Result<ObjectMeta, StorageError> {
        match self.defect {
            Defect::TakesSharedObjectsOfAnySize => size += 1000,
            Defect::CompletionReplaces => when = Precondition::None,
            Defect::CompletionNeverReplaces => when = Precondition::Absent,
            _ => {}
        }
        self.inner.complete(path, id, size, when).await
    }

    async fn abort(&self, path: &StorePath, id: &UploadId) -> Result<(), StorageError> {
        match self.defect {
            Defect::AbortKeepsTheSharedUpload => Ok(()),
            _ => SharedUploads::abort(&self.inner, path, id).await,
        }
    }
}

struct BrokenHand {
    store: Broken,
    path: StorePath,
    inner: Box<dyn SharedUpload>,
    written: u64,
}

#[async_trait]
impl SharedUpload for BrokenHand {
    async fn write_at(&mut self, mut offset: u64, data: &[u8]) -> Result<(), StorageError> {
        if self.store.defect == Defect::HandsAppend {
            offset = self.written;
        }
        self.written += data.len() as u64;
        if self.store.defect == Defect::FillsWhatNobodyWrites {
            self.inner.write_at(0, &vec![0xff; offset as usize]).await?;
        }
        self.inner.write_at(offset, data).await
    }

    async fn flush(self: Box<Self>) -> Result<(), StorageError> {
        if self.store.defect == Defect::ShowsSharedObjectsBeforeCompletion {
            self.store.inner.publish(&self.path, b"a part", Precondition::None).await?;
        }
        self.inner.flush().await
    }
}
