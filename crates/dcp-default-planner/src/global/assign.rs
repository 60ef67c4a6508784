//! Which of the ranks that could write a chunk does.

use std::cmp::Reverse;
use std::rc::Rc;

use dcp_planner::PlanError;
use dcp_types::{Fqn, Owners, Rank, Region, ShardGrid};

use super::layout::{Candidates, Placed};
use super::table::Table;
use crate::Dedup;

/// The owners of each leaf; `ranks` are all ranks by position.
pub(super) fn assign(placed: &[Placed<'_>], ranks: &[Rank], dedup: Dedup) -> Result<Vec<Owners>, PlanError> {
    // Made anew where they are needed: there can be millions.
    let slots = || placed.iter().flat_map(slots);
    let picks = match dedup {
        Dedup::Lowest => slots().map(|slot| slot.lowest(&mut Vec::new())).collect::<Result<Vec<_>, _>>()?,
        Dedup::Balanced => balance(slots, ranks.len())?,
    };
    let mut picks = picks.into_iter();
    let mut next = || picks.next().unwrap_or(0);
    let owners = placed.iter().map(|leaf| match leaf {
        Placed::Value { rank, .. } => Owners::One(*rank),
        Placed::Tensor(tensor) => match &tensor.chunks {
            Candidates::Whole(_) => Owners::One(ranks[next()]),
            Candidates::Grid(..) => Owners::Replica(next() as u64),
            Candidates::List(_, chunks) => Owners::Each(chunks.iter().map(|_| ranks[next()]).collect()),
        },
    });
    Ok(owners.collect())
}

/// Something that is written by one of several: a rank, or the ranks of a replica.
enum Slot<'a> {
    /// One of these ranks, by position, writes so many bytes.
    Rank { candidates: &'a [u32], bytes: u64 },
    /// The ranks of a replica write a shard each.
    Replica(Sharded<'a>),
}

struct Sharded<'a> {
    fqn: &'a Fqn,
    grid: &'a ShardGrid,
    table: &'a Table,
    /// The size of an element.
    bytes: u64,
}

/// One for each chunk, or one for all shards of a mesh.
fn slots<'a>(leaf: &'a Placed<'_>) -> impl Iterator<Item = Slot<'a>> {
    let (mut only, mut listed) = (None, None);
    if let Placed::Tensor(tensor) = leaf {
        let bytes = tensor.dtype.size();
        match &tensor.chunks {
            Candidates::Whole(candidates) => {
                only = Some(Slot::Rank { candidates, bytes: tensor.shape.numel() * bytes })
            }
            Candidates::Grid(grid, table) => {
                only = Some(Slot::Replica(Sharded { fqn: tensor.fqn, grid, table, bytes }));
            }
            Candidates::List(list, candidates) => {
                let chunk = move |(region, candidates): (&Region, &'a Rc<[u32]>)| Slot::Rank {
                    candidates,
                    bytes: region.numel() * bytes,
                };
                listed = Some(list.regions().iter().zip(candidates).map(chunk));
            }
        }
    }
    only.into_iter().chain(listed.into_iter().flatten())
}

/// Picks for all slots, so that no rank has much more to write than another. The rule is that of [`Dedup::Balanced`].
fn balance<'a, I: Iterator<Item = Slot<'a>>>(slots: impl Fn() -> I, ranks: usize) -> Result<Vec<usize>, PlanError> {
    let mut sizes = Vec::new();
    let mut picks = Vec::new();
    let mut open = Vec::new();
    for (number, slot) in slots().enumerate() {
        let lowest = slot.lowest(&mut sizes)?;
        picks.push(lowest);
        if slot.has_choice(lowest, &mut sizes) {
            open.push((number, slot));
        }
    }
    if open.is_empty() {
        return Ok(picks);
    }
    let mut loads = Loads { bytes: vec![0; ranks], sizes };
    let mut free = open.iter().map(|(number, _)| *number).peekable();
    for (number, slot) in slots().enumerate() {
        if free.next_if_eq(&number).is_none() {
            loads.add(&slot, picks[number]);
        }
    }
    // Stable: ties stay in the order of the entries.
    open.sort_by_key(|(_, slot)| Reverse(slot.weight()));
    for (number, slot) in open {
        picks[number] = loads.place(&slot, picks[number]);
    }
    Ok(picks)
}

/// How many bytes each rank, by position, has to write.
struct Loads {
    bytes: Vec<u64>,
    /// Of the shards of the tensor at hand.
    sizes: Vec<u64>,
}

impl Loads {
    /// Adds what `pick` writes of a slot.
    fn add(&mut self, slot: &Slot<'_>, pick: usize) {
        match slot {
            Slot::Rank { bytes, .. } => grow(&mut self.bytes[pick], *bytes),
            Slot::Replica(sharded) => {
                sharded.shard_bytes(&mut self.sizes);
                self.add_replica(sharded, pick);
            }
        }
    }

    /// Finds the best pick for a slot, of which `lowest` is the lowest, and adds what it writes.
    fn place(&mut self, slot: &Slot<'_>, lowest: usize) -> usize {
        match slot {
            Slot::Rank { candidates, bytes } => {
                let least = candidates.iter().map(|&position| position as usize).min_by_key(|&at| self.bytes[at]);
                let pick = least.unwrap_or(lowest);
                grow(&mut self.bytes[pick], *bytes);
                pick
            }
            Slot::Replica(sharded) => {
                sharded.shard_bytes(&mut self.sizes);
                let whole = (lowest..sharded.table.replicas()).filter(|&at| sharded.table.has_all(at, &self.sizes));
                let pick = whole.min_by_key(|&at| self.outcome(sharded, at)).unwrap_or(lowest);
                self.add_replica(sharded, pick);
                pick
            }
        }
    }

    /// The bytes of the busiest rank of a replica, and of all its ranks, if it writes a tensor whose shards are `sizes`.
    fn outcome(&self, sharded: &Sharded<'_>, replica: usize) -> (u64, u64) {
        let writes = sharded.table.replica(replica).iter().zip(&self.sizes).filter(|(_, bytes)| **bytes > 0);
        let loads = writes.map(|(&position, bytes)| self.bytes[position as usize].saturating_add(*bytes));
        loads.fold((0, 0), |(max, sum), load| (max.max(load), sum.saturating_add(load)))
    }

    fn add_replica(&mut self, sharded: &Sharded<'_>, replica: usize) {
        for (&position, &bytes) in sharded.table.replica(replica).iter().zip(&self.sizes) {
            if bytes > 0 {
                grow(&mut self.bytes[position as usize], bytes);
            }
        }
    }
}

impl Slot<'_> {
    /// The lowest rank or replica that can write it. `sizes` is working memory.
    fn lowest(&self, sizes: &mut Vec<u64>) -> Result<usize, PlanError> {
        match self {
            Self::Rank { candidates, .. } => Ok(candidates.first().map_or(0, |&position| position as usize)),
            Self::Replica(sharded) => sharded.lowest(sizes),
        }
    }

    /// Whether more can write it than the lowest.
    fn has_choice(&self, lowest: usize, sizes: &mut Vec<u64>) -> bool {
        match self {
            Self::Rank { candidates, .. } => candidates.len() > 1,
            Self::Replica(Sharded { table, .. }) if table.complete => table.replicas() > 1,
            Self::Replica(sharded) => {
                sharded.shard_bytes(sizes);
                (lowest + 1..sharded.table.replicas()).any(|replica| sharded.table.has_all(replica, sizes))
            }
        }
    }

    /// The most bytes that it gives to one rank.
    fn weight(&self) -> u64 {
        match self {
            Self::Rank { bytes, .. } => *bytes,
            // No shard is larger than the first.
            Self::Replica(sharded) => sharded.grid.held_at(&vec![0; sharded.grid.placements().len()]) * sharded.bytes,
        }
    }
}

impl Sharded<'_> {
    fn lowest(&self, sizes: &mut Vec<u64>) -> Result<usize, PlanError> {
        if self.table.complete {
            return Ok(0);
        }
        self.shard_bytes(sizes);
        (0..self.table.replicas()).find(|&replica| self.table.has_all(replica, sizes)).ok_or_else(|| {
            let ranks = self.table.lacking(self.grid, sizes).into_iter().collect();
            PlanError::Uncovered { fqn: self.fqn.clone(), ranks }
        })
    }

    fn shard_bytes(&self, bytes: &mut Vec<u64>) {
        self.table.shard_sizes(self.grid, bytes);
        bytes.iter_mut().for_each(|size| *size *= self.bytes);
    }
}

/// Shapes come from the user, and together they can be anything.
fn grow(load: &mut u64, bytes: u64) {
    *load = load.saturating_add(bytes);
}
