//! What an index lists of a plan.

use std::collections::BTreeSet;

use dcp_types::{Chunk, Chunks, Entry, Fqn, GlobalPlan, Rank, Region, TensorEntry};

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
        if full.is_empty() {
            return vec![full];
        }
        match (&tensor.chunks, self.rank) {
            // Without a look at what others hold: there is an index for each rank.
            (Chunks::Grid(grid), Some(rank)) => grid.held_by(rank).into_iter().map(|held| held.region).collect(),
            (Chunks::Whole, _) => vec![full],
            (_, rank) => {
                let is_own = |chunk: &Chunk| rank.is_none() || self.plan.owner(entry, chunk) == rank;
                tensor.chunks_meeting(&full).into_iter().filter(is_own).map(|chunk| chunk.region).collect()
            }
        }
    }
}
