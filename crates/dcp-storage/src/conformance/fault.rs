//! A store that fails where it is told to.

mod shared;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::{
    ObjectMeta, Precondition, ReadRange, SharedUploads, StorageError, Store, StorePath, StoreTraits, Upload, Version,
};

/// Any store, made to fail at chosen operations.
///
/// Operations are counted from 0: each call of a method of [`Store`] (but `location`, `traits` and `shared`), of
/// [`Upload`], of [`SharedUploads`] and of [`SharedUpload`](crate::SharedUpload) is one. `read_whole` is the `head`, `read` and `head` of the
/// default, so that others can come in between. A first run without faults tells how many there are; then each in turn is made to fail:
///
/// ```
/// use dcp_storage::conformance::{Fault, FaultStore, Faults, block_on};
/// use dcp_storage::{MemoryStore, Precondition, StorageError, Store, StorePath};
///
/// /// The code under test: data first, then the index that refers to it.
/// async fn save(store: &dyn Store) -> Result<(), StorageError> {
///     let mut data = store.create(&StorePath::parse("data")?, None).await?;
///     data.write(b"tensor").await?;
///     data.finish().await?;
///     store.publish(&StorePath::parse("index")?, b"data: 6 bytes", Precondition::Absent).await?;
///     Ok(())
/// }
///
/// let counting = FaultStore::new(MemoryStore::new(), Faults::none());
/// block_on(save(&counting))?;
/// assert_eq!(counting.faults().count(), 4); // create, write, finish, publish
///
/// for k in 0..counting.faults().count() {
///     let survivor = MemoryStore::new();
///     let dying = FaultStore::new(survivor.clone(), Faults::none().at(k, Fault::Stop));
///     assert!(block_on(save(&dying)).is_err());
///     // Whatever the operation at which the process died: no index without its data.
///     let names = block_on(survivor.list(None))?;
///     assert!(names.iter().all(|object| object.path.as_str() == "data"), "stopped at {k}: {names:?}");
/// }
/// # Ok::<(), StorageError>(())
/// ```
#[derive(Debug)]
pub struct FaultStore<S> {
    inner: S,
    faults: Faults,
}

impl<S: Store> FaultStore<S> {
    /// Wraps `inner`. Stores with clones of the same `faults` count together, like the threads of one process.
    pub fn new(inner: S, faults: Faults) -> Self {
        Self { inner, faults }
    }

    /// The count so far, and what is still to fail.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

/// What happens at one operation.
#[non_exhaustive]
pub enum Fault {
    /// The operation has no effect and fails with this error; later ones work.
    Fail(StorageError),
    /// The same, with a [`StorageError::Io`] of this kind that names the operation and the object.
    Io(io::ErrorKind),
    /// The process dies: neither this operation nor any later one has an effect, all of them fail with
    /// [`StorageError::Io`] (`BrokenPipe`), and the uploads under way are lost.
    Stop,
    /// The operation is carried out, but its outcome does not come back: it fails with [`StorageError::Io`]
    /// (`ConnectionReset`). The upload that a `create` began is lost.
    LoseResponse,
    /// This is called first: another saver or a reader comes in between. Then the operation is carried out.
    Before(Box<dyn FnOnce() + Send>),
}

impl Fault {
    /// [`Fault::Before`] without the box.
    pub fn before(hook: impl FnOnce() + Send + 'static) -> Self {
        Self::Before(Box::new(hook))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fail(error) => f.debug_tuple("Fail").field(error).finish(),
            Self::Io(kind) => f.debug_tuple("Io").field(kind).finish(),
            Self::Stop => f.write_str("Stop"),
            Self::LoseResponse => f.write_str("LoseResponse"),
            Self::Before(_) => f.write_str("Before(..)"),
        }
    }
}

/// Which operations are to fail, and which there have been. A handle: clones share both.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    shared: Arc<Mutex<State>>,
}

impl Faults {
    /// Nothing fails; operations are counted.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Lets `fault` happen at the `k`-th operation, counted from 0. Several at one operation happen in this order.
    #[must_use]
    pub fn at(self, k: usize, fault: Fault) -> Self {
        self.state().planned.entry(k).or_default().push(fault);
        self
    }

    /// How many operations there have been, failed ones included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state().log.len()
    }

    /// The operations so far, in order: number `k` is the one that [`at`](Self::at)`(k, ..)` meets.
    #[must_use]
    pub fn log(&self) -> Vec<Operation> {
        self.state().log.clone()
    }

    /// How many faults have not happened yet: a test that ends with some left has tested less than it meant to.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.state().planned.values().map(Vec::len).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call of a store or an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The method: `head`, `size`, `read`, `create`, `publish`, `list`, `delete`, `unfinished`, `discard_unfinished`,
    /// `write`, `finish` or `abort`; for what is shared `begin`, `join`, `write_at`, `flush`, `complete` or `abort`.
    pub name: &'static str,
    /// The object, or the prefix of a list if it has one.
    pub path: Option<StorePath>,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{} {path}", self.name),
            None => f.write_str(self.name),
        }
    }
}

#[async_trait]
impl<S: Store> Store for FaultStore<S> {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn traits(&self) -> StoreTraits {
        self.inner.traits()
    }

