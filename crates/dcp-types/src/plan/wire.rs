//! The serialised form of a [`GlobalPlan`].
//!
//! All versions of the native format store exactly this: it may not change (`docs/format.md`).

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    ChunkList, Chunks, DType, DeviceMesh, Entry, EntryKind, GlobalPlan, Metadata, Owners, Placement, Rank, Region,
    Shape, ShardGrid, StatePath, TensorEntry, TypesError,
};

/// An unknown field is refused: to skip it, a decoder follows its nesting, and may run out of stack.
///
/// The list is owned where it is read, and borrowed where it is written: it can have millions of regions.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WirePlan<L> {
    pub(super) meshes: Vec<Arc<DeviceMesh>>,
    pub(super) entries: Vec<WireEntry<L>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireEntry<L>(pub(super) StatePath, pub(super) WireKind<L>);

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum WireKind<L> {
    #[serde(rename = "t")]
    Tensor(DType, Shape, WireChunks<L>),
    #[serde(rename = "v")]
    Value(Rank),
    #[serde(rename = "o")]
    Object(Rank),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum WireChunks<L> {
    #[serde(rename = "w")]
    Whole(Rank),
    /// Number of the mesh, placements, replica that writes.
    #[serde(rename = "g")]
    Grid(u32, Vec<Placement>, u64),
    #[serde(rename = "l")]
    List(L),
}

/// Regions with the ranks that write them.
type Listed = Vec<(Region, Rank)>;

/// The same, borrowed.
struct Listing<'p>(&'p [Region], &'p [Rank]);

impl Serialize for Listing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().zip(self.1))
    }
}

impl Serialize for GlobalPlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WirePlan::of(self, |list, ranks| Listing(list.regions(), ranks)).serialize(serializer)
    }
}

impl<L> WirePlan<L> {
    /// Of a plan, with something in place of listed chunks.
    pub(super) fn of<'p>(plan: &'p GlobalPlan, listed: impl Fn(&'p ChunkList, &'p [Rank]) -> L) -> Self {
        let mut meshes: Vec<Arc<DeviceMesh>> = Vec::new();
        let entries = plan.metadata().entries().zip(plan.owners());
        let entries = entries.map(|((_, entry), owners)| wire_entry(entry, owners, &mut meshes, &listed)).collect();
        Self { meshes, entries }
    }
}

fn wire_entry<'p, L>(
    entry: &'p Entry,
    owners: &'p Owners,
    meshes: &mut Vec<Arc<DeviceMesh>>,
    listed: impl Fn(&'p ChunkList, &'p [Rank]) -> L,
) -> WireEntry<L> {
    let one = || if let Owners::One(rank) = owners { *rank } else { 0 };
    let kind = match &entry.kind {
        EntryKind::Value => WireKind::Value(one()),
        EntryKind::Object => WireKind::Object(one()),
        EntryKind::Tensor(tensor) => {
            let chunks = match (&tensor.chunks, owners) {
                (Chunks::Grid(grid), Owners::Replica(replica)) => {
                    WireChunks::Grid(mesh_number(grid.mesh(), meshes), grid.placements().to_vec(), *replica)
                }
                (Chunks::List(list), Owners::Each(ranks)) => WireChunks::List(listed(list, ranks)),
                _ => WireChunks::Whole(one()),
            };
            WireKind::Tensor(tensor.dtype, tensor.shape.clone(), chunks)
        }
    };
    WireEntry(entry.path.clone(), kind)
}

fn mesh_number(mesh: &Arc<DeviceMesh>, meshes: &mut Vec<Arc<DeviceMesh>>) -> u32 {
    let known = meshes.iter().position(|known| Arc::ptr_eq(known, mesh) || known == mesh);
    let number = known.unwrap_or_else(|| {
        meshes.push(Arc::clone(mesh));
        meshes.len() - 1
    });
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl<'de> Deserialize<'de> for GlobalPlan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = WirePlan::<Listed>::deserialize(deserializer)?;
        plan(wire).map_err(serde::de::Error::custom)
    }
}

fn plan(wire: WirePlan<Listed>) -> Result<GlobalPlan, TypesError> {
    let mut owners = Vec::with_capacity(wire.entries.len());
    let mut entries = Vec::with_capacity(wire.entries.len());
    for WireEntry(path, kind) in wire.entries {
        let (kind, owner) = match kind {
            WireKind::Value(rank) => (EntryKind::Value, Owners::One(rank)),
            WireKind::Object(rank) => (EntryKind::Object, Owners::One(rank)),
            WireKind::Tensor(dtype, shape, chunks) => {
                let (chunks, owner) = chunks_of(chunks, &shape, &wire.meshes)?;
                (EntryKind::Tensor(TensorEntry { dtype, shape, chunks }), owner)
            }
        };
        entries.push(Entry { path, kind });
        owners.push(owner);
    }
    GlobalPlan::new(Metadata::new(entries)?, owners)
}

fn chunks_of(
    wire: WireChunks<Listed>,
    shape: &Shape,
    meshes: &[Arc<DeviceMesh>],
) -> Result<(Chunks, Owners), TypesError> {
    Ok(match wire {
        WireChunks::Whole(rank) => (Chunks::Whole, Owners::One(rank)),
        WireChunks::Grid(mesh, placements, replica) => {
            (Chunks::Grid(grid(mesh, placements, shape, meshes)?), Owners::Replica(replica))
        }
        WireChunks::List(listed) => {
            let (regions, ranks): (Vec<_>, Vec<_>) = listed.into_iter().unzip();
            if let Some(empty) = regions.iter().find(|region: &&Region| region.is_empty()) {
                return Err(TypesError::OutOfBounds { region: empty.clone(), extents: shape.dims().to_vec() });
            }
            (Chunks::List(ChunkList::new(shape, regions)?), Owners::Each(ranks))
        }
    })
}

/// The shards of a tensor over the mesh of this number.
pub(super) fn grid(
    mesh: u32,
    placements: Vec<Placement>,
    shape: &Shape,
    meshes: &[Arc<DeviceMesh>],
) -> Result<ShardGrid, TypesError> {
    let mesh = meshes
        .get(mesh as usize)
        .ok_or_else(|| TypesError::Mesh(format!("number {mesh} of {} meshes", meshes.len())))?;
    ShardGrid::new(shape.clone(), Arc::clone(mesh), placements)
}
