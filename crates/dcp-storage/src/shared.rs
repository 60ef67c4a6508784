//! Objects that several processes write together.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{ObjectMeta, Precondition, StorageError, StorePath};

/// What a store can do in which several processes write parts of one object at the same time, each at its place: a parallel
/// file system, memory. ([`Store::shared`](crate::Store::shared) leads here.)
///
/// One of them [begins](Self::begin) the object and gives its id to the others; all [join](Self::join), write and
/// [flush](SharedUpload::flush); when the last one has done so, one [completes](Self::complete) it.
///
/// # Contract
/// As for an [`Upload`](crate::Upload): nothing can be seen of the object before `complete`, everything afterwards, and what `complete` has
/// returned for survives a crash; an unfinished one is named by [`Store::unfinished`](crate::Store::unfinished) and ended by
/// [`Store::discard_unfinished`](crate::Store::discard_unfinished). Besides:
///
/// * **Places.** A write lands where it says, whoever else writes, in whatever order, to other places. What nobody has written,
///   before the end of the object, is zero.
/// * **Completion.** What was flushed is in the object. Its size is what `complete` says, or it fails with
///   [`StorageError::LostWrite`]. It replaces what bears its name only as the precondition allows.
/// * **End.** Who completes knows that every hand has been flushed. After [`abort`](Self::abort) the id is of no use: whatever is
///   still done with it has no effect on any object.
#[async_trait]
pub trait SharedUploads: fmt::Debug + Send + Sync {
    /// Begins an object. `expected_size` (in bytes) is a hint.
    ///
    /// # Errors
    /// Whatever the medium reports. That the name is taken is said at the end.
    async fn begin(&self, path: &StorePath, expected_size: Option<u64>) -> Result<UploadId, StorageError>;

    /// Opens an object that was begun, here or by another process, to write to it.
    ///
    /// # Errors
    /// [`StorageError::Io`] (`NotFound`) if there is no such upload (any more), and whatever the medium reports.
    async fn join(&self, path: &StorePath, id: &UploadId) -> Result<Box<dyn SharedUpload>, StorageError>;

    /// Makes the object, of `size` bytes, durable, then visible.
    ///
    /// # Errors
    /// [`StorageError::PreconditionFailed`] if the condition does not hold, [`StorageError::LostWrite`] if it has more bytes than
    /// `size`, and whatever the medium reports. After an error of the medium it is unknown whether the object exists; if it does,
    /// it is whole.
    async fn complete(
        &self,
        path: &StorePath,
        id: &UploadId,
        size: u64,
        when: Precondition,
    ) -> Result<ObjectMeta, StorageError>;

    /// Gives up: nothing of the upload stays behind. Fine as well if there is no such upload (any more).
    ///
    /// # Errors
    /// Whatever the medium reports.
    async fn abort(&self, path: &StorePath, id: &UploadId) -> Result<(), StorageError>;
}

/// One hand in an object that several write.
#[async_trait]
pub trait SharedUpload: Send {
    /// Writes bytes from this offset on.
    ///
    /// # Errors
    /// Whatever the medium reports. After an error it is unknown how much was written.
    async fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), StorageError>;

    /// Makes what was written through this hand durable, and part of the object.
    ///
    /// # Errors
    /// Whatever the medium reports.
    async fn flush(self: Box<Self>) -> Result<(), StorageError>;
}

/// Which of all uploads: what one process must tell the others. Its meaning is the store's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UploadId(pub String);
