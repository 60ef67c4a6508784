//! The root of a store, and the directories below it that a write needs.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use dcp_storage::StorePath;

use crate::Durability;
use crate::beneath::{self, Blocked};
use crate::disk::Disk;

/// Where a store is and how it treats the disk.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    pub(crate) path: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) durability: Durability,
    /// After how many bytes a file is flushed before it ends.
    pub(crate) flush_every: u64,
    /// The directories (device, inode) whose own names are known to be flushed. Another process may have made
    /// one a moment ago and not have come to flush it, so every store sees to each of them once.
    settled: Arc<Mutex<HashSet<(u64, u64)>>>,
}

impl Root {
    pub(crate) fn new(path: PathBuf, disk: Arc<dyn Disk>) -> Self {
        Self { path, disk, durability: Durability::default(), flush_every: FLUSH_EVERY, settled: Arc::default() }
    }

    /// Opens the root directory, if it exists.
    pub(crate) fn open(&self) -> Result<File, Blocked> {
        beneath::open_root(&self.path)
    }

    /// Opens the directory of an object for writing, making it and the root where they are missing. The other
    /// half is the object's name in it.
    pub(crate) fn make_parent<'a>(&self, path: &'a StorePath) -> Result<(File, &'a str), Blocked> {
        let (parents, leaf) = beneath::split(path);
        let mut dir = self.make()?;
        for name in parents.iter().flat_map(|parents| parents.split('/')) {
            dir = self.make_step(&dir, name)?;
        }
        Ok((beneath::readable(&dir)?, leaf))
    }

    /// Flushes what a file holds, if the store is to do so.
    pub(crate) fn sync_file(&self, file: &File) -> io::Result<()> {
        match self.durability {
            Durability::Fsync => self.disk.sync_file(file),
            Durability::None => Ok(()),
        }
    }

    /// So many bytes more have been written to a file. Flushes it now and then, if the store is to flush at all: one flush of a large file
    /// at its end would be hours without progress on a slow disk, and all that time its pages would take up the machine's memory.
    pub(crate) fn flush_behind(&self, file: &File, unflushed: &mut u64, more: usize) -> io::Result<()> {
        *unflushed += more as u64;
        if *unflushed >= self.flush_every {
            self.sync_file(file)?;
            *unflushed = 0;
        }
        Ok(())
    }

    /// Flushes the names in a directory, if the store is to do so.
    pub(crate) fn sync_dir(&self, dir: &File) -> io::Result<()> {
        match self.durability {
            Durability::Fsync => self.disk.sync_dir(dir),
            Durability::None => Ok(()),
        }
    }

    fn make(&self) -> Result<File, Blocked> {
        match self.open() {
            Ok(root) => {
                self.settle(&root, || {
                    // Whoever made the root may not be done with this. Where we may not, it is not ours to do.
                    if let Ok(parent) = beneath::step(&root, "..").and_then(|parent| Ok(beneath::readable(&parent)?)) {
                        let _ = self.disk.sync_dir(&parent);
                    }
                    Ok(())
                })?;
                Ok(root)
            }
            Err(Blocked::Missing) => {
                self.make_all()?;
                let root = self.open()?;
                self.settle(&root, || Ok(()))?;
                Ok(root)
            }
            Err(other) => Err(other),
        }
    }

    /// Makes the root and what is missing above it, outermost first.
    fn make_all(&self) -> Result<(), Blocked> {
        let missing = |path: &&Path| matches!(beneath::open_root(path), Err(Blocked::Missing));
        let missing: Vec<&Path> = self.path.ancestors().take_while(missing).collect();
        for dir in missing.into_iter().rev() {
            // A component `..` needs no making.
            if let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) {
                let parent = beneath::readable(&beneath::open_root(parent)?)?;
                self.make_dir(&parent, name)?;
                self.sync_dir(&parent)?;
            }
        }
        Ok(())
    }

    fn make_step(&self, dir: &File, name: &str) -> Result<File, Blocked> {
        let next = match beneath::step(dir, name) {
            Err(Blocked::Missing) => {
                self.make_dir(dir, OsStr::new(name))?;
                beneath::step(dir, name)
            }
            result => result,
        }?;
        self.settle(&next, || self.disk.sync_dir(&beneath::readable(dir)?))?;
        Ok(next)
    }

    fn make_dir(&self, parent: &File, name: &OsStr) -> io::Result<()> {
        match self.disk.make_dir(parent, name) {
            // Somebody else was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    }

    /// Sees to it once that the name of `dir` is flushed.
    fn settle(&self, dir: &File, flush: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if self.durability == Durability::None {
            return Ok(());
        }
        let identity = beneath::identity(dir)?;
        let settled = || self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        // Two threads may both flush; what counts is that none goes on before it is done.
        if !settled().contains(&identity) {
            flush()?;
            settled().insert(identity);
        }
        Ok(())
    }
}

/// In bytes. Seconds on any disk that a checkpoint is for.
const FLUSH_EVERY: u64 = 1 << 30;
