//! Cases of planning.

use std::sync::Arc;

use dcp_default_planner::{DefaultLoadPlanner, DefaultSavePlanner};
use dcp_planner::{Declared, LoadPlanner as _, SavePlanner as _};
use dcp_types::{DeviceMesh, GlobalPlan, Placement, StateTarget, TargetTensor, TensorSpec, ViewMut, flatten_target};

use crate::counted::counted;
use crate::{Failure, model};

/// What one rank declares, of tensors on a mesh.
pub(crate) fn local_plan(ranks: u32, tensors: usize) -> Result<usize, Failure> {
    let rank = ranks / 2;
    let state = model::state(&model::specs_by_mesh(ranks, tensors)?, rank)?;
    let (planner, context) = (DefaultSavePlanner::new(), model::context(rank, ranks));
    Ok(counted(&|| planner.local_plan(&state, &context))?.tensors.items().len())
}

/// Who writes what.
pub(crate) fn global_plan(declared: &[Declared]) -> Result<usize, Failure> {
    Ok(counted(&|| plan(declared))?.metadata().len())
}

/// What one rank of another mesh reads of each tensor.
pub(crate) fn load_plan(declared: &[Declared], ranks: u32) -> Result<usize, Failure> {
    let plan = plan(declared)?;
    let metadata = plan.metadata();
    let (mesh, rank) = (Arc::new(DeviceMesh::new([ranks])?), ranks / 2);
    let mut buffers = Vec::new();
    for (fqn, entry) in metadata.entries() {
        let Some(tensor) = entry.as_tensor() else { continue };
        let spec = TensorSpec::sharded(tensor.dtype, &tensor.shape, &mesh, [Placement::Shard(0)])?;
        let shape = spec.local_shape(rank).unwrap_or_default();
        let bytes = vec![0u8; (shape.iter().product::<u64>() * tensor.dtype.size()) as usize];
        buffers.push((fqn.as_str().trim_start_matches("model.").to_owned(), spec, shape, bytes));
    }
    let mut model = StateTarget::new();
    for (name, spec, shape, bytes) in &mut buffers {
        let view = ViewMut::from_bytes(spec.dtype(), shape, bytes)?;
        model.insert(name.clone(), TargetTensor::new(spec.clone(), view));
    }
    let target = flatten_target(StateTarget::new().with("model", model))?;
    let (planner, context) = (DefaultLoadPlanner::new().partial(), model::context(rank, ranks));
    Ok(counted(&|| planner.local_plan(metadata, &target, &context))?.tensors.len())
}

/// The global plan of what all ranks declare.
pub(crate) fn plan(declared: &[Declared]) -> Result<GlobalPlan, Failure> {
    Ok(DefaultSavePlanner::new().global_plan(declared, &model::context(0, declared.len() as u32))?)
}
