//! The store itself: what each operation does, in terms of the other modules.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dcp_storage::{
    Io, Look, ObjectMeta, Precondition, ReadRange, SharedUploads, StorageError, Store, StorePath, StoreTraits, Upload,
    Version,
};

use crate::beneath::{self, Blocked, OpenObject};
use crate::cold::Cold;
use crate::disk::{Disk, RealDisk};
use crate::root::Root;
use crate::site::Site;
use crate::temp::Temp;
use crate::upload::LocalUpload;
use crate::{list, publish, read, temp, version};

/// Objects as files below one directory, the root.
///
/// A handle that is cheap to clone. Its futures do all their work when they are first polled, and block the thread
/// meanwhile.
#[derive(Clone, Debug)]
pub struct LocalStore {
    pub(crate) root: Root,
    cold: Option<Arc<Cold>>,
}

/// What a store does before it says that an object is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It flushes the object (a large one also on the way, every GiB) and its directories to the medium: what it said is true after a crash of
    /// the machine.
    #[default]
    Fsync,
    /// Nothing. An object outlives the process, but after a crash of the machine it may be missing, empty or
    /// torn. Errors that a system reports only when it flushes (a quota on NFS) go unnoticed. For scratch space and tests.
    None,
}

/// The most that one read takes of much. Each read opens its file, and what else happens between two reads lets the processor use its wide registers: some of them copy from the page
/// cache more slowly for the next megabytes then (docs/design/017).
const LONGEST_READ: u64 = 32 << 20;

/// How often an object is read whole that others write into.
const ATTEMPTS: usize = 4;

impl LocalStore {
    /// The largest object, in bytes, that [`head`](Store::head) reads for its version. The small objects that are
    /// published (indexes, claims) are far below this.
    pub const MAX_HEAD_VERSION: u64 = 256 << 20;

    /// The store below `root`, which may be missing until the first write creates it. Does no I/O.
    ///
    /// A relative path is taken from where the process is now.
    #[must_use]
    pub fn open(root: impl AsRef<Path>) -> Self {
        Self::on(root.as_ref(), Arc::new(RealDisk))
    }

    /// The same store with this durability; [`Durability::Fsync`] unless told otherwise.
    ///
    /// ```
    /// use dcp_fs::{Durability, LocalStore};
    /// let scratch = LocalStore::open("/tmp/scratch").durability(Durability::None);
    /// ```
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.root.durability = durability;
        self
    }

    /// The same store, reading past the page cache or not; not unless told so.
    ///
    /// What this machine has in memory of a file is dropped before this store (with its clones) reads it for the first time, and
    /// what was read is dropped afterwards, so that the bytes come from the medium: whoever checks them has checked the medium, and
    /// the memory is left to others. It is slower, of course.
    ///
    /// It is advice, and the system takes it as far as it can. What was written and not flushed yet, what another process has
    /// mapped or reads just now, and a file system that lives in memory are read as ever; so are the caches of other
    /// hosts: of the server of a network file system, and of the disk itself. It works on Linux; elsewhere reads fail with
    /// [`StorageError::Io`].
    ///
    /// ```
    /// use dcp_fs::LocalStore;
    /// let medium = LocalStore::open("/data/run-1/step-100").cold(true);
    /// ```
    #[must_use]
    pub fn cold(mut self, cold: bool) -> Self {
        self.cold = cold.then(Arc::default);
        self
    }

    pub(crate) fn on(root: &Path, disk: Arc<dyn Disk>) -> Self {
        // Only an empty path or a lost working directory has no absolute form; the first operation will say so.
        let path = std::path::absolute(root).unwrap_or_else(|_| PathBuf::from(root));
        Self { root: Root::new(path, disk), cold: None }
    }

    pub(crate) fn site(&self, path: &StorePath) -> Result<Site, StorageError> {
        Site::of(self.location(), path)
    }

    fn open_object(&self, site: &Site, path: &StorePath) -> Result<OpenObject, StorageError> {
        self.root.open().and_then(|root| beneath::open_object(&root, path)).map_err(site.on("read"))
    }

    /// Reads about `step` bytes at a time, and shows them before it goes on.
    fn read_steps(
        &self,
        site: &Site,
        object: &OpenObject,
        ranges: &mut [ReadRange<'_>],
        step: usize,
        look: &mut Look<'_>,
    ) -> Result<(), StorageError> {
        let Some(cold) = &self.cold else { return read::ranges(site, object, ranges, step, look) };
        cold.before(object).map_err(site.io("read"))?;
        let done = read::ranges(site, object, ranges, step, look);
        cold.after(object, ranges).map_err(site.io("read"))?;
        done
    }

    fn list_failed(&self, prefix: Option<&StorePath>, source: io::Error) -> StorageError {
        let location = self.location();
        let path = prefix.map_or_else(|| location.clone(), ToString::to_string);
        StorageError::Io { operation: "list", location, path, source }
    }
}

