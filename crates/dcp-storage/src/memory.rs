//! A store that keeps its objects in memory.

mod shared;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{ObjectMeta, Precondition, ReadRange, SharedUploads, StorageError, Store, StorePath, Upload, Version};

/// A [`Store`] in memory: for tests, and for checkpoints that need not outlive the process.
///
/// It is a handle: clones share the objects, which are freed with the last handle. Nothing is
/// durable, of course; apart from that it honours the whole contract. What an upload has written belongs to the upload
/// and is freed with it, also when it is discarded.
///
/// ```
/// use dcp_storage::{MemoryStore, Precondition, ReadRange, StorageError, Store, StorePath};
///
/// # async fn example() -> Result<(), StorageError> {
/// let store = MemoryStore::new();
/// let path = StorePath::parse("index")?;
/// store.publish(&path, b"0123456789", Precondition::Absent).await?;
///
/// let mut buffer = [0; 4];
/// store.read(&path, &mut [ReadRange { offset: 3, buffer: &mut buffer }]).await?;
/// assert_eq!(&buffer, b"3456");
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<RwLock<Objects>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn location(&self) -> String {
        LOCATION.to_owned()
    }

    fn shared(&self) -> Option<&dyn SharedUploads> {
        Some(self)
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        let objects = self.objects();
        objects.by_path.get(path).map(|object| object.meta(path)).ok_or_else(|| not_found(path))
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        // The handle on the bytes lets the copying happen outside the lock.
        let bytes =
            self.objects().by_path.get(path).map(|object| object.bytes.clone()).ok_or_else(|| not_found(path))?;
        for range in ranges {
            let wanted = slice(&bytes, range.offset, range.buffer.len()).ok_or_else(|| StorageError::OutOfRange {
                location: LOCATION.to_owned(),
                path: path.clone(),
                offset: range.offset,
                length: range.buffer.len() as u64,
                size: bytes.len() as u64,
            })?;
            range.buffer.copy_from_slice(wanted);
        }
        Ok(())
    }

    async fn read_whole(&self, path: &StorePath, longest: u64) -> Result<(Bytes, Version), StorageError> {
        let object = self.objects().by_path.get(path).cloned().ok_or_else(|| not_found(path))?;
        let size = object.bytes.len() as u64;
        if size > longest {
            return Err(StorageError::too_long(path, size, longest));
        }
        Ok((Bytes::copy_from_slice(&object.bytes), object.version()))
    }

    async fn create(&self, path: &StorePath, expected_size: Option<u64>) -> Result<Box<dyn Upload>, StorageError> {
        let mut bytes = Vec::new();
        // Only a hint, so one that cannot be met is no reason to fail.
        let _ = bytes.try_reserve_exact(expected_size.and_then(|size| size.try_into().ok()).unwrap_or(0));
        let mut objects = self.objects_mut();
        if objects.by_path.contains_key(path) {
            return Err(already_exists(path));
        }
        let ticket = objects.begin(path);
        Ok(Box::new(MemoryUpload { store: self.clone(), ticket, bytes }))
    }

    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError> {
        let content = content.to_vec();
        let mut objects = self.objects_mut();
        refuse_unless(&objects, path, when)?;
        Ok(objects.insert(path, content).version())
    }

    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError> {
        let wanted = |path: &StorePath| prefix.is_none_or(|prefix| path.starts_with(prefix));
        let objects = self.objects();
        Ok(objects.by_path.iter().filter(|(path, _)| wanted(path)).map(|(path, object)| object.meta(path)).collect())
    }

    async fn delete(&self, path: &StorePath) -> Result<(), StorageError> {
        self.objects_mut().by_path.remove(path);
        Ok(())
    }

    async fn unfinished(&self) -> Result<Vec<StorePath>, StorageError> {
        let mut names: Vec<_> = self.objects().uploads.iter().map(|(path, _)| path.clone()).collect();
        names.dedup();
        Ok(names)
    }

    async fn discard_unfinished(&self, path: &StorePath) -> Result<(), StorageError> {
        let mut objects = self.objects_mut();
        objects.uploads.retain(|(of, _)| of != path);
        objects.shared.retain(|(of, _), _| of != path);
        Ok(())
    }
}

struct MemoryUpload {
    store: MemoryStore,
    ticket: Ticket,
    bytes: Vec<u8>,
}

