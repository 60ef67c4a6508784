//! Reads past the page cache.

use std::collections::HashSet;
use std::io;
use std::sync::{Mutex, PoisonError};

use dcp_storage::ReadRange;

use crate::beneath::{self, OpenObject};

/// Keeps the system from answering reads out of its memory.
#[derive(Debug, Default)]
pub(crate) struct Cold {
    /// The files that were dropped from memory before they were read for the first time, by device and inode.
    dropped: Mutex<HashSet<(u64, u64)>>,
}

impl Cold {
    /// Drops what the system has of a file, once. What is read ahead later has just come from the medium.
    pub(crate) fn before(&self, object: &OpenObject) -> io::Result<()> {
        let identity = beneath::identity(&object.file)?;
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        if !dropped.contains(&identity) {
            drop_range(object, 0, object.size)?;
            dropped.insert(identity);
        }
        Ok(())
    }

    /// Drops what was read.
    pub(crate) fn after(&self, object: &OpenObject, ranges: &[ReadRange<'_>]) -> io::Result<()> {
        ranges.iter().try_for_each(|range| drop_range(object, range.offset, range.buffer.len() as u64))
    }
}

#[cfg(target_os = "linux")]
fn drop_range(object: &OpenObject, offset: u64, length: u64) -> io::Result<()> {
    // No length would mean all of the rest.
    match std::num::NonZeroU64::new(length) {
        Some(length) => Ok(rustix::fs::fadvise(&object.file, offset, Some(length), rustix::fs::Advice::DontNeed)?),
        None => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn drop_range(_object: &OpenObject, _offset: u64, _length: u64) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "there is no way past the page cache here"))
}
