//! The plan of one rank of another mesh.

use std::sync::Arc;

use dcp::crates::dcp_planner::PlanContext;
use dcp::crates::dcp_types::{Rank, flatten_target};
use dcp::{
    DefaultLoadPlanner, DeviceMesh, Error, LoadPlanner, Metadata, Placement, StateTarget, TargetTensor, TensorSpec,
    ViewMut,
};

use super::model::{Model, name};
use crate::failure::Failure;

/// One rank's buffers, for rows of each tensor.
pub(super) struct Load {
    rank: Rank,
    ranks: Rank,
    buffers: Vec<Buffer>,
}

struct Buffer {
    spec: TensorSpec,
    shape: Vec<u64>,
    bytes: Vec<u8>,
}

impl Load {
    /// The rank in the middle of so many.
    pub(super) fn new(model: &Model, metadata: &Metadata, ranks: Rank) -> Result<Self, Failure> {
        let mesh = Arc::new(DeviceMesh::new([ranks])?);
        let rank = ranks / 2;
        let mut buffers = Vec::with_capacity(model.tensors());
        for number in 0..model.tensors() {
            let fqn = format!("model.{}", name(number));
            let tensor = metadata.tensor(&fqn).ok_or_else(|| Failure::Bad(format!("{fqn} is not in the index")))?;
            let spec = TensorSpec::sharded(tensor.dtype, &tensor.shape, &mesh, [Placement::Shard(0)])?;
            let shape = spec.local_shape(rank).unwrap_or_default();
            // Zeroed by the system when touched, which planning does not.
            let bytes = vec![0; (shape.iter().product::<u64>() * tensor.dtype.size()) as usize];
            buffers.push(Buffer { spec, shape, bytes });
        }
        Ok(Self { rank, ranks, buffers })
    }

    /// How many reads the rank needs.
    pub(super) fn plan(mut self, metadata: &Metadata) -> Result<u64, Failure> {
        let mut model = StateTarget::new();
        for (number, Buffer { spec, shape, bytes }) in self.buffers.iter_mut().enumerate() {
            let view = ViewMut::from_bytes(spec.dtype(), shape, bytes)?;
            model.insert(name(number), TargetTensor::new(spec.clone(), view));
        }
        let target = flatten_target(StateTarget::new().with("model", model))?;
        let ctx = PlanContext { rank: self.rank, ranks: (0..self.ranks).collect(), coordinator: 0 };
        let plan = DefaultLoadPlanner::new().partial().local_plan(metadata, &target, &ctx).map_err(Error::from)?;
        Ok(plan.tensors.iter().flat_map(|tensor| &tensor.parts).map(|part| part.reads.len() as u64).sum())
    }
}
