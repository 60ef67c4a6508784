//! What a rank is to write.

use std::borrow::Cow;

use dcp_planner::PlanError;
use dcp_types::{FlatState, Rank, RankPlan, Source, StateLeaf, WriteItem, WriteWhat};

pub(crate) fn resolve<'a>(
    item: &WriteItem,
    plan: &RankPlan,
    state: &'a FlatState<'_>,
    rank: Rank,
) -> Result<Source<'a>, PlanError> {
    let (fqn, _) = plan.outline().entry(item.entry).ok_or(PlanError::NoEntry { entry: item.entry })?;
    let not_held = || PlanError::NotHeld { fqn: fqn.clone(), rank };
    let (_, leaf) = state.get(fqn).ok_or_else(not_held)?;
    match (&item.what, leaf) {
        (WriteWhat::Value, StateLeaf::Value(value)) => Ok(Source::Value(Cow::Borrowed(value))),
        (WriteWhat::Chunk(chunk, _), StateLeaf::Tensor(tensor)) => {
            let part = tensor.spec.part(rank, &chunk.region).ok_or_else(not_held)?;
            let source = tensor.source.part(&part.place, part.region.sizes());
            source.map_err(|fault| PlanError::types(fqn, fault))
        }
        _ => Err(not_held()),
    }
}
