//! Values, looked at before anything is written: what they are is part of the plan, and one that the format cannot hold is
//! an error while nothing has been done yet.

use dcp_storage::{Format, StorageError};
use dcp_types::{Digest, Fqn, ValueDecl};

use super::cancel::Cancel;
use super::select::Chosen;
use crate::{Checkpoint, Error};

/// Reads each chosen value and declares it. One at a time is in memory.
pub(super) fn declare(
    source: &Checkpoint,
    chosen: &[Chosen],
    format: &dyn Format,
    cancel: &Cancel,
) -> Result<Vec<ValueDecl>, Error> {
    let mut declared = Vec::new();
    for chosen in chosen {
        let entry = source.metadata().entry(chosen.entry).map(|(_, entry)| entry);
        if entry.is_none_or(|entry| entry.as_tensor().is_some()) {
            continue;
        }
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        for value in source.values(&[chosen.entry]).map_err(|error| of(chosen, error))? {
            let fqn = chosen.path.fqn();
            let encoded = format.encode_value(&fqn, &value).map_err(|error| named(&fqn, error))?;
            let (path, object) = (chosen.path.clone(), value.has_opaque());
            declared.push(ValueDecl { path, object, content: Digest::of(&encoded) });
        }
    }
    Ok(declared)
}

/// An error with the name of the value.
fn of(chosen: &Chosen, error: Error) -> Error {
    match error {
        Error::Storage(source) => Error::Source { fqn: chosen.path.fqn(), source },
        other => other,
    }
}

/// An error of a format, with the name of the value if it has none.
fn named(fqn: &Fqn, error: StorageError) -> StorageError {
    match error {
        StorageError::Unsupported { format, what } if !what.contains(fqn.as_str()) => {
            StorageError::Unsupported { format, what: format!("{fqn}: {what}") }
        }
        other => other,
    }
}
