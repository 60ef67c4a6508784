//! Finds out whether a checkpoint is whole and sound.

mod chunks;
mod overlaps;
mod report;
mod run;
mod values;

pub use report::{Audit, Defect, Foreign, Verdict};

use std::fmt;
use std::time::Instant;

use dcp_storage::{StorageError, Strictness};

use crate::{Checkpoint, Error, Location, Opener};
use run::Run;

/// Audits checkpoints: looks at every chunk and every value, and lists all that is wrong.
///
/// ```
/// use dcp::{Auditor, MemoryStore, Saver, StateDict, Verdict};
/// let store = MemoryStore::new();
/// Saver::new().save_dict(&StateDict::new().with("step", 7), store.clone())?;
///
/// let audit = Auditor::new().audit(store)?;
/// for defect in &audit.defects {
///     eprintln!("{:?} in {:?}: {}", defect.fqn, defect.file, defect.message);
/// }
/// assert_eq!(audit.verdict(), Verdict::Sound);
/// assert_eq!(audit.checked, audit.bytes);
/// # Ok::<(), dcp::Error>(())
/// ```
///
/// # What is found
/// * What the index says that cannot be right: holes, overlaps, chunks out of bounds.
/// * Files that are missing, of a wrong size, or no files; headers and tables of checksums that are damaged.
/// * Bytes that are not what their checksum says. How many bytes have one is the format's business: natively all of them; in
///   PyTorch's formats most, but not those of safetensors, nor of archives written without.
/// * Values that do not decode, or that would do harm where they are decoded. What of a value is foreign is listed
///   as well, but is no defect.
/// * Bytes of a file that two chunks or values claim that are not one and the same place.
///
/// Of what went through a transform that is not known only the bytes that are stored are looked at; if the format has no checksums of those, that
/// is a defect.
///
/// What nothing refers to (padding, files beside) is not looked at.
///
/// # What it costs
/// Every byte of chunks and values is read once; what lies in a part that is bad may be read a few times, to find out which item it
/// is. In memory there are the index, some tens of MiB, and the largest single value.
pub struct Auditor<'p> {
    quick: bool,
    opener: Opener,
    progress: &'p (dyn Fn(u64) + Send + Sync),
}

impl Default for Auditor<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'p> Auditor<'p> {
    /// An audit that reads everything.
    #[must_use]
    pub fn new() -> Self {
        Self { quick: false, opener: Opener::new(), progress: &|_| {} }
    }

    /// Only finds out where everything lies, and that it is there: reads the index, headers and tables of checksums, but no chunk
    /// and no value. What is foreign in values is not listed then.
    #[must_use]
    pub fn quick(mut self, quick: bool) -> Self {
        self.quick = quick;
        self
    }

    /// Opens checkpoints in another way: with more formats, with more transforms.
    #[must_use]
    pub fn opener(mut self, opener: Opener) -> Self {
        self.opener = opener;
        self
    }

    /// Tells how many bytes have been read since it was told last, now and then and from any thread.
    #[must_use]
    pub fn progress<'q>(self, progress: &'q (dyn Fn(u64) + Send + Sync)) -> Auditor<'q> {
        Auditor { quick: self.quick, opener: self.opener, progress }
    }

    /// Audits the checkpoint at a place.
    ///
    /// # Errors
    /// Only if there is nothing to look at, or no way to it: [`Error::Storage`] with [`StorageError::NoCheckpoint`] or
    /// [`StorageError::Io`], or with [`StorageError::Overwritten`] if it was replaced meanwhile; [`Error::Location`]. All that is
    /// wrong with the checkpoint itself is in the [`Audit`], be it that its index cannot be read.
    pub fn audit(&self, at: impl Into<Location>) -> Result<Audit, Error> {
        let start = Instant::now();
        let store = at.into().store()?;
        let mut audit = Audit::new(store.location());
        match Checkpoint::open_in(store, Strictness::Salvage, self.opener.formats()) {
            Ok(checkpoint) => audit = Run::new(&checkpoint, self).finish()?,
            Err(error) if error.is_bad_checkpoint() => audit.defects.extend(Defect::new(&error)),
            Err(error) => return Err(error),
        }
        audit.elapsed = start.elapsed();
        Ok(audit)
    }
}

impl fmt::Debug for Auditor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auditor").field("quick", &self.quick).finish_non_exhaustive()
    }
}

/// What the storage says, if what went wrong is one item's affair: the checkpoint's own fault, or I/O.
fn of_item(error: &Error) -> Option<&StorageError> {
    match error {
        Error::Storage(error) if error.is_bad_checkpoint() || matches!(**error, StorageError::Io { .. }) => Some(error),
        _ => None,
    }
}
