//! How a tensor lies over the members of a group.

use std::fmt;
use std::sync::Arc;

use dcp::{BufferPlace, DType, DeviceMesh, HeldPart, Placement, Region, Shape, TensorSpec};
use dcp_types::strategies::{Tiling, shard_grids, tilings};
use dcp_types::{ShardGrid, Sharding};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{Group, Layout};

/// What each member of a group, by position, has of a tensor.
pub type Holding = Vec<Part>;

/// What one rank has of a tensor, and how it keeps it.
#[derive(Clone)]
pub struct Part {
    /// What the rank says of the tensor.
    pub spec: TensorSpec,
    /// The extents of its buffer.
    pub extents: Vec<u64>,
    /// How the buffer lies in memory.
    pub layout: Layout,
    /// Whether the rank leaves the tensor out where it can (as it has nothing of it, or somebody else has the same).
    pub omit: bool,
}

/// Every way in which the members of a group can hold a tensor: replicated, over a mesh of some of them, over a mesh for
/// each row of them, in regions of their own.
pub fn holdings(dtype: DType, shape: &Shape, group: &Group) -> BoxedStrategy<Holding> {
    prop_oneof![2 => mesh_holdings(dtype, shape, group), 1 => region_holdings(dtype, shape, group)].boxed()
}

/// The regular ones: replicated, or over meshes.
pub fn mesh_holdings(dtype: DType, shape: &Shape, group: &Group) -> BoxedStrategy<Holding> {
    let size = group.members.len();
    let kept = vec((any::<Layout>(), any::<bool>()), size);
    let keep = |parts: Vec<(TensorSpec, Vec<u64>, bool)>, kept: &[(Layout, bool)]| -> Holding {
        let keep = |((spec, extents, dispensable), &(layout, omit)): (_, &(Layout, bool))| Part {
            spec,
            extents,
            layout,
            omit: dispensable && omit,
        };
        parts.into_iter().zip(kept).map(keep).collect()
    };
    let replicated = TensorSpec::replicated(dtype, shape).expect("a shape");
    let extents = shape.dims().to_vec();
    let whole = kept.clone().prop_map(move |kept| {
        // The first one always names it.
        let of = |position| (replicated.clone(), extents.clone(), position > 0);
        keep((0..size).map(of).collect(), &kept)
    });
    let members = group.clone();
    let grids = (shard_grids(shape, size as u32), kept.clone())
        .prop_map(move |(grid, kept)| keep(over_mesh(dtype, &grid, &members, size), &kept));
    let (members, of) = (group.clone(), shape.clone());
    let rows = (1..=size).prop_flat_map(move |width| {
        let (members, kept) = (members.clone(), kept.clone());
        (shard_grids(&of, width as u32), kept)
            .prop_map(move |(grid, kept)| keep(over_mesh(dtype, &grid, &members, width), &kept))
    });
    prop_oneof![2 => whole, 5 => grids, 2 => rows].boxed()
}

/// Regions that each member has of its own, in a flat buffer or as boxes in a larger one.
fn region_holdings(dtype: DType, shape: &Shape, group: &Group) -> BoxedStrategy<Holding> {
    let size = group.members.len();
    let kept = vec((any::<bool>(), any::<Layout>(), any::<bool>()), size);
    let holdings = (tilings(shape, size as u32), kept).prop_map(move |(tiling, kept)| {
        let of = |(position, &(flat, layout, omit)): (usize, &(bool, Layout, bool))| {
            let (spec, extents) =
                if flat { flat_parts(dtype, &tiling, position) } else { boxes(dtype, &tiling, position) };
            // A flat part is contiguous by definition.
            let layout = if flat && layout != Layout::Lazy { Layout::Packed } else { layout };
            let omit = omit && tiling.held_by(position as u32).is_empty();
            Part { spec, extents, layout, omit }
        };
        kept.iter().enumerate().map(of).collect()
    });
    holdings.boxed()
}

