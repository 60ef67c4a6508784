//! The same bytes as a checkpoint.

use std::sync::Arc;

use dcp::{
    DType, Loader, LocalTensor, NativeFormat, Saver, StateDict, StateTarget, Store, TargetTensor, TensorSpec, Verify,
    View, ViewMut,
};

use super::Shape;
use crate::failure::Failure;

/// Saves all memory, into as many files as jobs.
pub(super) fn save(store: &Arc<dyn Store>, shape: Shape, memory: &[u8]) -> Result<(), Failure> {
    let mut state = StateDict::new();
    for (number, bytes) in memory.chunks(shape.tensor).enumerate() {
        let view = View::from_bytes(DType::UInt8, &[bytes.len() as u64], bytes)?;
        state.insert(format!("tensor.{number}"), LocalTensor::new(spec(bytes.len())?, view));
    }
    let format = NativeFormat::new().files_per_rank(shape.jobs as u32);
    Saver::new().format(format).threads(shape.jobs).save_dict(&state, Arc::clone(store))?;
    Ok(())
}

/// Loads it where it was.
pub(super) fn load(store: &Arc<dyn Store>, shape: Shape, memory: &mut [u8], verify: Verify) -> Result<(), Failure> {
    let mut target = StateTarget::new();
    for (number, bytes) in memory.chunks_mut(shape.tensor).enumerate() {
        let length = bytes.len();
        let view = ViewMut::from_bytes(DType::UInt8, &[length as u64], bytes)?;
        target.insert(format!("tensor.{number}"), TargetTensor::new(spec(length)?, view));
    }
    Loader::new().threads(shape.jobs).verify(verify).load_into(target, Arc::clone(store))?;
    Ok(())
}

fn spec(length: usize) -> Result<TensorSpec, Failure> {
    Ok(TensorSpec::replicated(DType::UInt8, [length as u64])?)
}
