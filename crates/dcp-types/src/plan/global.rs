//! Who writes what, for all ranks together.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use super::outline::Outline;
use super::rank::{RankPlan, WriteItem};
use crate::{Chunk, Chunks, EntryKind, Metadata, Rank, Region, TypesError};

/// The plan of a save: what the checkpoint will hold, and which rank writes which part of it.
///
/// It is symbolic. The shards of a mesh are one entry, and which of them a rank writes is computed when asked.
///
/// Clones share what is large, and are compared without looking at it.
#[derive(Clone, Debug)]
pub struct GlobalPlan {
    metadata: Arc<Metadata>,
    owners: Arc<[Owners]>,
    writers: Arc<Writers>,
    ties: BTreeMap<usize, usize>,
    outline: OnceLock<Arc<Outline>>,
}

/// What follows from the metadata and the owners.
#[derive(Debug)]
struct Writers {
    /// What ranks write by name: (entry, chunk), ascending. The rest follows from the grids.
    named: HashMap<Rank, Vec<(u32, u32)>>,
    grids: Vec<u32>,
}

/// Who writes the chunks of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owners {
    /// One rank: for values, and for tensors of one chunk.
    One(Rank),
    /// For the shards of a mesh: the ranks of this replica, as [`ShardGrid::replica_at`](crate::ShardGrid::replica_at) numbers them.
    Replica(u64),
    /// For listed chunks: a rank for each.
    Each(Vec<Rank>),
}

impl GlobalPlan {
    /// The plan in which each entry is written by its owners.
    ///
    /// # Errors
    /// [`TypesError::DimsMismatch`] if there are not as many owners as entries; [`TypesError::Owners`] if they are not of the
    /// kind that an entry needs.
    pub fn new(metadata: Metadata, owners: Vec<Owners>) -> Result<Self, TypesError> {
        if owners.len() != metadata.len() {
            let (expected, found) = (metadata.len(), owners.len());
            return Err(TypesError::DimsMismatch { what: "owners", expected, found });
        }
        let mut named: HashMap<Rank, Vec<(u32, u32)>> = HashMap::new();
        let mut grids = Vec::new();
        for (number, ((fqn, entry), owners)) in (0u32..).zip(metadata.entries().zip(&owners)) {
            match (owners, entry.as_tensor().map(|tensor| &tensor.chunks)) {
                (Owners::One(rank), None | Some(Chunks::Whole)) => named.entry(*rank).or_default().push((number, 0)),
                (Owners::Replica(replica), Some(Chunks::Grid(grid))) if *replica < grid.replicas() => {
                    grids.push(number);
                }
                (Owners::Each(ranks), Some(Chunks::List(list))) if ranks.len() == list.regions().len() => {
                    for (chunk, rank) in (0u32..).zip(ranks) {
                        named.entry(*rank).or_default().push((number, chunk));
                    }
                }
                _ => return Err(TypesError::Owners(fqn.clone())),
            }
        }
        let (owners, writers) = (owners.into(), Arc::new(Writers { named, grids }));
        let (metadata, ties) = (Arc::new(metadata), BTreeMap::new());
        Ok(Self { metadata, owners, writers, ties, outline: OnceLock::new() })
    }

    /// The same plan, in which these entries are other names of these tensors: their memory is the same, and a format may store it once.
    ///
    /// The serialised form of a plan is without them.
    ///
    /// # Errors
    /// [`TypesError::Tied`] if two entries cannot be one tensor, or a name leads to a name that leads on.
    pub fn with_ties(self, ties: BTreeMap<usize, usize>) -> Result<Self, TypesError> {
        let tensor = |entry| self.metadata.entry(entry).and_then(|(_, entry)| entry.as_tensor());
        let is_one = |(name, of): &(&usize, &usize)| match (tensor(**name), tensor(**of)) {
            (Some(one), Some(other)) => one == other && name != of && !ties.contains_key(of),
            _ => false,
        };
        if let Some((name, _)) = ties.iter().find(|tie| !is_one(tie)) {
            let fqn = self.metadata.entry(*name).map_or("?".into(), |(fqn, _)| fqn.clone());
            return Err(TypesError::Tied(fqn));
        }
        Ok(Self { ties, outline: OnceLock::new(), ..self })
    }

    /// The entries that are other names of tensors, with the entries of these.
    #[must_use]
    pub fn ties(&self) -> &BTreeMap<usize, usize> {
        &self.ties
    }

    /// What the checkpoint will hold.
    #[must_use]
    pub fn metadata(&self) -> &Arc<Metadata> {
        &self.metadata
    }

    /// The same without how tensors are cut.
    #[must_use]
    pub fn outline(&self) -> &Arc<Outline> {
        self.outline.get_or_init(|| Arc::new(Outline::of(&self.metadata, &self.ties)))
    }

