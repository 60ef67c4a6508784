//! Loading on every rank of a cluster, and checking what was loaded.

use std::path::Path;

use dcp::crates::dcp_types::{Segment, StatePath, Tree, unflatten};
use dcp::{
    Collective, Error, LoadReport, Loaded, LoadedLeaf, Loader, OwnedTensor, Shape, StateTarget, TargetLeaf,
    TargetTensor, ThreadRank, TypesError, Value,
};

use super::cluster::Cluster;
use super::compare::differs;
use super::model::{Leaf, Model, Tensor};
use super::save::part;
use crate::failure::Failure;

/// Loads a model and compares every byte of it; the report is the coordinator's, with the time of the rank that took longest.
pub(super) fn load(model: &Model, cluster: &Cluster, dir: &Path) -> Result<LoadReport, Failure> {
    let ranks = cluster.run(|rank| {
        let (buffers, loaded, report) = load_on(rank, model, cluster, dir)?;
        Ok((report, difference(model, cluster, rank.rank() as u32, &buffers, &loaded)?))
    })?;
    if let Some(found) = ranks.iter().find_map(|(_, difference)| difference.as_ref()) {
        return Err(Failure::Bad(format!("{found} was loaded on {}, but not as it was saved", cluster.title)));
    }
    let slowest = ranks.iter().map(|(report, _)| report.elapsed).max().unwrap_or_default();
    let (mut report, _) = ranks.into_iter().next().ok_or_else(|| Failure::Impossible("there are no ranks".into()))?;
    report.elapsed = slowest;
    Ok(report)
}

/// Loads what one rank wants of a model: tensors into buffers, and values.
pub(super) fn load_on(
    rank: &ThreadRank,
    model: &Model,
    cluster: &Cluster,
    dir: &Path,
) -> Result<(Vec<OwnedTensor>, Loaded, LoadReport), Error> {
    let mut buffers = buffers(model, cluster, rank.rank() as u32)?;
    let target = target(model, cluster, &mut buffers)?;
    let (loaded, report) = Loader::new().group(rank).load_into(target, dir)?;
    Ok((buffers, loaded, report))
}

/// A buffer for each tensor, full of what is surely not in the checkpoint.
fn buffers(model: &Model, cluster: &Cluster, rank: u32) -> Result<Vec<OwnedTensor>, TypesError> {
    let buffer = |tensor: &Tensor| {
        let spec = cluster.spec(tensor)?;
        let mut buffer = OwnedTensor::zeros(tensor.dtype, Shape::new(spec.local_shape(rank).unwrap_or_default())?);
        buffer.bytes_mut().fill(0xa5);
        Ok(buffer)
    };
    model.tensors().map(|(_, tensor)| buffer(tensor)).collect()
}

fn target<'b>(model: &Model, cluster: &Cluster, buffers: &'b mut [OwnedTensor]) -> Result<StateTarget<'b>, TypesError> {
    let mut buffers = buffers.iter_mut();
    let mut leaves = Vec::with_capacity(model.leaves.len());
    for (path, leaf) in &model.leaves {
        let leaf = match leaf {
            Leaf::Value(_) => TargetLeaf::Value,
            Leaf::Tensor(tensor) => {
                let Some(buffer) = buffers.next() else { break };
                TargetLeaf::Tensor(Box::new(TargetTensor::new(cluster.spec(tensor)?, buffer.view_mut()?)))
            }
        };
        leaves.push((path.clone(), leaf));
    }
    unflatten(leaves)
}

/// The first tensor or value that is not as it was saved.
fn difference(
    model: &Model,
    cluster: &Cluster,
    rank: u32,
    buffers: &[OwnedTensor],
    loaded: &Loaded,
) -> Result<Option<String>, Error> {
    for ((fqn, tensor), buffer) in model.tensors().zip(buffers) {
        if differs(&part(tensor, &cluster.spec(tensor)?, rank)?, buffer)? {
            return Ok(Some(fqn.to_string()));
        }
    }
    let wrong = model.values().find(|(path, value)| find(loaded, path) != Some(*value));
    Ok(wrong.map(|(path, _)| path.fqn().to_string()))
}

fn find<'l>(loaded: &'l Loaded, path: &StatePath) -> Option<&'l Value> {
    let (first, rest) = path.segments().split_first()?;
    let Segment::Key(key) = first else { return None };
    let mut node = loaded.get(key.clone())?;
    for segment in rest {
        node = match (segment, node) {
            (Segment::Key(key), Tree::Dict(dict)) => dict.get(key.clone())?,
            (Segment::Item(number), Tree::List(items)) => items.get(*number as usize)?,
            (Segment::TupleItem(number), Tree::Tuple(items)) => items.get(*number as usize)?,
            _ => return None,
        };
    }
    match node {
        Tree::Leaf(leaf) => LoadedLeaf::value(leaf),
        _ => None,
    }
}
