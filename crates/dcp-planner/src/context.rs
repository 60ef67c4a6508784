//! Who plans, and with whom.

use dcp_types::{Rank, RankSet, SavePlan};

/// Who takes part in a save or load, as one of the ranks sees it.
///
/// The ranks are those of the process group that saves or loads. It may be a part of the world: a mesh
/// can then name ranks that do not take part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanContext {
    /// The rank that plans.
    pub rank: Rank,
    /// All ranks that take part; `rank` and `coordinator` are among them.
    pub ranks: RankSet,
    /// The rank that makes the global plan.
    pub coordinator: Rank,
}

impl PlanContext {
    /// A single process, rank 0, that plans for itself.
    #[must_use]
    pub fn single() -> Self {
        Self { rank: 0, ranks: RankSet::from_iter([0]), coordinator: 0 }
    }
}

/// What some ranks have: ranks whose [`SavePlan`]s are equal in every part are declared together.
#[derive(Clone, Debug)]
pub struct Declared {
    /// The ranks.
    pub ranks: RankSet,
    /// What each of them has. [`SavePlan::order`] is empty, unless the coordinator is one of them.
    pub plan: SavePlan,
}
