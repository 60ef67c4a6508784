//! An object that one writer writes from its first byte to its last, seen as one that several write: for stores that cannot do more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::{ObjectMeta, Precondition, SharedUpload, SharedUploads, StorageError, Store, StorePath, Upload, UploadId};

/// The uploads that this process has begun.
#[derive(Debug)]
pub(super) struct InOrder {
    store: Arc<dyn Store>,
    held: Arc<Mutex<Held>>,
}

/// Uploads that nobody writes to just now, with the bytes that each has.
#[derive(Default)]
struct Held {
    uploads: HashMap<UploadId, (Box<dyn Upload>, u64)>,
    begun: u64,
}

impl InOrder {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, held: Arc::default() }
    }

    fn take(&self, id: &UploadId) -> Option<(Box<dyn Upload>, u64)> {
        lock(&self.held).uploads.remove(id)
    }

    fn gone(&self, path: &StorePath) -> StorageError {
        StorageError::Io {
            operation: "write to the unfinished upload of",
            location: self.store.location(),
            path: path.to_string(),
            source: std::io::ErrorKind::NotFound.into(),
        }
    }
}

#[async_trait]
impl SharedUploads for InOrder {
    async fn begin(&self, path: &StorePath, expected_size: Option<u64>) -> Result<UploadId, StorageError> {
        let upload = self.store.create(path, expected_size).await?;
        let mut held = lock(&self.held);
        held.begun += 1;
        let id = UploadId(held.begun.to_string());
        held.uploads.insert(id.clone(), (upload, 0));
        Ok(id)
    }

    async fn join(&self, path: &StorePath, id: &UploadId) -> Result<Box<dyn SharedUpload>, StorageError> {
        let (upload, position) = self.take(id).ok_or_else(|| self.gone(path))?;
        Ok(Box::new(Hand { upload, position, path: path.clone(), id: id.clone(), held: Arc::clone(&self.held) }))
    }

    async fn complete(
        &self,
        path: &StorePath,
        id: &UploadId,
        size: u64,
        _when: Precondition,
    ) -> Result<ObjectMeta, StorageError> {
        let (upload, found) = self.take(id).ok_or_else(|| self.gone(path))?;
        if found != size {
            drop(upload.abort().await);
            return Err(StorageError::LostWrite { path: path.clone(), expected: size, found });
        }
        // It never replaces anything, whatever is allowed.
        match upload.finish().await {
            Err(StorageError::AlreadyExists { location, path }) => {
                Err(StorageError::Exists { location, found: path.to_string() })
            }
            finished => finished,
        }
    }

    async fn abort(&self, _path: &StorePath, id: &UploadId) -> Result<(), StorageError> {
        match self.take(id) {
            Some((upload, _)) => upload.abort().await,
            None => Ok(()),
        }
    }
}

/// The one hand in the object. If it is dropped without being flushed, so is the upload.
struct Hand {
    upload: Box<dyn Upload>,
    position: u64,
    path: StorePath,
    id: UploadId,
    held: Arc<Mutex<Held>>,
}

#[async_trait]
impl SharedUpload for Hand {
    async fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        if offset != self.position {
            return Err(StorageError::LostWrite { path: self.path.clone(), expected: offset, found: self.position });
        }
        self.upload.write(data).await?;
        self.position += data.len() as u64;
        Ok(())
    }

    async fn flush(self: Box<Self>) -> Result<(), StorageError> {
        let Self { upload, position, id, held, .. } = *self;
        lock(&held).uploads.insert(id, (upload, position));
        Ok(())
    }
}

fn lock(held: &Mutex<Held>) -> std::sync::MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.uploads.keys()).finish()
    }
}
