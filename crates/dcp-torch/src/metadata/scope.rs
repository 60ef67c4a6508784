//! What an index lists of a plan.

use std::collections::BTreeSet;

use dcp_types::{Chunks, Entry, Fqn, GlobalPlan, Rank, Region, TensorEntry};

/// All of a plan, or what one rank has of it; without some values.
#[derive(Debug)]
pub(crate) struct Scope<'p> {
    pub(crate) plan: &'p GlobalPlan,
    /// Whose index it is, if it is that of one rank (`use_collectives=False`): it lists the chunks that the rank holds, whoever has
    /// written them, of listed chunks those that it has written itself; and all values.
    pub(crate) rank: Option<Rank>,
    /// What is elsewhere.
    pub(crate) left_out: &'p BTreeSet<usize>,
}

impl<'p> Scope<'p> {
    /// The entries that are listed, with their numbers.
    pub(super) fn entries(&self) -> impl Iterator<Item = (usize, &'p Fqn, &'p Entry)> {
        let entries = self.plan.metadata().entries().enumerate().map(|(number, (fqn, entry))| (number, fqn, entry));
        entries.filter(|(number, _, entry)| match entry.as_tensor() {
            Some(tensor) => self.rank.is_none() || !self.chunks(*number, tensor).is_empty(),
            None => !self.left_out.contains(number),
        })
    }

    /// The chunks of a tensor that are listed. Where there are none at all, one without elements is.
    pub(super) fn chunks(&self, entry: usize, tensor: &TensorEntry) -> Vec<Region> {
        let full = Region::full(&tensor.shape);
        let all = tensor.chunks_meeting(&full);
        if all.is_empty() {
            return vec![full];
        }
        let Some(rank) = self.rank else { return all.into_iter().map(|chunk| chunk.region).collect() };
        match &tensor.chunks {
            Chunks::Grid(grid) => grid.held_by(rank).into_iter().map(|held| held.region).collect(),
            Chunks::Whole => vec![full],
            _ => {
                let is_own = |chunk: &dcp_types::Chunk| self.plan.owner(entry, chunk) == Some(rank);
                all.into_iter().filter(is_own).map(|chunk| chunk.region).collect()
            }
        }
    }
}
