//! How tensors are to lie over a mesh.

use dcp_types::{DeviceMesh, Fqn, Placement, Shape, ShardGrid};

use crate::Error;
use crate::pattern::Pattern;

/// A mesh, and which tensors lie over it in which way.
#[derive(Clone, Debug)]
pub(super) struct Resharding {
    pub(super) mesh: DeviceMesh,
    rules: Vec<(Pattern, Vec<Placement>)>,
}

impl Resharding {
    pub(super) fn new<P: AsRef<str>>(
        mesh: DeviceMesh,
        rules: impl IntoIterator<Item = (P, Vec<Placement>)>,
    ) -> Result<Self, Error> {
        let rules = rules.into_iter().map(|(pattern, placements)| Ok((Pattern::parse(pattern.as_ref())?, placements)));
        Ok(Self { mesh, rules: rules.collect::<Result<_, Error>>()? })
    }

    /// One placement for each dimension of the mesh: those of the first rule that matches. Where none does, the first
    /// dimension of the mesh shards the first one of the tensor, if it has one; the others replicate.
    pub(super) fn placements(&self, fqn: &Fqn, shape: &Shape) -> Vec<Placement> {
        if let Some((_, placements)) = self.rules.iter().find(|(pattern, _)| pattern.matches(fqn)) {
            return placements.clone();
        }
        let mut placements = vec![Placement::Replicate; self.mesh.shape().len()];
        if let (Some(first), false) = (placements.first_mut(), shape.dims().is_empty()) {
            *first = Placement::Shard(0);
        }
        placements
    }

    /// Whether placements fit a tensor, before anything is planned for it.
    pub(super) fn check(&self, fqn: &Fqn, shape: &Shape, placements: &[Placement]) -> Result<(), Error> {
        let grid = ShardGrid::new(shape.clone(), self.mesh.clone().into(), placements.to_vec());
        grid.map(drop).map_err(|fault| dcp_planner::PlanError::types(fqn, fault).into())
    }
}
