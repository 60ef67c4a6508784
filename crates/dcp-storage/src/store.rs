//! Where named bytes live.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dcp_types::Digest;
use serde::{Deserialize, Serialize};

use crate::{Io, SharedUploads, StorageError, StorePath, whole};

/// A place that holds named, immutable byte objects: a directory, a bucket, memory.
///
/// Formats decide what the bytes mean; a store only keeps them. The engine calls a store from
/// several threads at once, each of which may block while a method runs.
///
/// # Contract
/// Each clause is a test of the conformance suite (feature `conformance`).
///
/// * **Visibility.** An object appears whole, or not at all: nothing of an [`Upload`] can be read,
///   sized or listed before [`finish`](Upload::finish) returns, and everything can afterwards, by
///   every reader. The same holds for [`publish`](Self::publish) and for [`delete`](Self::delete).
/// * **Durability.** What `finish` or `publish` has returned for survives a crash of the machine
///   (unless the store was explicitly told to skip that).
/// * **Immutability.** `create` never replaces: if the object exists, `create` or, at the latest,
///   `finish` fails with [`StorageError::AlreadyExists`] and the object stays as it was.
/// * **Conditional publish.** [`Precondition::Absent`] and [`Precondition::Matches`] are decided and
///   applied as one step: of any number of racing publishers exactly one succeeds, the others get
///   [`StorageError::PreconditionFailed`]. (Where versions are hashes of the content, who publishes just what is there
///   already changes nothing, and one more may succeed. Put something unique into what must be decided.)
/// * **Ranges.** `read` fills every buffer completely with exactly the bytes asked for, or fails. A
///   range past the end (or past `u64::MAX`) is [`StorageError::OutOfRange`], whatever was read before it, and so is
///   an empty one beyond the end; an empty range inside the object or at its end is fine, and so is no range at all.
///   Ranges may come in any order, may touch and may overlap. A single range is never a mixture of two states.
///   `read_each` shows each range once, when it is full, ascending ones in order, and ends with the first error of who looks.
/// * **Whole objects.** `read_whole` gives all bytes of one state of an object, and the version of that state and no other, whoever
///   replaces it meanwhile; or, where that happens again and again, [`StorageError::Overwritten`]. An object that is longer than the caller
///   cares for is [`StorageError::Corrupt`].
/// * **Missing.** `read`, `read_whole`, `head` and `size` of a missing object are [`StorageError::NotFound`]; `delete` of one
///   succeeds; `list` of a prefix without objects is empty, even when the root itself does not exist yet.
/// * **Listing.** `list` goes by component, not by text: `a` leads to `a`, `a/b` and `a/b/c`, never to `ab`.
/// * **Names.** Every valid [`StorePath`] works and comes back from `list` unchanged; different names are different
///   objects. Two exceptions, neither of which a format may rely on: a store may keep names for itself and refuse them
///   with [`StorageError::InvalidPath`]; and a store made of directories cannot hold `a` beside `a/b`, but says
///   [`StorageError::NotAFile`].
/// * **Cancelled uploads.** After [`abort`](Upload::abort), or when an upload is dropped, no object
///   exists and the name can be created again.
/// * **Unfinished uploads.** An upload that has left something in the store is named by [`unfinished`](Self::unfinished),
///   whoever began it and whether it is under way or its process has died, until it is finished or aborted, and soon no
///   longer once it has been dropped. [`discard_unfinished`](Self::discard_unfinished) of its name ends it: nothing of it stays,
///   its `finish` fails, its `abort` succeeds, and the name can be created again. Finished objects and uploads of
///   other names are untouched. (A store on which nothing outlives the process may name none: that is the default.)
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Where this is, for people: in messages and reports.
    fn location(&self) -> String;

    /// What is true of this store beyond the contract, so that the engine can suit itself to it.
    fn traits(&self) -> StoreTraits {
        StoreTraits::default()
    }

    /// What several processes need to write one object together; `None` where they cannot.
    fn shared(&self) -> Option<&dyn SharedUploads> {
        None
    }

    /// The size and version of an object.
    ///
    /// # Errors
    /// [`StorageError::NotFound`], and whatever the medium reports.
    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError>;

    /// The size of an object in bytes, as [`head`](Self::head) gives it. For a store to which a version costs more
    /// than a size.
    ///
    /// # Errors
    /// As [`head`](Self::head).
    async fn size(&self, path: &StorePath) -> Result<u64, StorageError> {
        Ok(self.head(path).await?.size)
    }

    /// Fills each buffer with the object's bytes from its offset on.
    ///
    /// # Errors
    /// [`StorageError::NotFound`], [`StorageError::OutOfRange`], and whatever the medium reports. After
    /// an error the buffers' contents are unspecified.
    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError>;

    /// As [`read`](Self::read), and shows each range to `look` once it is full: in their order, if they are given by ascending offset. Reading
    /// ends with the first error of `look`.
    ///
    /// What is looked at as soon as it is there is still in the cache of the core. For a store that fills its buffers itself, one range after
    /// another; all others show everything at the end, as by default.
    ///
    /// # Errors
    /// As [`read`](Self::read), and those of `look`.
    async fn read_each(
        &self,
        path: &StorePath,
        ranges: &mut [ReadRange<'_>],
        look: &mut Look<'_>,
    ) -> Result<(), StorageError> {
        self.read(path, ranges).await?;
        ranges.iter().try_for_each(look)
    }

    /// All bytes of a small object that others may replace meanwhile, and its version: for indexes and claims. Nothing is allocated for one of
    /// more than `longest` bytes.
    ///
    /// By default [`head`](Self::head), [`read`](Self::read) and `head` again. Many stores can do it in one step: those whose `head` reads the
    /// object had better, and wrappers had better forward it.
    ///
    /// # Errors
    /// [`StorageError::NotFound`], [`StorageError::Corrupt`] of what is too long, [`StorageError::Overwritten`], and whatever the medium reports.
    async fn read_whole(&self, path: &StorePath, longest: u64) -> Result<(Bytes, Version), StorageError> {
        whole::in_steps(self, path, longest).await
    }

    /// Starts a new object. `expected_size` (in bytes) is a hint.
    ///
    /// # Errors
    /// [`StorageError::AlreadyExists`], and whatever the medium reports.
    async fn create(&self, path: &StorePath, expected_size: Option<u64>) -> Result<Box<dyn Upload>, StorageError>;

    /// Puts a small object in one step, replacing an older one only as `when` allows.
    ///
    /// # Errors
    /// [`StorageError::PreconditionFailed`] if the condition does not hold; otherwise whatever the medium reports.
    /// After any other error it is unknown whether the object was published: read it back.
    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError>;

    /// Every object that `prefix` names or whose first components it is (all objects without one), sorted by path.
    ///
    /// # Errors
    /// Whatever the medium reports.
    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError>;

    /// Removes an object; one that does not exist is fine.
    ///
    /// # Errors
    /// Whatever the medium reports.
    async fn delete(&self, path: &StorePath) -> Result<(), StorageError>;

    /// The objects of which an upload was begun and neither finished nor aborted, by this process or another: it may
    /// be under way, or its process may have died. Sorted, each once.
    ///
    /// An object may exist and be named here as well. What has left nothing in the store yet need not be named, and a
    /// store may leave out names of a kind that it documents.
    ///
    /// # Errors
    /// Whatever the medium reports.
    async fn unfinished(&self) -> Result<Vec<StorePath>, StorageError> {
        Ok(Vec::new())
    }

    /// Removes what the unfinished uploads of an object have left; if there are none that is fine. The object itself, if
    /// it exists, stays.
    ///
    /// Whoever calls this knows that none of them is wanted any more: one that is still under way fails, at the
    /// latest when it is finished. (One that finishes at this very moment may come first. Then the object exists, whole.)
    ///
    /// # Errors
    /// Whatever the medium reports.
    async fn discard_unfinished(&self, path: &StorePath) -> Result<(), StorageError> {
        let _ = path;
        Ok(())
    }
}