#[async_trait]
impl Store for LocalStore {
    fn location(&self) -> String {
        self.root.path.display().to_string()
    }

    fn traits(&self) -> StoreTraits {
        let mut traits = StoreTraits::default();
        traits.longest_read = LONGEST_READ;
        traits
    }

    fn shared(&self) -> Option<&dyn SharedUploads> {
        Some(self)
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        let site = self.site(path)?;
        let object = self.open_object(&site, path)?;
        let version = (object.size <= Self::MAX_HEAD_VERSION)
            .then(|| version::of_file(&object.file))
            .transpose()
            .map_err(site.io("read"))?;
        Ok(ObjectMeta { path: path.clone(), size: object.size, version })
    }

    async fn size(&self, path: &StorePath) -> Result<u64, StorageError> {
        Ok(self.open_object(&self.site(path)?, path)?.size)
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        let site = self.site(path)?;
        self.read_steps(&site, &self.open_object(&site, path)?, ranges, usize::MAX, &mut |_| Ok(()))
    }

    async fn read_each(
        &self,
        path: &StorePath,
        ranges: &mut [ReadRange<'_>],
        look: &mut Look<'_>,
    ) -> Result<(), StorageError> {
        let site = self.site(path)?;
        self.read_steps(&site, &self.open_object(&site, path)?, ranges, Io::READ_STEP as usize, look)
    }

    async fn read_whole(&self, path: &StorePath, longest: u64) -> Result<(Bytes, Version), StorageError> {
        let site = self.site(path)?;
        for _ in 0..ATTEMPTS {
            let object = self.open_object(&site, path)?;
            if object.size > longest {
                return Err(StorageError::too_long(path, object.size, longest));
            }
            let mut content = vec![0; object.size as usize];
            let all = &mut [ReadRange { offset: 0, buffer: &mut content }];
            let read = self.read_steps(&site, &object, all, usize::MAX, &mut |_| Ok(()));
            // Who replaces an object here puts another file in its place, and the one that has been opened stays as it is. Others may write into it.
            if object.file.metadata().map_err(site.io("read"))?.len() == object.size {
                let version = version::of_bytes(&content);
                return read.map(|()| (content.into(), version));
            }
        }
        Err(StorageError::Overwritten { location: self.location(), path: path.clone() })
    }

    async fn create(&self, path: &StorePath, expected_size: Option<u64>) -> Result<Box<dyn Upload>, StorageError> {
        let site = self.site(path)?;
        let (dir, leaf) = self.root.make_parent(path).map_err(site.on_write("create"))?;
        if let Some(found) = beneath::look(&dir, leaf).map_err(site.io("create"))? {
            return Err(site.taken(&found));
        }
        let temp = Temp::for_upload(&self.root, dir, leaf, expected_size).map_err(site.io("create"))?;
        Ok(Box::new(LocalUpload::new(site, temp)))
    }

    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError> {
        let site = self.site(path)?;
        let (dir, leaf) = self.root.make_parent(path).map_err(site.on_write("publish"))?;
        let mut temp = Temp::for_publish(&self.root, dir).map_err(site.io("publish"))?;
        temp.write(content).map_err(site.io("publish"))?;
        publish::place(&site, temp, leaf, &when)?;
        Ok(version::of_bytes(content))
    }

    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError> {
        if let Some(prefix) = prefix {
            self.site(prefix)?;
        }
        list::objects(&self.root, prefix).map_err(|source| self.list_failed(prefix, source))
    }

    async fn delete(&self, path: &StorePath) -> Result<(), StorageError> {
        let site = self.site(path)?;
        let parent = self.root.open().and_then(|root| beneath::open_parent(&root, path));
        match parent.and_then(|(dir, leaf)| publish::remove(&*self.root.disk, &dir, leaf)) {
            Ok(()) | Err(Blocked::Missing | Blocked::BelowFile) => Ok(()),
            Err(other) => Err(site.on("delete")(other)),
        }
    }

    async fn unfinished(&self) -> Result<Vec<StorePath>, StorageError> {
        list::unfinished(&self.root).map_err(|source| self.list_failed(None, source))
    }

    async fn discard_unfinished(&self, path: &StorePath) -> Result<(), StorageError> {
        let site = self.site(path)?;
        let parent = self.root.open().and_then(|root| beneath::open_parent(&root, path));
        let (dir, leaf) = match parent {
            Ok(parent) => parent,
            Err(Blocked::Missing | Blocked::BelowFile) => return Ok(()),
            Err(other) => return Err(site.on(DISCARD)(other)),
        };
        for name in list::uploads_of(&dir, leaf).map_err(site.io(DISCARD))? {
            // It may have been finished or aborted meanwhile.
            temp::unless_gone(self.root.disk.remove(&dir, &name)).map_err(site.io(DISCARD))?;
        }
        Ok(())
    }
}

const DISCARD: &str = "discard uploads of";
