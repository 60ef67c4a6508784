//! Who writes what, decided on the coordinator.
//!
//! Three steps. *Merging* makes one list of leaves out of what all ranks declare, and finds contradictions. *Layout* says
//! for each leaf how it is cut into chunks, and which ranks could write each. *Assignment* chooses one of them.
//!
//! Nothing here allocates per rank and tensor: ranks whose declarations are equal are one class, and what depends only on a
//! mesh is computed once for all tensors on it.

mod assign;
mod classes;
mod conflict;
mod layout;
mod merge;
mod meshes;
mod table;

use std::collections::BTreeMap;

use dcp_planner::{Declared, PlanError};
use dcp_types::{Entry, EntryKind, GlobalPlan, Metadata, Rank};

use crate::{Dedup, DifferingValues};
use layout::Placed;
use merge::{Leaf, What};

pub(crate) fn plan(
    declared: &[Declared],
    coordinator: Rank,
    dedup: Dedup,
    differing: DifferingValues,
) -> Result<GlobalPlan, PlanError> {
    let classes = classes::Classes::new(declared);
    let leaves = merge::merge(&classes, coordinator, differing)?;
    let placed = layout::place(&leaves, &classes)?;
    let owners = assign::assign(&placed, &classes.ranks, dedup)?;
    let entries = placed.into_iter().zip(&leaves).map(|(placed, leaf)| {
        let kind = match placed {
            Placed::Value { object: true, .. } => EntryKind::Object,
            Placed::Value { object: false, .. } => EntryKind::Value,
            Placed::Tensor(tensor) => EntryKind::Tensor(tensor.into_entry()),
        };
        Entry { path: leaf.path.clone(), kind }
    });
    let plan = GlobalPlan::new(Metadata::new(entries)?, owners)?;
    let ties = ties(&leaves, plan.metadata());
    Ok(plan.with_ties(ties)?)
}

/// Which entries are other names of which tensors.
fn ties(leaves: &[Leaf<'_>], metadata: &Metadata) -> BTreeMap<usize, usize> {
    let tie = |(name, leaf): (usize, &Leaf<'_>)| {
        let What::Tensor { tied: Some(first), .. } = &leaf.what else { return None };
        let (of, first) = metadata.find(first.fqn().as_str())?;
        // Not all ranks that have either need have both.
        let is_same = metadata.entry(name).is_some_and(|(_, entry)| entry.kind == first.kind);
        is_same.then_some((name, of))
    };
    leaves.iter().enumerate().filter_map(tie).collect()
}
