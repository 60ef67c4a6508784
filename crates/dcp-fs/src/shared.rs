//! Objects that several processes write: each opens the one hidden file, and writes where it is told.

use std::fs::File;
use std::io;

use async_trait::async_trait;
use dcp_storage::{ObjectMeta, Precondition, SharedUpload, SharedUploads, StorageError, StorePath, UploadId};

use crate::beneath::{self, Blocked};
use crate::root::Root;
use crate::site::Site;
use crate::temp::{self, Temp};
use crate::{LocalStore, publish};

#[async_trait]
impl SharedUploads for LocalStore {
    async fn begin(&self, path: &StorePath, expected_size: Option<u64>) -> Result<UploadId, StorageError> {
        let site = self.site(path)?;
        let (dir, leaf) = self.root.make_parent(path).map_err(site.on_write("begin"))?;
        let temp = Temp::for_upload(&self.root, dir, leaf, expected_size).map_err(site.io("begin"))?;
        Ok(UploadId(temp.leave()))
    }

    async fn join(&self, path: &StorePath, id: &UploadId) -> Result<Box<dyn SharedUpload>, StorageError> {
        let site = self.site(path)?;
        let (dir, _) =
            self.root.open().and_then(|root| beneath::open_parent(&root, path)).map_err(site.on_write("join"))?;
        let file = self.open_upload(&site, &dir, id, "join")?;
        Ok(Box::new(Hand { root: self.root.clone(), site, file, unflushed: 0 }))
    }

    async fn complete(
        &self,
        path: &StorePath,
        id: &UploadId,
        size: u64,
        when: Precondition,
    ) -> Result<ObjectMeta, StorageError> {
        let site = self.site(path)?;
        let (dir, _) = self.root.make_parent(path).map_err(site.on_write("complete"))?;
        let file = self.open_upload(&site, &dir, id, "complete")?;
        let found = file.metadata().map_err(site.io("complete"))?.len();
        if found > size {
            return Err(StorageError::LostWrite { path: path.clone(), expected: size, found });
        }
        let temp = Temp::found(&self.root, dir, id.0.clone(), file, size).map_err(site.io("complete"))?;
        publish::place(&site, temp, site.leaf(), &when)?;
        Ok(site.meta(size))
    }

    async fn abort(&self, path: &StorePath, id: &UploadId) -> Result<(), StorageError> {
        let site = self.site(path)?;
        check(&site, id).map_err(site.io("abort"))?;
        let dir = match self.root.open().and_then(|root| beneath::open_parent(&root, path)) {
            Ok((dir, _)) => dir,
            // With its directory it is gone, too.
            Err(Blocked::Missing | Blocked::BelowFile) => return Ok(()),
            Err(other) => return Err(site.on_write("abort")(other)),
        };
        temp::unless_gone(self.root.disk.remove(&dir, &id.0)).map_err(site.io("abort"))
    }
}

impl LocalStore {
    /// The hidden file of an upload, in its directory.
    fn open_upload(
        &self,
        site: &Site,
        dir: &File,
        id: &UploadId,
        operation: &'static str,
    ) -> Result<File, StorageError> {
        let opened = check(site, id).and_then(|()| self.root.disk.open_file(dir, &id.0));
        opened.map_err(site.io(operation))
    }
}

struct Hand {
    root: Root,
    site: Site,
    file: File,
    unflushed: u64,
}

#[async_trait]
impl SharedUpload for Hand {
    async fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        let written = self.root.disk.write_at(&self.file, offset, data);
        let flushed = written.and_then(|()| self.root.flush_behind(&self.file, &mut self.unflushed, data.len()));
        flushed.map_err(self.site.io("write"))
    }

    async fn flush(self: Box<Self>) -> Result<(), StorageError> {
        self.root.sync_file(&self.file).map_err(self.site.io("flush"))
    }
}

/// Whether an id, which others have sent, is the name of a hidden file of this very object.
fn check(site: &Site, UploadId(name): &UploadId) -> io::Result<()> {
    match temp::may_become(name, site.leaf()) {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::NotFound, format!("{name:?} is no upload of it"))),
    }
}