/// A shared store is a store, so that wrappers need not care how theirs is held.
#[async_trait]
impl<S: Store + ?Sized> Store for Arc<S> {
    fn location(&self) -> String {
        (**self).location()
    }

    fn traits(&self) -> StoreTraits {
        (**self).traits()
    }

    fn shared(&self) -> Option<&dyn SharedUploads> {
        (**self).shared()
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        (**self).head(path).await
    }

    async fn size(&self, path: &StorePath) -> Result<u64, StorageError> {
        (**self).size(path).await
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        (**self).read(path, ranges).await
    }

    async fn read_each(
        &self,
        path: &StorePath,
        ranges: &mut [ReadRange<'_>],
        look: &mut Look<'_>,
    ) -> Result<(), StorageError> {
        (**self).read_each(path, ranges, look).await
    }

    async fn read_whole(&self, path: &StorePath, longest: u64) -> Result<(Bytes, Version), StorageError> {
        (**self).read_whole(path, longest).await
    }

    async fn create(&self, path: &StorePath, expected_size: Option<u64>) -> Result<Box<dyn Upload>, StorageError> {
        (**self).create(path, expected_size).await
    }

    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError> {
        (**self).publish(path, content, when).await
    }

    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError> {
        (**self).list(prefix).await
    }

    async fn delete(&self, path: &StorePath) -> Result<(), StorageError> {
        (**self).delete(path).await
    }

    async fn unfinished(&self) -> Result<Vec<StorePath>, StorageError> {
        (**self).unfinished().await
    }

    async fn discard_unfinished(&self, path: &StorePath) -> Result<(), StorageError> {
        (**self).discard_unfinished(path).await
    }
}

/// An object that is being written. Invisible until [`finish`](Self::finish).
#[async_trait]
pub trait Upload: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// Whatever the medium reports. After an error it is unknown how much was written, so the object can no longer be
    /// finished: [`finish`](Self::finish) fails, and only [`abort`](Self::abort) is useful.
    async fn write(&mut self, data: &[u8]) -> Result<(), StorageError>;