    fn shared(&self) -> Option<&dyn SharedUploads> {
        self.inner.shared().map(|_| self as &dyn SharedUploads)
    }

    async fn size(&self, path: &StorePath) -> Result<u64, StorageError> {
        self.site(path).run("size", self.inner.size(path)).await
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        self.site(path).run("head", self.inner.head(path)).await
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        self.site(path).run("read", self.inner.read(path, ranges)).await
    }

    async fn create(&self, path: &StorePath, expected_size: Option<u64>) -> Result<Box<dyn Upload>, StorageError> {
        let site = self.site(path);
        let inner = site.run("create", self.inner.create(path, expected_size)).await?;
        Ok(Box::new(FaultUpload { inner: Some(inner), site }))
    }

    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError> {
        self.site(path).run("publish", self.inner.publish(path, content, when)).await
    }

    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError> {
        self.site(prefix).run("list", self.inner.list(prefix)).await
    }

    async fn delete(&self, path: &StorePath) -> Result<(), StorageError> {
        self.site(path).run("delete", self.inner.delete(path)).await
    }

    async fn unfinished(&self) -> Result<Vec<StorePath>, StorageError> {
        self.site(None::<&StorePath>).run("unfinished", self.inner.unfinished()).await
    }

    async fn discard_unfinished(&self, path: &StorePath) -> Result<(), StorageError> {
        self.site(path).run("discard_unfinished", self.inner.discard_unfinished(path)).await
    }
}

impl<S: Store> FaultStore<S> {
    fn site<'a>(&self, path: impl Into<Option<&'a StorePath>>) -> Site {
        Site { faults: self.faults.clone(), location: self.location(), path: path.into().cloned() }
    }
}

struct FaultUpload {
    /// `None` once a write has failed: what is incomplete can no longer be finished.
    inner: Option<Box<dyn Upload>>,
    site: Site,
}

#[async_trait]
impl Upload for FaultUpload {
    async fn write(&mut self, data: &[u8]) -> Result<(), StorageError> {
        let lost = self.site.error("write", io::ErrorKind::BrokenPipe, LOST);
        let operation = async {
            match &mut self.inner {
                Some(inner) => inner.write(data).await,
                None => Err(lost),
            }
        };
        let result = self.site.run("write", operation).await;
        if result.is_err() {
            self.inner = None;
        }
        result
    }

    async fn finish(self: Box<Self>) -> Result<ObjectMeta, StorageError> {
        let Self { inner, site } = *self;
        let lost = site.error("finish", io::ErrorKind::BrokenPipe, LOST);
        site.run("finish", async { inner.ok_or(lost)?.finish().await }).await
    }

    async fn abort(self: Box<Self>) -> Result<(), StorageError> {
        let Self { inner, site } = *self;
        let operation = async {
            match inner {
                Some(inner) => inner.abort().await,
                None => Ok(()),
            }
        };
        site.run("abort", operation).await
    }
}

#[derive(Debug, Default)]
struct State {
    planned: BTreeMap<usize, Vec<Fault>>,
    log: Vec<Operation>,
    stopped: bool,
}

/// Where operations happen: on which object, counted by whom.
struct Site {
    faults: Faults,
    location: String,
    path: Option<StorePath>,
}

impl Site {
    /// Counts the operation, then carries it out as far as the faults planned for it let it come.
    async fn run<T>(
        &self,
        name: &'static str,
        operation: impl Future<Output = Result<T, StorageError>> + Send,
    ) -> Result<T, StorageError> {
        let mut lose_response = false;
        // The hooks run outside the lock: they may well use a store that counts with us.
        for fault in self.arrive(name)? {
            match fault {
                Fault::Before(hook) => hook(),
                Fault::Fail(error) => return Err(error),
                Fault::Io(kind) => return Err(self.error(name, kind, "injected fault")),
                Fault::Stop => {
                    self.faults.state().stopped = true;
                    return Err(self.error(name, io::ErrorKind::BrokenPipe, STOPPED));
                }
                Fault::LoseResponse => lose_response = true,
            }
        }
        let outcome = operation.await;
        if lose_response {
            return Err(self.error(name, io::ErrorKind::ConnectionReset, "injected fault: the response was lost"));
        }
        outcome
    }

    fn arrive(&self, name: &'static str) -> Result<Vec<Fault>, StorageError> {
        let mut state = self.faults.state();
        let k = state.log.len();
        state.log.push(Operation { name, path: self.path.clone() });
        if state.stopped {
            return Err(self.error(name, io::ErrorKind::BrokenPipe, STOPPED));
        }
        Ok(state.planned.remove(&k).unwrap_or_default())
    }

    fn error(&self, operation: &'static str, kind: io::ErrorKind, what: &'static str) -> StorageError {
        StorageError::Io {
            operation,
            location: self.location.clone(),
            path: self.path.as_ref().map_or_else(|| self.location.clone(), ToString::to_string),
            source: io::Error::new(kind, what),
        }
    }
}

const LOST: &str = "injected fault: an earlier write has failed";
const STOPPED: &str = "injected fault: the process has stopped";
