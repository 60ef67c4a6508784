//! Companions of an index: written before it, taken back if it does not come to it.

use bytes::Bytes;

use crate::{Io, StorageError, Store, StorePath};

/// What has been written so far.
pub(super) struct Written<'s> {
    store: &'s dyn Store,
    paths: Vec<StorePath>,
}

impl<'s> Written<'s> {
    /// Writes companions. After an error none is left that was not there before.
    pub(super) async fn write(
        store: &'s dyn Store,
        companions: Vec<(StorePath, Bytes)>,
        io: &Io<'_>,
    ) -> Result<Self, StorageError> {
        let mut written = Self { store, paths: Vec::new() };
        for (path, content) in companions {
            match put(store, &path, &content).await {
                Ok(()) => {
                    written.paths.push(path);
                    io.advance(content.len() as u64);
                }
                Err(error) => {
                    written.take_back().await;
                    return Err(error);
                }
            }
        }
        Ok(written)
    }

    /// Removes them, as far as the store lets us.
    pub(super) async fn take_back(self) {
        for path in self.paths {
            drop(self.store.delete(&path).await);
        }
    }
}

/// Makes an object that was not there.
async fn put(store: &dyn Store, path: &StorePath, content: &[u8]) -> Result<(), StorageError> {
    let mut upload = store.create(path, Some(content.len() as u64)).await?;
    if let Err(error) = upload.write(content).await {
        // The first error is what matters.
        drop(upload.abort().await);
        return Err(error);
    }
    upload.finish().await.map(drop)
}
