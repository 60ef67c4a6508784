//! The meshes of the demo, and how tensors lie over them.

use std::sync::Arc;
use std::thread;

use dcp::Placement::{self, Replicate, Shard, StridedShard};
use dcp::{DeviceMesh, Error, TensorSpec, ThreadGroup, ThreadRank, TypesError};

use super::model::Tensor;
use crate::failure::Failure;

/// So few elements are not worth cutting.
const FEW: u64 = 64;

/// Ranks, each a thread.
pub(super) struct Cluster {
    mesh: Arc<DeviceMesh>,
    /// What is said of it in the report.
    pub(super) title: &'static str,
    place: fn(&[u64]) -> Vec<Placement>,
}

impl Cluster {
    /// 8 ranks that train: 4 ways of FSDP over 2 ways of tensor parallelism.
    pub(super) fn training() -> Result<Self, TypesError> {
        // Tall matrices are cut by rows in both ways, as a layer that is parallel in its outputs; others in its inputs.
        let place = |shape: &[u64]| match *shape {
            [rows, columns, ..] if rows >= columns => vec![StridedShard { dim: 0, split_factor: 2 }, Shard(0)],
            [_, _, ..] => vec![Shard(0), Shard(1)],
            [length] if length > FEW => vec![Shard(0), Replicate],
            _ => vec![Replicate, Replicate],
        };
        Self::new(&[4, 2], &["dp", "tp"], "8 ranks on a 4 x 2 mesh (FSDP over tensor parallelism)", place)
    }

    /// 3 ranks, by rows.
    pub(super) fn line() -> Result<Self, TypesError> {
        let place = |shape: &[u64]| match *shape {
            [_, _, ..] => vec![Shard(0)],
            [length] if length > FEW => vec![Shard(0)],
            _ => vec![Replicate],
        };
        Self::new(&[3], &["dp"], "3 ranks (by rows)", place)
    }

    /// 2 x 3 ranks, by columns and then by rows.
    pub(super) fn rectangle() -> Result<Self, TypesError> {
        let place = |shape: &[u64]| match *shape {
            [_, _, ..] => vec![Shard(1), Shard(0)],
            [length] if length > FEW => vec![Replicate, Shard(0)],
            _ => vec![Replicate, Replicate],
        };
        Self::new(&[2, 3], &["tp", "dp"], "6 ranks on a 2 x 3 mesh (by columns, then by rows)", place)
    }

    fn new(
        shape: &[u32],
        names: &[&str],
        title: &'static str,
        place: fn(&[u64]) -> Vec<Placement>,
    ) -> Result<Self, TypesError> {
        let mesh = DeviceMesh::new(shape.iter().copied())?.with_names(names.iter().copied())?;
        Ok(Self { mesh: Arc::new(mesh), title, place })
    }

    /// How a tensor lies over the ranks. Each has one part of it, or none.
    pub(super) fn spec(&self, tensor: &Tensor) -> Result<TensorSpec, TypesError> {
        let placements = (self.place)(tensor.shape.dims());
        TensorSpec::sharded(tensor.dtype, &tensor.shape, &self.mesh, placements)
    }

    /// The placements of a tensor, for people.
    pub(super) fn placements(&self, tensor: &Tensor) -> String {
        let placements: Vec<_> = (self.place)(tensor.shape.dims()).iter().map(ToString::to_string).collect();
        placements.join(", ")
    }

    /// Does something on every rank at once. The error is the one that tells most.
    pub(super) fn run<R: Send>(
        &self,
        body: impl Fn(&ThreadRank) -> Result<R, Error> + Sync,
    ) -> Result<Vec<R>, Failure> {
        let outcomes = self.try_run(body);
        let mut results = Vec::with_capacity(outcomes.len());
        let mut others = None;
        for outcome in outcomes {
            match outcome {
                Ok(result) => results.push(result),
                // Just that another rank has failed: that rank knows more.
                Err(Failure::Checkpoint(error @ Error::Collective(_))) => others = Some(error),
                Err(failure) => return Err(failure),
            }
        }
        others.map_or(Ok(results), |error| Err(error.into()))
    }

    /// The same, with the outcome of every rank.
    pub(super) fn try_run<R: Send>(
        &self,
        body: impl Fn(&ThreadRank) -> Result<R, Error> + Sync,
    ) -> Vec<Result<R, Failure>> {
        let outcome = |(rank, ended): (usize, thread::Result<Result<R, Error>>)| match ended {
            Ok(result) => result.map_err(Failure::from),
            Err(_) => Err(Failure::Impossible(format!("rank {rank} panicked"))),
        };
        let ended = ThreadGroup::run(self.mesh.size() as usize, |rank| body(&rank));
        ended.into_iter().enumerate().map(outcome).collect()
    }
}
