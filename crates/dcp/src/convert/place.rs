//! The destination: looked at before anything is read for it, and left as it was found if nothing comes of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dcp_storage::{ComposedWriter, Format, Io, StorageError, Store};

use crate::{Error, Location, formats};

/// Refuses a destination that is the source.
pub(super) fn refuse_same(from: &Location, to: &Location) -> Result<(), Error> {
    if from.is_same(to) { Err(Error::SamePlace { location: to.to_string() }) } else { Ok(()) }
}

/// Refuses a destination that holds what must not be replaced. The save does that, too, but only when much has been read.
pub(super) fn refuse_existing(
    writer: &ComposedWriter,
    store: &Arc<dyn Store>,
    format: &dyn Format,
    known: &[Arc<dyn Format>],
    overwrite: bool,
    io: &Io<'_>,
) -> Result<(), Error> {
    if format.is_one_file() {
        return Ok(io.block_on(writer.refuse_occupied())?);
    }
    // The writer knows other formats by the names of their indexes alone.
    match formats::detect(store, known, io) {
        Ok(found) if overwrite && found.name() == format.name() => Ok(()),
        Ok(found) => {
            Err(StorageError::Exists { location: store.location(), found: found.index_path().to_string() }.into())
        }
        Err(Error::Storage(error)) if is_free(&error) => Ok(io.block_on(writer.refuse_occupied())?),
        Err(error) => Err(error),
    }
}

fn is_free(error: &StorageError) -> bool {
    matches!(error, StorageError::NoCheckpoint { .. } | StorageError::Unfinished { .. })
}

/// Directories that a save makes on its way to a place.
pub(super) struct Directories(Vec<PathBuf>);

impl Directories {
    /// Those that are not there yet, innermost first.
    pub(super) fn missing(to: &Location, is_one_file: bool) -> Self {
        let Some(path) = to.path().and_then(|path| std::path::absolute(path).ok()) else { return Self(Vec::new()) };
        let innermost = if is_one_file { path.parent() } else { Some(path.as_path()) };
        let all = innermost.into_iter().flat_map(Path::ancestors);
        let is_missing = |path: &&Path| fs::symlink_metadata(path).is_err();
        Self(all.take_while(is_missing).map(Path::to_owned).collect())
    }

    /// Removes those that have nothing in them.
    pub(super) fn remove_empty(&self) {
        // The first one that cannot be removed keeps those around it.
        let _ = self.0.iter().try_for_each(fs::remove_dir);
    }
}