/// The grid is over positions below `width`. Each row of `width` members has a mesh of its own; who is left over has
/// nothing.
fn over_mesh(dtype: DType, grid: &ShardGrid, group: &Group, width: usize) -> Vec<(TensorSpec, Vec<u64>, bool)> {
    let spec = |row: &[u32]| {
        let row = Group { members: row.to_vec(), ..group.clone() };
        let mesh = Arc::new(row.mesh(grid.mesh()));
        TensorSpec::sharded(dtype, grid.shape(), &mesh, grid.placements().iter().copied()).expect("fits")
    };
    let specs: Vec<TensorSpec> = group.members.chunks_exact(width).map(spec).collect();
    let of = |(position, &rank): (usize, &u32)| {
        // Who is left over speaks of the first mesh, in which it is not.
        let spec = specs.get(position / width).unwrap_or(&specs[0]).clone();
        let extents = spec.local_shape(rank);
        let outside = extents.is_none();
        (spec, extents.unwrap_or(vec![0]), outside)
    };
    group.members.iter().enumerate().map(of).collect()
}

/// The regions one after the other in a flat buffer, with something in between.
fn flat_parts(dtype: DType, tiling: &Tiling, position: usize) -> (TensorSpec, Vec<u64>) {
    let mut len = position as u64 % 3;
    let parts = tiling.held_by(position as u32).into_iter().map(|region| {
        let place = BufferPlace::Flat(len);
        len += region.numel() + position as u64 % 2;
        HeldPart { region, place }
    });
    let parts: Vec<_> = parts.collect();
    (TensorSpec::regions(dtype, &tiling.shape, parts).expect("inside"), vec![len])
}

/// The regions below each other in a buffer that is larger than all of them.
fn boxes(dtype: DType, tiling: &Tiling, position: usize) -> (TensorSpec, Vec<u64>) {
    let pad = position as u64 % 2;
    let held = tiling.held_by(position as u32);
    let dims = tiling.shape.dims().len();
    let mut extents: Vec<u64> =
        (0..dims).map(|dim| held.iter().map(|region| region.sizes()[dim]).max().unwrap_or(0) + 2 * pad).collect();
    let mut row = pad;
    let parts = held.into_iter().map(|region: Region| {
        let mut at = vec![pad; dims];
        if let Some(first) = at.first_mut() {
            *first = row;
            row += region.sizes()[0] + pad;
        }
        HeldPart { region, place: BufferPlace::Box(at) }
    });
    let parts: Vec<_> = parts.collect();
    if let Some(first) = extents.first_mut() {
        *first = row;
    }
    (TensorSpec::regions(dtype, &tiling.shape, parts).expect("inside"), extents)
}

impl Part {
    /// What a rank has of a tensor over a mesh, in memory of the given kind.
    ///
    /// # Panics
    /// If the placements do not fit.
    #[must_use]
    pub fn sharded(
        dtype: DType,
        shape: &Shape,
        mesh: &Arc<DeviceMesh>,
        placements: &[Placement],
        rank: u32,
        layout: Layout,
    ) -> Self {
        let spec = TensorSpec::sharded(dtype, shape, mesh, placements.iter().copied()).expect("placements that fit");
        let extents = spec.local_shape(rank).unwrap_or(vec![0]);
        Self { spec, extents, layout, omit: false }
    }

    /// A whole tensor.
    ///
    /// # Panics
    /// Never: the shape is one.
    #[must_use]
    pub fn whole(dtype: DType, shape: &Shape, layout: Layout) -> Self {
        let spec = TensorSpec::replicated(dtype, shape).expect("a shape");
        Self { spec, extents: shape.dims().to_vec(), layout, omit: false }
    }
}

/// Short: a failing case prints one for each tensor and rank.
impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.spec.sharding() {
            Sharding::Mesh(grid) => {
                let ranks: Vec<_> = grid.mesh().ranks().collect();
                write!(f, "{:?} over {:?} {ranks:?}", grid.placements(), grid.mesh())?;
            }
            Sharding::Regions(parts) => {
                parts.iter().try_for_each(|part| write!(f, "{} at {:?} ", part.region, part.place))?;
            }
            _ => f.write_str("whole")?,
        }
        write!(f, " in {:?} {:?}{}", self.layout, self.extents, if self.omit { ", left out" } else { "" })
    }
}
