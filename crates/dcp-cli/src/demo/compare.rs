//! Comparing bytes.

use std::path::Path;
use std::time::{Duration, Instant};

use dcp::{Checkpoint, OwnedTensor, TypesError, View};

use super::model::Model;
use crate::failure::Failure;

/// How many bytes are compared at a time.
const SPAN: usize = 1 << 18;

/// Whether a loaded buffer has other bytes than the part of the model that it should be.
pub(super) fn differs(expected: &View<'_>, found: &OwnedTensor) -> Result<bool, TypesError> {
    if expected.nbytes() != found.bytes().len() as u64 {
        return Ok(true);
    }
    let mut buffer = vec![0; SPAN.min(found.bytes().len())];
    for (number, span) in found.bytes().chunks(SPAN).enumerate() {
        let buffer = &mut buffer[..span.len()];
        expected.read_at((number * SPAN) as u64, buffer)?;
        if buffer != span {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads every tensor whole, one after the other, and compares every byte. Returns how long that took.
pub(super) fn whole_tensors(model: &Model, dir: &Path) -> Result<Duration, Failure> {
    let start = Instant::now();
    let checkpoint = Checkpoint::open(dir)?;
    for (fqn, tensor) in model.tensors() {
        let found = checkpoint.tensor(fqn.as_str())?;
        if found.dtype() != tensor.dtype || *found.shape() != tensor.shape || found.bytes() != tensor.bytes {
            return Err(Failure::Bad(format!("{fqn} was read whole, but not as it was saved")));
        }
    }
    Ok(start.elapsed())
}