    /// What one rank needs to know.
    #[must_use]
    pub fn of_rank(&self, rank: Rank) -> RankPlan {
        RankPlan { rank, outline: Arc::clone(self.outline()), items: self.items_of(rank) }
    }

    /// Who writes the chunks of each entry.
    #[must_use]
    pub fn owners(&self) -> &[Owners] {
        &self.owners
    }

    /// The rank that writes a chunk of a tensor, or a value (for which `chunk` is ignored).
    #[must_use]
    pub fn owner(&self, entry: usize, chunk: &Chunk) -> Option<Rank> {
        match self.owners.get(entry)? {
            Owners::One(rank) => Some(*rank),
            Owners::Each(ranks) => ranks.get(chunk.number as usize).copied(),
            Owners::Replica(replica) => match &self.metadata.entry(entry)?.1.as_tensor()?.chunks {
                Chunks::Grid(grid) => grid.holder(chunk.region.offsets(), *replica),
                _ => None,
            },
        }
    }

    /// Everything that a rank writes: chunks in the order of the entries, then values.
    #[must_use]
    pub fn items_of(&self, rank: Rank) -> Vec<WriteItem> {
        let mut tensors = Vec::new();
        let mut values = Vec::new();
        for &(number, chunk) in self.named(rank) {
            let entry = number as usize;
            let Some((_, leaf)) = self.metadata.entry(entry) else { continue };
            let EntryKind::Tensor(tensor) = &leaf.kind else {
                values.push(WriteItem::value(entry));
                continue;
            };
            let region = match &tensor.chunks {
                Chunks::List(list) => list.regions()[chunk as usize].clone(),
                _ => Region::full(&tensor.shape),
            };
            tensors.extend(WriteItem::chunk(entry, tensor.dtype.size(), region, chunk));
        }
        for &number in &self.writers.grids {
            self.grid_items(number as usize, rank, &mut tensors);
        }
        // Stable: chunks of one entry keep their order.
        tensors.sort_by_key(|item| item.entry);
        tensors.append(&mut values);
        tensors
    }

    /// What a rank writes by name: entries and chunks, ascending.
    pub(super) fn named(&self, rank: Rank) -> &[(u32, u32)] {
        self.writers.named.get(&rank).map_or(&[], Vec::as_slice)
    }

    /// The same plan with every chunk listed and given to a rank by name.
    ///
    /// The bytes that a save writes do not depend on it; it is what a planner that wants to move single chunks starts from.
    ///
    /// # Errors
    /// As [`ChunkList::new`](crate::ChunkList::new).
    pub fn expand(&self) -> Result<Self, TypesError> {
        let mut entries = Vec::with_capacity(self.metadata.len());
        let mut owners = Vec::with_capacity(self.owners.len());
        for ((_, entry), owner) in self.metadata.entries().zip(self.owners.iter()) {
            let mut entry = entry.clone();
            let mut owner = owner.clone();
            if let (EntryKind::Tensor(tensor), Owners::Replica(replica)) = (&mut entry.kind, &owner) {
                let chunks = tensor.chunks_meeting(&Region::full(&tensor.shape));
                if let Chunks::Grid(grid) = &tensor.chunks {
                    let holder = |chunk: &Chunk| grid.holder(chunk.region.offsets(), *replica);
                    owner = Owners::Each(chunks.iter().filter_map(holder).collect());
                }
                let regions = chunks.into_iter().map(|chunk| chunk.region).collect();
                tensor.chunks = Chunks::List(crate::ChunkList::new(&tensor.shape, regions)?);
            }
            entries.push(entry);
            owners.push(owner);
        }
        Self::new(Metadata::new(entries)?, owners)?.with_ties(self.ties.clone())
    }

    fn grid_items(&self, entry: usize, rank: Rank, items: &mut Vec<WriteItem>) {
        let Some(tensor) = self.metadata.entry(entry).and_then(|(_, leaf)| leaf.as_tensor()) else { return };
        let (Chunks::Grid(grid), Owners::Replica(replica)) = (&tensor.chunks, &self.owners[entry]) else { return };
        let chunk = |region| WriteItem::chunk(entry, tensor.dtype.size(), region, 0);
        items.extend(grid.regions_in_replica(rank, *replica).into_iter().filter_map(chunk));
    }
}

impl PartialEq for GlobalPlan {
    fn eq(&self, other: &Self) -> bool {
        let same_metadata = || Arc::ptr_eq(&self.metadata, &other.metadata) || self.metadata == other.metadata;
        let same_owners = || Arc::ptr_eq(&self.owners, &other.owners) || self.owners == other.owners;
        self.ties == other.ties && same_metadata() && same_owners()
    }
}
