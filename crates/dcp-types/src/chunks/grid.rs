//! A tensor sharded by mesh and placements, as arithmetic.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::dim::{DimGrid, Piece, Step};
use crate::shape::Dims;
use crate::{DeviceMesh, Placement, Rank, Region, Shape, TypesError};

/// A tensor that is sharded by a mesh and one placement per mesh dimension.
///
/// Who holds what is computed, never listed: a grid of a million chunks is as small as one of two.
/// It agrees with what PyTorch's DTensor holds. `docs/design/004` says where that is not what PyTorch's
/// `compute_local_shape_and_global_offset` says.
///
/// ```
/// use std::sync::Arc;
/// use dcp_types::{DeviceMesh, Placement, Shape, ShardGrid};
/// let mesh = Arc::new(DeviceMesh::new([2, 2])?);
/// let grid = ShardGrid::new(Shape::new([5, 4])?, mesh, vec![Placement::Shard(0), Placement::Replicate])?;
/// assert_eq!(grid.local_shape(3), Some(vec![2, 4]));
/// assert_eq!(grid.replicas(), 2);
/// # Ok::<(), dcp_types::TypesError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ShardGrid {
    shape: Shape,
    mesh: Arc<DeviceMesh>,
    placements: Arc<[Placement]>,
    dims: Arc<[DimGrid]>,
}

/// A part of a tensor that a rank holds, and where it stands in the rank's local buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRegion {
    /// The part, in the tensor's coordinates.
    pub region: Region,
    /// Its first element in the coordinates of the local buffer.
    pub buffer_offsets: Vec<u64>,
}

impl ShardGrid {
    /// The most parts that a rank may hold of one tensor.
    pub const MAX_PARTS: u64 = 4096;

    /// Checks that the placements fit the shape and the mesh.
    ///
    /// # Errors
    /// [`TypesError::DimsMismatch`] if there is not one placement per mesh dimension;
    /// [`TypesError::Placement`] if a placement names a dimension that the tensor does not have, splits by 0, or splits
    /// into more than [`MAX_PARTS`](Self::MAX_PARTS).
    pub fn new(shape: Shape, mesh: Arc<DeviceMesh>, placements: Vec<Placement>) -> Result<Self, TypesError> {
        if placements.len() != mesh.shape().len() {
            let (expected, found) = (mesh.shape().len(), placements.len());
            return Err(TypesError::DimsMismatch { what: "placements", expected, found });
        }
        let mut dims: Vec<_> = shape.dims().iter().map(|&len| DimGrid { len, steps: Vec::new() }).collect();
        for (mesh_dim, (&placement, &ways)) in placements.iter().zip(mesh.shape()).enumerate() {
            let Some(dim) = placement.dim() else { continue };
            let split = match placement {
                Placement::StridedShard { split_factor, .. } => u64::from(split_factor),
                _ => 1,
            };
            let misfit = |reason| TypesError::Placement { placement, reason };
            let grid = dims.get_mut(dim).ok_or_else(|| misfit("the tensor does not have this dimension"))?;
            if split == 0 {
                return Err(misfit("the split factor is 0"));
            }
            grid.steps.push(Step { mesh_dim, ways: u64::from(ways), split });
        }
        // A strided shard says in which order the mesh dimensions cut. Where that order can be told, it is what ranks really
        // hold; PyTorch's left-to-right arithmetic gives the same but for some uneven sizes, where its own checkpoints are wrong.
        let orders: Option<Vec<_>> = dims.iter().map(|dim| super::dim::cutting_order(&dim.steps)).collect();
        if let Some(orders) = orders {
            dims.iter_mut().zip(orders).for_each(|(dim, steps)| dim.steps = steps);
        } else if parts_per_rank(&dims) > Self::MAX_PARTS {
            let strided = |placement: &&Placement| matches!(placement, Placement::StridedShard { .. });
            let placement = placements.iter().find(strided).copied().unwrap_or(Placement::Replicate);
            return Err(TypesError::Placement { placement, reason: "it splits into too many parts" });
        }
        Ok(Self { shape, mesh, placements: placements.into(), dims: dims.into() })
    }

    /// The shape of the whole tensor.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The mesh.
    #[must_use]
    pub fn mesh(&self) -> &Arc<DeviceMesh> {
        &self.mesh
    }

    /// One placement per mesh dimension.
    #[must_use]
    pub fn placements(&self) -> &[Placement] {
        &self.placements
    }

    /// The same, to be kept.
    #[must_use]
    pub fn shared_placements(&self) -> Arc<[Placement]> {
        Arc::clone(&self.placements)
    }

