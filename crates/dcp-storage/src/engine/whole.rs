//! Reads indexes and claims.

use bytes::Bytes;

use crate::{StorageError, Store, StorePath, Version};

/// What is longer is no index and no claim, whatever its name says. In bytes.
const LONGEST: u64 = 4 << 30;

/// All bytes of one state of an object, and its version.
pub(crate) async fn read_whole(store: &dyn Store, path: &StorePath) -> Result<(Bytes, Version), StorageError> {
    store.read_whole(path, LONGEST).await
}
