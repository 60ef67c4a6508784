//! Contradictions between two ranks.

use std::fmt::Display;

use dcp_planner::PlanError;
use dcp_types::{DeviceMesh, Fqn, Placement, Rank, RankSet};

/// An error if two ranks do not agree.
pub(super) fn agree<T: PartialEq>(
    fqn: &Fqn,
    what: &'static str,
    ranks: (Rank, Rank),
    (first, second): (T, T),
    describe: impl Fn(&T) -> String,
) -> Result<(), PlanError> {
    if first == second {
        return Ok(());
    }
    Err(PlanError::Conflict { fqn: fqn.clone(), what, ranks, first: describe(&first), second: describe(&second) })
}

/// `Shard(0), Replicate() over mesh(dp=2, tp=4) of ranks {0..=7}`.
pub(super) fn describe_mesh(mesh: &DeviceMesh, placements: &[Placement]) -> String {
    let ranks: RankSet = mesh.ranks().collect();
    format!("{} over {mesh:?} of ranks {ranks:?}", list(placements))
}

pub(super) fn list(items: &[impl Display]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}