#[async_trait]
impl Upload for MemoryUpload {
    async fn write(&mut self, data: &[u8]) -> Result<(), StorageError> {
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<ObjectMeta, StorageError> {
        let bytes = mem::take(&mut self.bytes);
        let path = &self.ticket.0;
        let mut objects = self.store.objects_mut();
        if objects.by_path.contains_key(path) {
            return Err(already_exists(path));
        }
        if !objects.uploads.remove(&self.ticket) {
            return Err(discarded("finish", path));
        }
        Ok(objects.insert(path, bytes).meta(path))
    }

    async fn abort(self: Box<Self>) -> Result<(), StorageError> {
        Ok(())
    }
}

impl Drop for MemoryUpload {
    fn drop(&mut self) {
        self.store.objects_mut().uploads.remove(&self.ticket);
    }
}

/// An upload: of which object, and its own number.
type Ticket = (StorePath, u64);

#[derive(Default)]
struct Objects {
    by_path: BTreeMap<StorePath, Object>,
    /// Those that are neither finished, nor aborted, nor discarded.
    uploads: BTreeSet<Ticket>,
    /// What has been written of those among them that are shared.
    shared: BTreeMap<Ticket, Vec<u8>>,
    /// How many uploads there have been.
    begun: u64,
    /// How many states there have been: each gets its own number, so that versions never repeat.
    states: u64,
}

impl Objects {
    fn begin(&mut self, path: &StorePath) -> Ticket {
        self.begun += 1;
        let ticket = (path.clone(), self.begun);
        self.uploads.insert(ticket.clone());
        ticket
    }

    fn insert(&mut self, path: &StorePath, bytes: Vec<u8>) -> Object {
        self.states += 1;
        let object = Object { bytes: Arc::new(bytes), state: self.states };
        self.by_path.insert(path.clone(), object.clone());
        object
    }
}

#[derive(Clone)]
struct Object {
    bytes: Arc<Vec<u8>>,
    state: u64,
}

impl Object {
    fn version(&self) -> Version {
        Version(format!("state-{}", self.state))
    }

    fn meta(&self, path: &StorePath) -> ObjectMeta {
        ObjectMeta { path: path.clone(), size: self.bytes.len() as u64, version: Some(self.version()) }
    }
}

impl MemoryStore {
    // No code that can panic runs under the lock, so a poisoned one still guards a sound map.
    fn objects(&self) -> RwLockReadGuard<'_, Objects> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn objects_mut(&self) -> RwLockWriteGuard<'_, Objects> {
        self.shared.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("objects", &self.objects().by_path.len()).finish()
    }
}

const LOCATION: &str = "memory";

fn slice(bytes: &[u8], offset: u64, length: usize) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    bytes.get(start..start.checked_add(length)?)
}

/// Whether the state that an object is in allows it to be replaced.
fn refuse_unless(objects: &Objects, path: &StorePath, when: Precondition) -> Result<(), StorageError> {
    let found = objects.by_path.get(path).map(Object::version);
    match (when, found) {
        (Precondition::None, _) | (Precondition::Absent, None) => Ok(()),
        (Precondition::Matches(expected), Some(found)) if expected == found => Ok(()),
        (Precondition::Absent, Some(found)) => Err(refused(path, "nothing".to_owned(), found.0)),
        (Precondition::Matches(expected), found) => {
            Err(refused(path, expected.0, found.map_or_else(|| "nothing".to_owned(), |found| found.0)))
        }
    }
}

fn not_found(path: &StorePath) -> StorageError {
    StorageError::NotFound { location: LOCATION.to_owned(), path: path.clone() }
}

fn already_exists(path: &StorePath) -> StorageError {
    StorageError::AlreadyExists { location: LOCATION.to_owned(), path: path.clone() }
}

fn discarded(operation: &'static str, path: &StorePath) -> StorageError {
    StorageError::Io {
        operation,
        location: LOCATION.to_owned(),
        path: path.to_string(),
        source: io::Error::new(io::ErrorKind::NotFound, "there is no such upload any more"),
    }
}

fn refused(path: &StorePath, expected: String, found: String) -> StorageError {
    StorageError::PreconditionFailed { location: LOCATION.to_owned(), path: path.clone(), expected, found }
}
