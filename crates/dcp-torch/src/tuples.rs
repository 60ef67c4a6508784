//! Tuples, into which PyTorch does not look when it flattens a state (`_traverse.py`): whatever is in them is one value.

use dcp_storage::StorageError;
use dcp_types::{GlobalPlan, Segment};

/// Refuses a tensor or dict inside a tuple: it would not be found again under its name.
pub(crate) fn refuse(plan: &GlobalPlan, format: &'static str) -> Result<(), StorageError> {
    let in_tuple = |step: &Segment| matches!(step, Segment::TupleItem(_));
    match plan.metadata().entries().find(|(_, entry)| entry.path.segments().iter().any(in_tuple)) {
        Some((_, entry)) => {
            let what = format!("{}: a tensor or dict inside a tuple; use a list", entry.path);
            Err(StorageError::Unsupported { format, what })
        }
        None => Ok(()),
    }
}