    /// The shape of the local buffer of a rank; `None` if the rank is not in the mesh.
    #[must_use]
    pub fn local_shape(&self, rank: Rank) -> Option<Vec<u64>> {
        Some(self.local_extents(rank)?.into_vec())
    }

    /// The same on the stack: asked for each tensor of a rank.
    pub(crate) fn local_extents(&self, rank: Rank) -> Option<Dims> {
        let coordinate = self.mesh.locate(rank)?;
        Some(self.dims.iter().map(|dim| dim.held(of_steps(dim, &coordinate))).collect())
    }

    /// What a rank holds, if it is of this replica.
    pub(crate) fn regions_in_replica(&self, rank: Rank, replica: u64) -> SmallVec<[Region; 1]> {
        let coordinate = self.mesh.locate(rank).filter(|coordinate| self.replica_at(coordinate) == replica);
        let Some(coordinate) = coordinate else { return SmallVec::new() };
        match self.single_at(&coordinate) {
            Some(region) if region.is_empty() => SmallVec::new(),
            Some(region) => smallvec![region],
            None => self.held_at_coordinate(&coordinate).into_iter().map(|held| held.region).collect(),
        }
    }

    /// How many elements the rank at a coordinate of the mesh holds.
    ///
    /// # Panics
    /// If the coordinate has fewer dimensions than the mesh.
    #[must_use]
    pub fn held_at(&self, coordinate: &[u32]) -> u64 {
        self.dims.iter().map(|dim| dim.held(of_steps(dim, coordinate))).product()
    }

    /// The parts that a rank holds, in the row-major order of its buffer; none if it is not in the mesh.
    ///
    /// That is one part or, if it would be empty, none, but for a `StridedShard` that no later
    /// `Shard` of the same dimension completes.
    #[must_use]
    pub fn held_by(&self, rank: Rank) -> Vec<HeldRegion> {
        self.mesh.locate(rank).map_or_else(Vec::new, |coordinate| self.held_at_coordinate(&coordinate))
    }

    /// The part that a rank holds which is this region.
    pub(crate) fn held_part(&self, rank: Rank, region: &Region) -> Option<HeldRegion> {
        if region.ndim() != self.dims.len() || region.is_empty() {
            return None;
        }
        let coordinate = self.mesh.locate(rank)?;
        if let Some(single) = self.single_at(&coordinate) {
            let buffer_offsets = vec![0; single.ndim()];
            return (single == *region).then_some(HeldRegion { region: single, buffer_offsets });
        }
        let in_buffer = |(index, dim): (usize, &DimGrid)| {
            let (wanted, mut before) = ((region.offsets()[index], region.sizes()[index]), 0);
            for run in dim.runs_of(of_steps(dim, &coordinate)) {
                if run == wanted {
                    return Some(before);
                }
                before += run.1;
            }
            None
        };
        let buffer_offsets = self.dims.iter().enumerate().map(in_buffer).collect::<Option<Vec<_>>>()?;
        Some(HeldRegion { region: region.clone(), buffer_offsets })
    }

    /// The non-empty chunks that share an element with a region of the tensor.
    #[must_use]
    pub fn meeting(&self, region: &Region) -> Vec<Region> {
        let Some(region) = region.intersect(&Region::full(&self.shape)) else { return Vec::new() };
        let mut chunks = vec![(Vec::new(), Vec::new())];
        for (index, dim) in self.dims.iter().enumerate() {
            let pieces = dim.pieces_meeting(region.offsets()[index], region.end(index));
            let extend = |(offsets, sizes): &(Vec<u64>, Vec<u64>)| {
                let extended = |piece: &Piece| (with(offsets, piece.start), with(sizes, piece.end - piece.start));
                pieces.iter().map(extended).collect::<Vec<_>>()
            };
            chunks = chunks.iter().flat_map(extend).collect();
        }
        chunks.into_iter().filter_map(|(offsets, sizes)| Region::new(offsets, sizes).ok()).collect()
    }

    /// Whether there are more than so many chunks. Takes few steps, whatever the mesh claims to be; just where
    /// [`most_parts_per_rank`](Self::most_parts_per_rank) is above 1, up to `limit` of them.
    #[must_use]
    pub fn has_more_chunks_than(&self, limit: u64) -> bool {
        let at_most: u64 = self.dims.iter().map(|dim| dim.most_pieces()).fold(1, u64::saturating_mul);
        at_most > limit && self.dims.iter().map(|dim| dim.count_pieces(limit)).fold(1, u64::saturating_mul) > limit
    }

    /// The most parts that a rank holds; 1 but for a `StridedShard` that no later `Shard` completes.
    #[must_use]
    pub fn most_parts_per_rank(&self) -> u64 {
        parts_per_rank(&self.dims)
    }

