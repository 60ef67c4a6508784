//! A plan on its way from the coordinator to the ranks: what all get alike, and what each gets for itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::outline::{Outline, TensorType};
use super::rank::{RankPlan, WriteItem};
use super::wire::{self, WireChunks, WireEntry, WireKind, WirePlan};
use crate::{Chunks, Entry, EntryKind, Fqn, GlobalPlan, Rank, Region, TypesError};

/// What all ranks are told of a plan: everything but listed chunks, of which each gets [its own](OwnChunks). It grows with the names that there are
/// (and with the ranks of a mesh that follow no rule), not with the shards, and is encoded once for all ranks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommonPlan {
    plan: WirePlan<()>,
    ties: BTreeMap<usize, usize>,
}

/// The listed chunks that one rank writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnChunks(Vec<(u32, u32, Region)>);

impl GlobalPlan {
    /// What all ranks are told.
    #[must_use]
    pub fn common(&self) -> CommonPlan {
        CommonPlan { plan: WirePlan::of(self, |_, _| ()), ties: self.ties().clone() }
    }

    /// Whether chunks are listed, of which each rank must be told its own.
    #[must_use]
    pub fn lists_chunks(&self) -> bool {
        let mut tensors = self.metadata().entries().filter_map(|(_, entry)| entry.as_tensor());
        tensors.any(|tensor| matches!(tensor.chunks, Chunks::List(_)))
    }

    /// The listed chunks that a rank writes.
    #[must_use]
    pub fn own_chunks(&self, rank: Rank) -> OwnChunks {
        let own = self.named(rank).iter().filter_map(|&(entry, number)| {
            match &self.metadata().entry(entry as usize)?.1.as_tensor()?.chunks {
                Chunks::List(list) => Some((entry, number, list.regions().get(number as usize)?.clone())),
                _ => None,
            }
        });
        OwnChunks(own.collect())
    }
}

impl CommonPlan {
    /// The plan of a rank, which is [`GlobalPlan::of_rank`] again.
    ///
    /// # Errors
    /// [`TypesError::Owners`] for chunks of what is not listed, or a replica that is none; [`TypesError::OutOfBounds`], [`TypesError::Mesh`] and
    /// what else can be wrong with a mesh or placements.
    pub fn for_rank(self, rank: Rank, own: OwnChunks) -> Result<RankPlan, TypesError> {
        let WirePlan { meshes, entries } = self.plan;
        let mut own = own.0.into_iter().peekable();
        let (mut leaves, mut items, mut values) = (Vec::with_capacity(entries.len()), Vec::new(), Vec::new());
        for (number, WireEntry(path, kind)) in entries.into_iter().enumerate() {
            let kind = match kind {
                WireKind::Value(owner) | WireKind::Object(owner) => {
                    values.extend((owner == rank).then(|| WriteItem::value(number)));
                    if matches!(kind, WireKind::Object(_)) { EntryKind::Object } else { EntryKind::Value }
                }
                WireKind::Tensor(dtype, shape, chunks) => {
                    let mut write = |region, chunk| items.extend(WriteItem::chunk(number, dtype.size(), region, chunk));
                    match chunks {
                        WireChunks::Whole(owner) if owner == rank => write(Region::full(&shape), 0),
                        WireChunks::Whole(_) => {}
                        WireChunks::Grid(mesh, placements, replica) => {
                            let grid = wire::grid(mesh, placements, &shape, &meshes)?;
                            if replica >= grid.replicas() {
                                return Err(TypesError::Owners(path.fqn()));
                            }
                            grid.regions_in_replica(rank, replica).into_iter().for_each(|region| write(region, 0));
                        }
                        WireChunks::List(()) => {
                            while let Some((_, chunk, region)) = own.next_if(|(entry, ..)| *entry as usize == number) {
                                if !region.fits(shape.dims()) {
                                    let extents = shape.dims().to_vec();
                                    return Err(TypesError::OutOfBounds { region, extents });
                                }
                                write(region, chunk);
                            }
                        }
                    }
                    EntryKind::Tensor(TensorType { dtype, shape })
                }
            };
            leaves.push(Entry { path, kind });
        }
        if let Some((entry, ..)) = own.next() {
            let fqn = leaves.get(entry as usize).map_or_else(|| Fqn::from("?"), |leaf| leaf.path.fqn());
            return Err(TypesError::Owners(fqn));
        }
        items.append(&mut values);
        Ok(RankPlan { rank, outline: Arc::new(Outline::new(leaves, self.ties)), items })
    }
}
