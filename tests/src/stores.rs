//! Stores that watch, and looking into stores.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use async_trait::async_trait;
use dcp::crates::dcp_storage::{Io, ObjectMeta, Precondition, ReadRange, StorePath, StoreTraits, Upload, Version};
use dcp::{StorageError, Store};

/// Runs a future to its end.
///
/// # Panics
/// If there are no threads for it.
pub fn block_on<F: Future<Output: Send> + Send>(future: F) -> F::Output {
    Io::new().expect("threads").block_on(future)
}

/// Everything in a store, by name.
///
/// # Panics
/// If the store fails.
#[must_use]
pub fn contents(store: &dyn Store) -> BTreeMap<String, Vec<u8>> {
    block_on(async {
        let mut contents = BTreeMap::new();
        for object in store.list(None).await.expect("lists") {
            let mut buffer = vec![0; object.size as usize];
            store.read(&object.path, &mut [ReadRange { offset: 0, buffer: &mut buffer }]).await.expect("reads");
            contents.insert(object.path.to_string(), buffer);
        }
        contents
    })
}

/// Which ranges of which objects were read: name, offset, length.
pub type Reads = Vec<(String, u64, u64)>;

/// A store that writes down what is read, whole objects in the steps of the default too.
#[derive(Clone, Debug)]
pub struct CountingStore<S> {
    inner: S,
    reads: Arc<Mutex<Reads>>,
    readers: Arc<Mutex<HashSet<ThreadId>>>,
}

impl<S: Store> CountingStore<S> {
    /// Watches a store.
    pub fn new(inner: S) -> Self {
        Self { inner, reads: Arc::default(), readers: Arc::default() }
    }

    /// What was read so far.
    #[must_use]
    pub fn reads(&self) -> Reads {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The threads that have read so far.
    #[must_use]
    pub fn readers(&self) -> HashSet<ThreadId> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl<S: Store> Store for CountingStore<S> {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn traits(&self) -> StoreTraits {
        self.inner.traits()
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        self.inner.head(path).await
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        let mut read = Reads::new();
        for range in ranges.iter() {
            let length = range.buffer.len() as u64;
            match read.last_mut() {
                // What is asked for at once and touches is one read.
                Some((_, start, before)) if *start + *before == range.offset => *before += length,
                _ => read.push((path.to_string(), range.offset, length)),
            }
        }
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).extend(read);
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).insert(thread::current().id());
        self.inner.read(path, ranges).await
    }

    async fn create(&self, path: &StorePath, expected_size: Option<u64>) -> Result<Box<dyn Upload>, StorageError> {
        self.inner.create(path, expected_size).await
    }

    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError> {
        self.inner.publish(path, content, when).await
    }

    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, path: &StorePath) -> Result<(), StorageError> {
        self.inner.delete(path).await
    }
}