    /// The chunk that an element lies in; `None` if the element is not in the tensor.
    #[must_use]
    pub fn chunk_at(&self, element: &[u64]) -> Option<Region> {
        let inside =
            element.len() == self.dims.len() && element.iter().zip(self.dims.iter()).all(|(x, dim)| *x < dim.len);
        let pieces = || self.dims.iter().zip(element).map(|(dim, &x)| dim.piece_at(x));
        let offsets = || pieces().map(|piece| piece.start);
        inside.then(|| Region::new(offsets(), pieces().map(|piece| piece.end - piece.start)).ok())?
    }

    /// How many ranks hold each chunk.
    #[must_use]
    pub fn replicas(&self) -> u64 {
        self.replica_dims().map(|dim| u64::from(self.mesh.shape()[dim])).product()
    }

    /// Which of the replicas a mesh coordinate belongs to: its row-major number over the replicated mesh dimensions.
    ///
    /// # Panics
    /// If the coordinate has fewer dimensions than the mesh.
    #[must_use]
    pub fn replica_at(&self, coordinate: &[u32]) -> u64 {
        self.replica_dims()
            .fold(0, |number, dim| number * u64::from(self.mesh.shape()[dim]) + u64::from(coordinate[dim]))
    }

    /// The rank that holds the chunk with this first element in the given replica.
    ///
    /// `None` if the element is not in the tensor or there is no such replica.
    #[must_use]
    pub fn holder(&self, element: &[u64], replica: u64) -> Option<Rank> {
        if element.len() != self.dims.len() || replica >= self.replicas() {
            return None;
        }
        let mut coordinate = vec![0; self.mesh.shape().len()];
        for (dim, &x) in self.dims.iter().zip(element) {
            if x >= dim.len {
                return None;
            }
            for (step, c) in dim.steps.iter().zip(dim.piece_at(x).coordinate) {
                coordinate[step.mesh_dim] = c;
            }
        }
        let mut rest = replica;
        for dim in self.replica_dims().rev() {
            let ways = u64::from(self.mesh.shape()[dim]);
            coordinate[dim] = u32::try_from(rest % ways).ok()?;
            rest /= ways;
        }
        Some(self.mesh.rank_at(&coordinate))
    }

    /// The one part at a coordinate, which may be empty; `None` if there can be several.
    fn single_at(&self, coordinate: &[u32]) -> Option<Region> {
        let runs = self.dims.iter().map(|dim| dim.run_of(of_steps(dim, coordinate)));
        let runs = runs.collect::<Option<SmallVec<[(u64, u64); 4]>>>()?;
        Region::new(runs.iter().map(|run| run.0), runs.iter().map(|run| run.1)).ok()
    }

    fn held_at_coordinate(&self, coordinate: &[u32]) -> Vec<HeldRegion> {
        if let Some(region) = self.single_at(coordinate) {
            let buffer_offsets = vec![0; region.ndim()];
            return if region.is_empty() { Vec::new() } else { vec![HeldRegion { region, buffer_offsets }] };
        }
        let mut held = vec![(Vec::new(), Vec::new(), Vec::new())];
        for dim in self.dims.iter() {
            let runs = dim.runs_of(of_steps(dim, coordinate));
            held = held
                .iter()
                .flat_map(|(offsets, sizes, buffer)| {
                    runs.iter().scan(0, move |position, &(start, len)| {
                        let at = *position;
                        *position += len;
                        Some((with(offsets, start), with(sizes, len), with(buffer, at)))
                    })
                })
                .collect();
        }
        let region = |(offsets, sizes, buffer_offsets)| {
            Region::new(offsets, sizes).ok().map(|region| HeldRegion { region, buffer_offsets })
        };
        held.into_iter().filter_map(region).filter(|held| !held.region.is_empty()).collect()
    }

    fn replica_dims(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        (0..self.placements.len()).filter(|&dim| self.placements[dim] == Placement::Replicate)
    }
}

fn parts_per_rank(dims: &[DimGrid]) -> u64 {
    let splits = dims.iter().flat_map(|dim| &dim.steps).map(|step| step.split);
    splits.fold(1, u64::saturating_mul)
}

fn of_steps(dim: &DimGrid, coordinate: &[u32]) -> impl Iterator<Item = u32> {
    dim.steps.iter().map(|step| coordinate[step.mesh_dim])
}

fn with(list: &[u64], value: u64) -> Vec<u64> {
    let mut longer = Vec::with_capacity(list.len() + 1);
    longer.extend_from_slice(list);
    longer.push(value);
    longer
}

impl PartialEq for ShardGrid {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && self.mesh == other.mesh && self.placements == other.placements
    }
}

impl Eq for ShardGrid {}
