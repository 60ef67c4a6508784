//! Saving from every rank of a cluster.

use std::path::Path;

use dcp::crates::dcp_types::{StateLeaf, unflatten};
use dcp::{Collective, Error, LocalTensor, SaveReport, Saver, StateDict, TensorSpec, TypesError, View};

use super::cluster::Cluster;
use super::model::{Leaf, Model, Tensor};
use crate::failure::Failure;

/// Saves a model; the report is the coordinator's, with the time of the rank that took longest.
pub(super) fn save(model: &Model, cluster: &Cluster, dir: &Path) -> Result<SaveReport, Failure> {
    let reports = cluster.run(|rank| {
        let state = state(model, cluster, rank.rank() as u32)?;
        Saver::new().group(rank).save_dict(&state, dir)
    })?;
    let slowest = reports.iter().map(|report| report.elapsed).max().unwrap_or_default();
    let mut report = reports.into_iter().next().ok_or_else(|| Failure::Impossible("there are no ranks".into()))?;
    report.elapsed = slowest;
    Ok(report)
}

/// What a rank holds: views into the model.
fn state<'m>(model: &'m Model, cluster: &Cluster, rank: u32) -> Result<StateDict<'m>, Error> {
    let mut leaves = Vec::with_capacity(model.leaves.len());
    for (path, leaf) in &model.leaves {
        let leaf = match leaf {
            Leaf::Value(value) => StateLeaf::Value(value.clone()),
            Leaf::Tensor(tensor) => {
                let spec = cluster.spec(tensor)?;
                let part = part(tensor, &spec, rank)?;
                StateLeaf::Tensor(Box::new(LocalTensor::new(spec, part)))
            }
        };
        leaves.push((path.clone(), leaf));
    }
    Ok(unflatten(leaves)?)
}

/// The part of a tensor that a rank holds.
pub(super) fn part<'m>(tensor: &'m Tensor, spec: &TensorSpec, rank: u32) -> Result<View<'m>, TypesError> {
    match spec.parts(rank).first() {
        Some(part) => tensor.view()?.slice(&part.region),
        None => View::from_bytes(tensor.dtype, &spec.local_shape(rank).unwrap_or_default(), &[]),
    }
}
