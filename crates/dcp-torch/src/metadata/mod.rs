//! PyTorch's index of a checkpoint: `.metadata`, or one `__N.metadata` a rank.
//!
//! The pickle is read with a strict vocabulary ([`words`]: everything that PyTorch 2.0 to 2.15 writes, nothing else) into compact objects
//! ([`states`]); each file becomes drafts of its entries ([`draft`]); the files of several ranks are joined ([`merge`]); what is left
//! must be a sound state dict, every tensor covered exactly once, and becomes the [`Index`]. What is written ([`write`]) is one file.

mod draft;
mod extents;
mod flaw;
mod generation;
mod index;
mod lists;
mod merge;
mod names;
mod outline;
mod scope;
mod states;
mod storage;
#[cfg(test)]
mod tests;
mod texts;
mod words;
mod write;

use bytes::Bytes;
use dcp_storage::{Finding, StorageError, StorePath, Strictness};

pub(crate) use generation::generation;
pub(crate) use index::{Index, Place};
pub(crate) use scope::Scope;
pub(crate) use write::{Places, encode};

use draft::Files;
use flaw::Findings;

/// Decodes the index of a checkpoint from its one file, or from the files of its ranks in the order of ranks.
///
/// # Errors
/// [`StorageError::Corrupt`], [`StorageError::Unreadable`] or [`StorageError::InvalidPath`] for the first fault.
pub(crate) fn decode(
    files: &[(StorePath, Bytes)],
    strictness: Strictness,
) -> Result<(Index, Vec<Finding>), StorageError> {
    let mut findings = Findings::new(strictness);
    let mut names = Files::default();
    let mut drafts = Vec::with_capacity(files.len());
    for (path, bytes) in files {
        drafts.push((path, draft::read(path, bytes, &mut names, &mut findings)?));
    }
    let index = index::build(merge::merge(drafts, &mut findings)?, names, &mut findings)?;
    Ok((index, findings.into_list()))
}
