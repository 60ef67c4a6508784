//! The few system calls that change what is on the disk.
//!
//! They stand behind a trait for one reason: the tests record their order, replay it on a simulated disk that loses
//! what was not flushed, and make each of them fail in turn (`crash.rs`).

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use rustix::fs::{AtFlags, Mode, OFlags, linkat, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

/// What changes a disk.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// Makes a directory.
    fn make_dir(&self, parent: &File, name: &OsStr) -> io::Result<()>;
    /// Makes a file that was not there, for writing.
    fn make_file(&self, dir: &File, name: &str) -> io::Result<File>;
    /// Opens a file that is there, for writing.
    fn open_file(&self, dir: &File, name: &str) -> io::Result<File>;
    /// Appends to a file.
    fn write(&self, file: &File, data: &[u8]) -> io::Result<()>;
    /// Writes to a file from a byte on.
    fn write_at(&self, file: &File, offset: u64, data: &[u8]) -> io::Result<()>;
    /// Makes what a file holds survive a crash. Not its name.
    fn sync_file(&self, file: &File) -> io::Result<()>;
    /// Renames, and fails with `AlreadyExists` rather than replace anything.
    fn rename_new(&self, dir: &File, from: &str, to: &str) -> io::Result<()>;
    /// Renames, and replaces what bears the new name in the same step.
    fn rename_over(&self, dir: &File, from: &str, to: &str) -> io::Result<()>;
    /// Removes a name.
    fn remove(&self, dir: &File, name: &str) -> io::Result<()>;
    /// Makes the names in a directory survive a crash.
    fn sync_dir(&self, dir: &File) -> io::Result<()>;
}

/// The disk of this machine.
#[derive(Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn make_dir(&self, parent: &File, name: &OsStr) -> io::Result<()> {
        Ok(mkdirat(parent, name, Mode::from_raw_mode(0o777))?)
    }

    fn make_file(&self, dir: &File, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(dir, name, flags, Mode::from_raw_mode(0o666))?.into())
    }

    fn open_file(&self, dir: &File, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(openat(dir, name, flags, Mode::empty())?.into())
    }

    fn write(&self, mut file: &File, data: &[u8]) -> io::Result<()> {
        file.write_all(data)
    }

    fn write_at(&self, file: &File, offset: u64, data: &[u8]) -> io::Result<()> {
        file.write_all_at(data, offset)
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename_new(&self, dir: &File, from: &str, to: &str) -> io::Result<()> {
        match rename_noreplace(dir, from, to) {
            // Not for this kernel, or (NFS, Lustre) not for this file system.
            Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => link_new(dir, from, to),
            result => Ok(result?),
        }
    }

    fn rename_over(&self, dir: &File, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(dir, from, dir, to)?)
    }

    fn remove(&self, dir: &File, name: &str) -> io::Result<()> {
        Ok(unlinkat(dir, name, AtFlags::empty())?)
    }

    fn sync_dir(&self, dir: &File) -> io::Result<()> {
        match dir.sync_all() {
            // Some network and user-space file systems have no such call, nothing to flush either.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
            result => result,
        }
    }
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_noreplace(dir: &File, from: &str, to: &str) -> Result<(), Errno> {
    rustix::fs::renameat_with(dir, from, dir, to, rustix::fs::RenameFlags::NOREPLACE)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename_noreplace(_: &File, _: &str, _: &str) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

/// The same in two steps: a link never replaces anything. In between the file has both names.
pub(crate) fn link_new(dir: &File, from: &str, to: &str) -> io::Result<()> {
    match linkat(dir, from, dir, to, AtFlags::empty()) {
        // A network file system that lost a response asks again, and is told of its own link.
        Err(Errno::EXIST) if same_file(dir, from, to)? => {}
        result => result?,
    }
    // The object is in place; a hidden second name of it is no reason to say otherwise.
    let _ = unlinkat(dir, from, AtFlags::empty());
    Ok(())
}

fn same_file(dir: &File, one: &str, other: &str) -> io::Result<bool> {
    let stat = |name| rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
    let (one, other) = (stat(one)?, stat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}
