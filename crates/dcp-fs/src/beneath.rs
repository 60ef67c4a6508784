//! Finding things below the root without ever leaving it.
//!
//! A path is walked component by component, each opened relative to the directory before it and never through a
//! symbolic link. That holds against links put in place while we walk, needs no particular kernel
//! (`openat2` would do the same in one call, but not everywhere), and costs one system call for each level.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use dcp_storage::StorePath;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;

/// Why there is no way to an object.
#[derive(Debug)]
pub(crate) enum Blocked {
    /// It, or a directory on the way, does not exist.
    Missing,
    /// A component on the way is a regular file, so nothing can be below it.
    BelowFile,
    /// It, or a component on the way, is neither a directory nor a regular file.
    Foreign(&'static str),
    /// The system says no.
    Io(io::Error),
}

impl From<io::Error> for Blocked {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Missing } else { Self::Io(error) }
    }
}

impl From<Errno> for Blocked {
    fn from(errno: Errno) -> Self {
        io::Error::from(errno).into()
    }
}

/// What bears a name.
#[derive(Debug)]
pub(crate) enum Found {
    Object { size: u64 },
    Foreign(&'static str),
}

/// An object, open for positional reads.
#[derive(Debug)]
pub(crate) struct OpenObject {
    pub(crate) file: File,
    /// In bytes, when it was opened.
    pub(crate) size: u64,
}

/// Opens the root, through links if need be.
pub(crate) fn open_root(path: &Path) -> Result<File, Blocked> {
    Ok(rustix::fs::open(path, DIRECTORY, Mode::empty())?.into())
}

/// Opens the directory of an object. The other half is the object's name in it.
pub(crate) fn open_parent<'a>(root: &File, path: &'a StorePath) -> Result<(File, &'a str), Blocked> {
    let (parents, leaf) = split(path);
    Ok((open_directory(root, parents)?, leaf))
}

/// Opens the directory at these components, joined by `/`; the root itself where there are none.
pub(crate) fn open_directory(root: &File, components: Option<&str>) -> Result<File, Blocked> {
    let mut dir = root.try_clone()?;
    for name in components.iter().flat_map(|components| components.split('/')) {
        dir = step(&dir, name)?;
    }
    Ok(dir)
}

/// Opens a directory in a directory.
pub(crate) fn step(dir: &File, name: &str) -> Result<File, Blocked> {
    match openat(dir, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(next) => Ok(next.into()),
        Err(Errno::NOTDIR | Errno::LOOP) => match look(dir, name)? {
            Some(Found::Object { .. }) => Err(Blocked::BelowFile),
            Some(Found::Foreign(LINK)) => Err(Blocked::Foreign("behind a symbolic link")),
            Some(Found::Foreign(DIR)) => Err(Blocked::Foreign("behind a name that is being changed")),
            Some(Found::Foreign(found)) => Err(Blocked::Foreign(found)),
            None => Err(Blocked::Missing),
        },
        Err(errno) => Err(errno.into()),
    }
}

/// Opens an object for reading.
pub(crate) fn open_object(root: &File, path: &StorePath) -> Result<OpenObject, Blocked> {
    match split(path) {
        (None, leaf) => open_file(root, leaf, OFlags::RDONLY),
        (parents, leaf) => open_file(&open_directory(root, parents)?, leaf, OFlags::RDONLY),
    }
}

/// Opens a regular file in a directory. Never follows a link, never waits for the other end of a pipe.
pub(crate) fn open_file(dir: &File, leaf: &str, access: OFlags) -> Result<OpenObject, Blocked> {
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match openat(dir, leaf, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        // Links, sockets and directories (opened to write) fail with errors of their own; say what is there instead.
        Err(errno) => match look(dir, leaf)? {
            Some(Found::Foreign(found)) => return Err(Blocked::Foreign(found)),
            Some(Found::Object { .. }) | None => return Err(errno.into()),
        },
    };
    match found(&fstat(&file)?) {
        Found::Object { size } => Ok(OpenObject { file, size }),
        Found::Foreign(found) => Err(Blocked::Foreign(found)),
    }
}

/// What bears this name, if anything.
pub(crate) fn look(dir: &File, name: &str) -> io::Result<Option<Found>> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(found(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// The same directory, open for reading its entries and for flushing it.
pub(crate) fn readable(dir: &File) -> io::Result<File> {
    Ok(openat(dir, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?.into())
}

/// Which file this is, whatever its name.
pub(crate) fn identity(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

pub(crate) fn split(path: &StorePath) -> (Option<&str>, &str) {
    match path.as_str().rsplit_once('/') {
        Some((parents, leaf)) => (Some(parents), leaf),
        None => (None, path.as_str()),
    }
}

/// Linux can hold on to a directory that one may pass through but not read.
#[cfg(target_os = "linux")]
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

const LINK: &str = "a symbolic link";
const DIR: &str = "a directory";

fn found(stat: &Stat) -> Found {
    Found::Foreign(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return Found::Object { size: stat.st_size.try_into().unwrap_or(0) },
        FileType::Directory => DIR,
        FileType::Symlink => LINK,
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "something unknown",
    })
}
