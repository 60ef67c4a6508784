//! An object before it has its name.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;

use crate::root::Root;

/// Whether a component of a path is one of ours.
pub(crate) fn is_reserved(component: &str) -> bool {
    component.starts_with(PREFIX)
}

/// The name of the object that a file of ours is an upload of, if its name tells.
pub(crate) fn upload_of(name: &str) -> Option<&str> {
    let (unique, leaf) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let ours = unique.len() == UNIQUE && unique.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (ours && !is_reserved(leaf)).then_some(leaf)
}

/// Whether a file of ours of this name may be an upload of the object with this name.
pub(crate) fn may_become(name: &str, leaf: &str) -> bool {
    is_reserved(name) && !name.contains('/') && upload_of(name).is_none_or(|of| of == leaf)
}

/// A hidden file in the directory of the object that it is to become. Dropped before that, it is removed.
#[derive(Debug)]
pub(crate) struct Temp {
    root: Root,
    dir: File,
    name: String,
    file: File,
    written: u64,
    unflushed: u64,
    reserved: u64,
    /// A write has failed, and nobody knows how much of it is there.
    torn: bool,
    /// Whoever has written it has flushed it as well.
    flushed_by_others: bool,
    placed: bool,
}

impl Temp {
    /// A file for the upload of an object with this name. The name tells so, for [`upload_of`], unless that would make it
    /// longer than the file system takes.
    pub(crate) fn for_upload(root: &Root, dir: File, leaf: &str, expected_size: Option<u64>) -> io::Result<Self> {
        let made = make(root, &dir, |unique| format!("{PREFIX}{unique}-{leaf}"));
        let made = match made {
            Err(error) if error.kind() == io::ErrorKind::InvalidFilename => make(root, &dir, unnamed),
            made => made,
        };
        Ok(Self::new(root, dir, made?, expected_size))
    }

    /// The file of an upload that somebody has [left](Self::leave), which others have written and flushed since. It gets this
    /// size, if it is shorter.
    pub(crate) fn found(root: &Root, dir: File, name: String, file: File, size: u64) -> io::Result<Self> {
        let flushed_by_others = file.metadata()?.len() == size;
        if !flushed_by_others {
            file.set_len(size)?;
        }
        let mut temp = Self::new(root, dir, (name, file), None);
        (temp.written, temp.flushed_by_others) = (size, flushed_by_others);
        Ok(temp)
    }

    /// Leaves the file as it is, for others to go on with. Returns its name.
    pub(crate) fn leave(mut self) -> String {
        self.placed = true;
        std::mem::take(&mut self.name)
    }

    /// A file for something that is published.
    pub(crate) fn for_publish(root: &Root, dir: File) -> io::Result<Self> {
        let made = make(root, &dir, unnamed)?;
        Ok(Self::new(root, dir, made, None))
    }

    fn new(root: &Root, dir: File, (name, file): (String, File), expected_size: Option<u64>) -> Self {
        let reserved = expected_size.filter(|&size| size >= WORTH_RESERVING && reserve(&file, size)).unwrap_or(0);
        let (root, torn, flushed_by_others, placed) = (root.clone(), false, false, false);
        Self { root, dir, name, file, written: 0, unflushed: 0, reserved, torn, flushed_by_others, placed }
    }

    /// Appends, straight from the caller's memory.
    pub(crate) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        let written = self.root.disk.write(&self.file, data);
        // What a flush could not save, no later one will tell of.
        let result = written.and_then(|()| self.root.flush_behind(&self.file, &mut self.unflushed, data.len()));
        match result {
            Ok(()) => self.written += data.len() as u64,
            Err(_) => self.torn = true,
        }
        result
    }

    /// How many bytes have been written.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn dir(&self) -> &File {
        &self.dir
    }

    /// Makes the content survive a crash; the name follows.
    pub(crate) fn flush(&self) -> io::Result<()> {
        if self.torn {
            return Err(io::Error::other("an earlier write has failed"));
        }
        if self.written < self.reserved {
            // Gives back what was reserved beyond the end. No harm if it stays.
            let _ = self.file.set_len(self.written);
        }
        if self.flushed_by_others { Ok(()) } else { self.root.sync_file(&self.file) }
    }

    /// Gives the file its name, unless something bears it: then `AlreadyExists`, and it may be tried again.
    pub(crate) fn place_new(&mut self, leaf: &str) -> io::Result<()> {
        self.root.disk.rename_new(&self.dir, &self.name, leaf)?;
        self.placed = true;
        Ok(())
    }

    /// Gives the file its name, whatever bears it.
    pub(crate) fn place_over(&mut self, leaf: &str) -> io::Result<()> {
        self.root.disk.rename_over(&self.dir, &self.name, leaf)?;
        self.placed = true;
        Ok(())
    }

    /// Makes the name survive a crash.
    pub(crate) fn flush_name(&self) -> io::Result<()> {
        self.root.sync_dir(&self.dir)
    }

    /// Removes the file, unless somebody else has.
    pub(crate) fn remove(mut self) -> io::Result<()> {
        self.placed = true;
        unless_gone(self.root.disk.remove(&self.dir, &self.name))
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.placed {
            // Nobody to tell; what is left behind is never listed.
            let _ = self.root.disk.remove(&self.dir, &self.name);
        }
    }
}

/// It does not matter who removed something, once it is gone.
pub(crate) fn unless_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn make(root: &Root, dir: &File, name: impl Fn(&str) -> String) -> io::Result<(String, File)> {
    loop {
        let name = name(&format!("{:0UNIQUE$x}", random()));
        match root.disk.make_file(dir, &name) {
            Ok(file) => return Ok((name, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

fn unnamed(unique: &str) -> String {
    format!("{PREFIX}{unique}")
}

const PREFIX: &str = ".dcp-tmp-";

/// How many hexadecimal digits make a name unlike any other.
const UNIQUE: usize = 16;

/// In bytes. Below this the file system's own delayed allocation does as well.
const WORTH_RESERVING: u64 = 1 << 20;

/// Reserves room without changing the size: the file system can lay the object out in one piece. Only a help, so
/// whether it works is all there is to know.
#[cfg(target_os = "linux")]
fn reserve(file: &File, size: u64) -> bool {
    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, size).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn reserve(_: &File, _: u64) -> bool {
    false
}

/// Unlike any other, on this node or another: the standard library seeds its hashers from the system.
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
