//! What a rank says of a tensor of which it holds a part.

use std::sync::Arc;

use crate::source::BufferPlace;
use crate::{DType, DeviceMesh, Placement, Rank, Region, Shape, ShardGrid, TypesError};

/// How a tensor lies over the ranks, as one rank sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sharding {
    /// The rank has all of it, as has every other rank that names it.
    Replicated,
    /// By mesh and placements.
    Mesh(ShardGrid),
    /// The rank has just these parts, each somewhere in its local buffer.
    Regions(Vec<HeldPart>),
}

/// A part of a tensor, and where it stands in a rank's local buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPart {
    /// The part, in the tensor's coordinates.
    pub region: Region,
    /// Where it stands in the local buffer.
    pub place: BufferPlace,
}

/// The dtype, the global shape and the sharding of a tensor.
///
/// ```
/// use std::sync::Arc;
/// use dcp_types::{DType, DeviceMesh, Placement::*, TensorSpec};
/// let mesh = Arc::new(DeviceMesh::new([2, 2])?);
/// let spec = TensorSpec::sharded(DType::BFloat16, [1000, 64], &mesh, [Shard(0), Replicate])?;
/// assert_eq!(spec.local_shape(0), Some(vec![500, 64]));
/// # Ok::<(), dcp_types::TypesError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    dtype: DType,
    shape: Shape,
    sharding: Sharding,
    /// Of explicit regions: the numbers of the parts, by ascending region.
    by_region: Vec<usize>,
}

impl TensorSpec {
    /// A tensor that each rank that names it has whole.
    ///
    /// # Errors
    /// As [`Shape::new`].
    pub fn replicated<S>(dtype: DType, shape: S) -> Result<Self, TypesError>
    where
        S: TryInto<Shape>,
        TypesError: From<S::Error>,
    {
        Ok(Self { dtype, shape: shape.try_into()?, sharding: Sharding::Replicated, by_region: Vec::new() })
    }

    /// A tensor of which each rank of a mesh has what one placement per mesh dimension gives it.
    ///
    /// # Errors
    /// As [`Shape::new`] and [`ShardGrid::new`].
    pub fn sharded<S>(
        dtype: DType,
        shape: S,
        mesh: &Arc<DeviceMesh>,
        placements: impl IntoIterator<Item = Placement>,
    ) -> Result<Self, TypesError>
    where
        S: TryInto<Shape>,
        TypesError: From<S::Error>,
    {
        let shape = shape.try_into()?;
        let grid = ShardGrid::new(shape.clone(), Arc::clone(mesh), placements.into_iter().collect())?;
        Ok(Self { dtype, shape, sharding: Sharding::Mesh(grid), by_region: Vec::new() })
    }

    /// A tensor of which this rank has the given parts.
    ///
    /// # Errors
    /// As [`Shape::new`], and [`TypesError::OutOfBounds`] if a part is not inside the tensor.
    pub fn regions<S>(dtype: DType, shape: S, parts: impl IntoIterator<Item = HeldPart>) -> Result<Self, TypesError>
    where
        S: TryInto<Shape>,
        TypesError: From<S::Error>,
    {
        let shape = shape.try_into()?;
        let parts: Vec<_> = parts.into_iter().collect();
        if let Some(out) = parts.iter().find(|part| !part.region.fits(shape.dims())) {
            return Err(TypesError::OutOfBounds { region: out.region.clone(), extents: shape.dims().to_vec() });
        }
        let mut by_region: Vec<usize> = (0..parts.len()).collect();
        by_region.sort_by_key(|&number| &parts[number].region);
        Ok(Self { dtype, shape, sharding: Sharding::Regions(parts), by_region })
    }

    /// The dtype.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The shape of the whole tensor.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// How it lies over the ranks.
    #[must_use]
    pub fn sharding(&self) -> &Sharding {
        &self.sharding
    }

