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

use dcp_planner::{Declared, PlanError};
use dcp_types::{Entry, EntryKind, GlobalPlan, Metadata, Rank};

use crate::{Dedup, DifferingValues};
use layout::Placed;

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
    Ok(GlobalPlan::new(Metadata::new(entries)?, owners)?)
}