    /// Makes the object durable, then visible.
    ///
    /// # Errors
    /// [`StorageError::AlreadyExists`] if the name has been taken meanwhile, and whatever the medium reports.
    /// After any error but the first it is unknown whether the object exists; if it does, it is whole.
    async fn finish(self: Box<Self>) -> Result<ObjectMeta, StorageError>;

    /// Gives up: nothing of the object stays behind. Fine as well if the upload has been
    /// [discarded](Store::discard_unfinished).
    ///
    /// # Errors
    /// Whatever the medium reports.
    async fn abort(self: Box<Self>) -> Result<(), StorageError>;
}

/// A range to read: from `offset` on, as many bytes as `buffer` holds, into `buffer`.
#[derive(Debug)]
pub struct ReadRange<'a> {
    /// First byte, counted from the start of the object.
    pub offset: u64,
    /// Where the bytes go.
    pub buffer: &'a mut [u8],
}

/// Looks at ranges that are full: what [`Store::read_each`] calls.
pub type Look<'l> = dyn FnMut(&ReadRange<'_>) -> Result<(), StorageError> + Send + 'l;

/// What a store says of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Its name.
    pub path: StorePath,
    /// Its size in bytes.
    pub size: u64,
    /// Which state of the object this is; `None` where a listing or an upload does not know, or where
    /// [`Store::head`] would have to read a large object to tell.
    pub version: Option<Version>,
}

/// One state of an object: an ETag, a generation number, a content hash.
///
/// Two states with equal versions have equal contents; nothing else can be told from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Version(pub String);

impl Version {
    /// For a store that has no other: a hash of the content. [`publish`](Store::publish) takes it only where the store makes its versions so.
    #[must_use]
    pub fn of_content(content: &[u8]) -> Self {
        Self(format!("{:?}", Digest::of(content)))
    }
}

/// What must hold for [`Store::publish`] to take effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing: replace what may be there.
    None,
    /// The object does not exist.
    Absent,
    /// The object exists in this version.
    Matches(Version),
}

/// What the engine wants to know of a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreTraits {
    /// How many reads one I/O thread should keep under way. A store that blocks the thread has 1: only there reading is cheap enough for ranks of
    /// one process to [read together](crate::Commons).
    pub reads_in_flight: usize,
    /// Two short wanted runs with at most this gap (in bytes) between them are read as one.
    pub coalesce_gap: u64,
    /// Runs of this many bytes or more are read exactly: nothing of the gaps between them, however short these are.
    pub exact_run: u64,
    /// A read of more bytes than this is worth splitting, so that several are under way.
    pub read_size: u64,
    /// Up to so many bytes are read as one all the same where there is enough for all threads, if that is more than `read_size`.
    pub longest_read: u64,
    /// How many bytes are asked for at a time where they go through a buffer, which takes as much memory.
    pub read_buffer: u64,
    /// The one object that there is room for, where the place is that of a format that is one file.
    pub one_object: Option<StorePath>,
}

impl Default for StoreTraits {
    fn default() -> Self {
        Self {
            reads_in_flight: 1,
            coalesce_gap: 4096,
            exact_run: 4096,
            read_size: 4 << 20,
            longest_read: 0,
            read_buffer: Io::READ_BUFFER,
            one_object: None,
        }
    }
}