    /// The shape that a rank's local buffer must have; `None` if the sharding leaves that open
    /// (explicit regions), or the rank is not in the mesh.
    #[must_use]
    pub fn local_shape(&self, rank: Rank) -> Option<Vec<u64>> {
        match &self.sharding {
            Sharding::Replicated => Some(self.shape.dims().to_vec()),
            Sharding::Mesh(grid) => grid.local_shape(rank),
            Sharding::Regions(_) => None,
        }
    }

    /// The non-empty parts that a rank holds.
    #[must_use]
    pub fn parts(&self, rank: Rank) -> Vec<HeldPart> {
        match &self.sharding {
            Sharding::Replicated => {
                let origin = vec![0; self.shape.dims().len()];
                vec![HeldPart { region: Region::full(&self.shape), place: BufferPlace::Box(origin) }]
            }
            Sharding::Mesh(grid) => grid
                .held_by(rank)
                .into_iter()
                .map(|held| HeldPart { region: held.region, place: BufferPlace::Box(held.buffer_offsets) })
                .collect(),
            Sharding::Regions(parts) => parts.clone(),
        }
        .into_iter()
        .filter(|part| !part.region.is_empty())
        .collect()
    }

    /// The one of a rank's [`parts`](Self::parts) that is this region, without making the others. (A strided shard has many parts for few runs: its
    /// runs in each dimension are gone through.)
    #[must_use]
    pub fn part(&self, rank: Rank, region: &Region) -> Option<HeldPart> {
        match &self.sharding {
            Sharding::Replicated => {
                let is_whole = !region.is_empty() && *region == Region::full(&self.shape);
                let place = || BufferPlace::Box(vec![0; region.ndim()]);
                is_whole.then(|| HeldPart { region: region.clone(), place: place() })
            }
            Sharding::Mesh(grid) => {
                let held = grid.held_part(rank, region)?;
                Some(HeldPart { region: held.region, place: BufferPlace::Box(held.buffer_offsets) })
            }
            Sharding::Regions(parts) => {
                let at = self.by_region.partition_point(|&number| parts[number].region < *region);
                let part = &parts[*self.by_region.get(at)?];
                (part.region == *region && !region.is_empty()).then(|| part.clone())
            }
        }
    }

    /// Checks that a local buffer of a rank is what the sharding says.
    ///
    /// # Errors
    /// [`TypesError::LocalDType`], [`TypesError::LocalShape`], [`TypesError::OutOfBounds`], [`TypesError::NotFlat`].
    pub fn check_buffer(&self, rank: Rank, dtype: DType, extents: &[u64]) -> Result<(), TypesError> {
        if dtype != self.dtype {
            return Err(TypesError::LocalDType { expected: self.dtype, found: dtype });
        }
        let expected = match &self.sharding {
            Sharding::Replicated => Some(self.shape.dims().into()),
            Sharding::Mesh(grid) => grid.local_extents(rank),
            Sharding::Regions(_) => None,
        };
        if let Some(expected) = expected {
            let fits = *expected == *extents || expected.contains(&0) && extents.contains(&0);
            let mismatch = || TypesError::LocalShape { expected: expected.to_vec(), found: extents.to_vec() };
            return if fits { Ok(()) } else { Err(mismatch()) };
        }
        let Sharding::Regions(parts) = &self.sharding else { return Ok(()) };
        for HeldPart { region, place } in parts.iter().filter(|part| !part.region.is_empty()) {
            let in_buffer = match place {
                BufferPlace::Box(offsets) => Region::new(offsets.iter().copied(), region.sizes().iter().copied())?,
                BufferPlace::Flat(_) if extents.len() != 1 => return Err(TypesError::NotFlat),
                BufferPlace::Flat(start) => Region::new([*start], [region.numel()])?,
            };
            if !in_buffer.fits(extents) {
                return Err(TypesError::OutOfBounds { region: in_buffer, extents: extents.to_vec() });
            }
        }
        Ok(())
    }
}
