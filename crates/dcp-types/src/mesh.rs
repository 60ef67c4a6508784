//! Device meshes.

use std::fmt;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{Rank, TypesError};

/// An n-dimensional arrangement of ranks, as PyTorch's `DeviceMesh`.
///
/// ```
/// use dcp_types::DeviceMesh;
/// let mesh = DeviceMesh::new([4, 2])?.with_names(["dp", "tp"])?;
/// assert_eq!(mesh.coordinate_of(5), Some(vec![2, 1]));
/// assert_eq!(mesh.rank_at(&[2, 1]), 5);
/// # Ok::<(), dcp_types::TypesError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "WireMesh", into = "WireMesh")]
pub struct DeviceMesh {
    shape: Vec<u32>,
    names: Vec<String>,
    ranks: RankList,
    /// Of listed ranks, ascending: where each stands.
    positions: Vec<(Rank, u32)>,
}

/// A place in a mesh: one index per dimension.
pub(crate) type Coordinate = SmallVec<[u32; 4]>;

/// Which rank stands at which (row-major) position.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum RankList {
    /// `start + Σ coordinate[i] · strides[i]`: whole worlds and the slices of them. A dimension of one rank has
    /// stride 0, so that equal meshes have equal forms.
    #[serde(rename = "a")]
    Affine { start: Rank, strides: Vec<u32> },
    /// Anything else.
    #[serde(rename = "l")]
    Listed(Vec<Rank>),
}

impl DeviceMesh {
    /// The most ranks a mesh can have.
    pub const MAX_RANKS: u64 = 1 << 24;

    /// The ranks from 0 on, in row-major order.
    ///
    /// # Errors
    /// [`TypesError::Mesh`] if a dimension is 0 or there are more than [`MAX_RANKS`](Self::MAX_RANKS) ranks.
    pub fn new(shape: impl IntoIterator<Item = u32>) -> Result<Self, TypesError> {
        let shape: Vec<u32> = shape.into_iter().collect();
        check_shape(&shape)?;
        let strides = canonical(&shape, row_major(&shape));
        Ok(Self { names: Vec::new(), ranks: RankList::Affine { start: 0, strides }, positions: Vec::new(), shape })
    }

    /// The given ranks in row-major order: a part of a world, or a world in another order.
    ///
    /// # Errors
    /// As [`new`](Self::new), and if the number of ranks is not that of the mesh or a rank occurs twice.
    pub fn of_ranks(shape: impl IntoIterator<Item = u32>, ranks: Vec<Rank>) -> Result<Self, TypesError> {
        let shape: Vec<u32> = shape.into_iter().collect();
        let size = check_shape(&shape)?;
        if ranks.len() as u64 != size {
            return Err(TypesError::Mesh(format!("shape {shape:?} needs {size} ranks, found {}", ranks.len())));
        }
        let mut positions: Vec<(Rank, u32)> = ranks.iter().copied().zip(0..).collect();
        positions.sort_unstable();
        if let Some(twice) = positions.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(TypesError::Mesh(format!("rank {} occurs twice", twice[0].0)));
        }
        let names = Vec::new();
        Ok(match affine(&shape, &ranks) {
            Some(ranks) => Self { shape, names, ranks, positions: Vec::new() },
            None => Self { shape, names, ranks: RankList::Listed(ranks), positions },
        })
    }

    /// The same mesh with named dimensions.
    ///
    /// # Errors
    /// [`TypesError::DimsMismatch`] if there is not one name per dimension.
    pub fn with_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, TypesError> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.len() != self.shape.len() {
            let (expected, found) = (self.shape.len(), names.len());
            return Err(TypesError::DimsMismatch { what: "mesh dimension names", expected, found });
        }
        self.names = names;
        Ok(self)
    }

    /// The extents of the mesh.
    #[must_use]
    pub fn shape(&self) -> &[u32] {
        &self.shape
    }

    /// The names of its dimensions; none if they have no names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many ranks it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.shape.iter().map(|&ways| u64::from(ways)).product()
    }

    /// The rank at a coordinate.
    ///
    /// # Panics
    /// If the coordinate is not inside the mesh.
    #[must_use]
    pub fn rank_at(&self, coordinate: &[u32]) -> Rank {
        assert!(coordinate.len() == self.shape.len() && coordinate.iter().zip(&self.shape).all(|(c, ways)| c < ways));
        match &self.ranks {
            RankList::Affine { start, strides } => start + dot(coordinate, strides),
            RankList::Listed(ranks) => ranks[dot(coordinate, &row_major(&self.shape)) as usize],
        }
    }

    /// The coordinate of a rank; `None` if it is not in the mesh.
    #[must_use]
    pub fn coordinate_of(&self, rank: Rank) -> Option<Vec<u32>> {
        self.locate(rank).map(Coordinate::into_vec)
    }

    /// The same on the stack: asked for each tensor of a rank.
    pub(crate) fn locate(&self, rank: Rank) -> Option<Coordinate> {
        match &self.ranks {
            RankList::Affine { start, strides } => {
                let mut rest = rank.checked_sub(*start)?;
                let mut coordinate = Coordinate::from_elem(0, self.shape.len());
                for dim in by_descending_stride(strides) {
                    // A dimension of one rank has stride 0.
                    if self.shape[dim] > 1 {
                        coordinate[dim] = (rest / strides[dim]).min(self.shape[dim] - 1);
                        rest -= coordinate[dim] * strides[dim];
                    }
                }
                (rest == 0).then_some(coordinate)
            }
            RankList::Listed(_) => {
                let found = self.positions.binary_search_by_key(&rank, |(listed, _)| *listed).ok()?;
                Some(unravel(self.positions[found].1.into(), &self.shape))
            }
        }
    }

    /// The ranks in row-major order.
    pub fn ranks(&self) -> impl Iterator<Item = Rank> + '_ {
        (0..self.size()).map(|position| match &self.ranks {
            RankList::Affine { start, strides } => start + dot(&unravel(position, &self.shape), strides),
            RankList::Listed(ranks) => ranks[position as usize],
        })
    }
}

impl fmt::Debug for DeviceMesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self
            .shape
            .iter()
            .enumerate()
            .map(|(dim, ways)| self.names.get(dim).map_or(ways.to_string(), |name| format!("{name}={ways}")))
            .collect();
        write!(f, "mesh({})", dims.join(", "))
    }
}

/// The number of ranks.
fn check_shape(shape: &[u32]) -> Result<u64, TypesError> {
    if shape.len() > crate::Shape::MAX_DIMS {
        return Err(TypesError::TooManyDims(shape.len()));
    }
    let size = shape.iter().try_fold(1u64, |size, &ways| size.checked_mul(u64::from(ways)));
    match size {
        Some(1..=DeviceMesh::MAX_RANKS) => Ok(size.unwrap_or(1)),
        _ => Err(TypesError::Mesh(format!("shape {shape:?} has no ranks, or too many"))),
    }
}

fn row_major(shape: &[u32]) -> Vec<u32> {
    let mut strides = vec![1; shape.len()];
    for dim in (0..shape.len().saturating_sub(1)).rev() {
        strides[dim] = strides[dim + 1] * shape[dim + 1];
    }
    strides
}

/// The strides with 0 where a dimension has one rank.
fn canonical(shape: &[u32], mut strides: Vec<u32>) -> Vec<u32> {
    for (stride, &ways) in strides.iter_mut().zip(shape) {
        if ways == 1 {
            *stride = 0;
        }
    }
    strides
}

fn dot(coordinate: &[u32], strides: &[u32]) -> u32 {
    coordinate.iter().zip(strides).map(|(c, stride)| c * stride).sum()
}

fn unravel(mut position: u64, shape: &[u32]) -> Coordinate {
    let mut coordinate = Coordinate::from_elem(0, shape.len());
    for dim in (0..shape.len()).rev() {
        let ways = u64::from(shape[dim]);
        coordinate[dim] = u32::try_from(position % ways).unwrap_or(0);
        position /= ways;
    }
    coordinate
}

fn by_descending_stride(strides: &[u32]) -> SmallVec<[usize; 4]> {
    let mut dims: SmallVec<[usize; 4]> = (0..strides.len()).collect();
    // Those of a mesh of ranks in their own order are.
    if !strides.is_sorted_by(|a, b| a >= b) {
        dims.sort_by_key(|&dim| std::cmp::Reverse(strides[dim]));
    }
    dims
}

/// The affine form of a list of ranks, if it has one.
fn affine(shape: &[u32], ranks: &[Rank]) -> Option<RankList> {
    let start = *ranks.first()?;
    let positions = row_major(shape);
    let mut strides = vec![0; shape.len()];
    for (dim, &ways) in shape.iter().enumerate() {
        if ways > 1 {
            strides[dim] = ranks[positions[dim] as usize].checked_sub(start)?;
        }
    }
    check_affine(shape, start, &strides).ok()?;
    let fits = |(position, &rank): (usize, &Rank)| rank == start + dot(&unravel(position as u64, shape), &strides);
    ranks.iter().enumerate().all(fits).then_some(RankList::Affine { start, strides })
}

/// Distinct ranks, none above `u32::MAX`: each stride steps over all that smaller strides can reach.
fn check_affine(shape: &[u32], start: Rank, strides: &[u32]) -> Result<(), TypesError> {
    let mut reach = 0u64;
    for dim in by_descending_stride(strides).into_iter().rev() {
        if shape[dim] > 1 {
            if u64::from(strides[dim]) <= reach {
                return Err(TypesError::Mesh(format!("strides {strides:?} over {shape:?} repeat ranks")));
            }
            reach += u64::from(strides[dim]) * u64::from(shape[dim] - 1);
        }
    }
    match u32::try_from(u64::from(start) + reach) {
        Ok(_) => Ok(()),
        Err(_) => Err(TypesError::Mesh(format!("strides {strides:?} over {shape:?} overflow"))),
    }
}

#[derive(Serialize, Deserialize)]
struct WireMesh(Vec<u32>, Vec<String>, RankList);

impl From<DeviceMesh> for WireMesh {
    fn from(mesh: DeviceMesh) -> Self {
        Self(mesh.shape, mesh.names, mesh.ranks)
    }
}

impl TryFrom<WireMesh> for DeviceMesh {
    type Error = TypesError;
    fn try_from(WireMesh(shape, names, ranks): WireMesh) -> Result<Self, TypesError> {
        check_shape(&shape)?;
        let mesh = match ranks {
            RankList::Affine { start, strides } if strides.len() == shape.len() => {
                check_affine(&shape, start, &strides)?;
                let strides = canonical(&shape, strides);
                Self { shape, names: Vec::new(), ranks: RankList::Affine { start, strides }, positions: Vec::new() }
            }
            RankList::Affine { strides, .. } => {
                let (expected, found) = (shape.len(), strides.len());
                return Err(TypesError::DimsMismatch { what: "mesh strides", expected, found });
            }
            RankList::Listed(ranks) => Self::of_ranks(shape, ranks)?,
        };
        if names.is_empty() { Ok(mesh) } else { mesh.with_names(names) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_of_a_world_stay_symbolic() {
        // The ranks of tp=1 in a (dp=4, tp=2) world.
        let mesh = DeviceMesh::of_ranks([4], vec![1, 3, 5, 7]).expect("mesh");
        assert!(matches!(mesh.ranks, RankList::Affine { start: 1, .. }));
        assert_eq!(mesh.ranks().collect::<Vec<_>>(), [1, 3, 5, 7]);
        assert_eq!((mesh.coordinate_of(5), mesh.coordinate_of(4), mesh.coordinate_of(9)), (Some(vec![2]), None, None));
        assert_eq!(mesh.ranks().max(), Some(7));
    }

    #[test]
    fn any_order_of_ranks_is_kept() {
        let mesh = DeviceMesh::of_ranks([2, 2], vec![3, 1, 0, 2]).expect("mesh");
        assert_eq!(mesh.ranks().collect::<Vec<_>>(), [3, 1, 0, 2]);
        assert_eq!((mesh.rank_at(&[1, 0]), mesh.coordinate_of(2)), (0, Some(vec![1, 1])));
        let transposed = DeviceMesh::of_ranks([2, 3], vec![0, 2, 4, 1, 3, 5]).expect("mesh");
        assert!(matches!(transposed.ranks, RankList::Affine { .. }));
        assert_eq!(transposed.coordinate_of(3), Some(vec![1, 1]));
    }

    #[test]
    fn meshes_that_are_none_are_refused() {
        assert!(DeviceMesh::new([2, 0]).is_err());
        assert!(DeviceMesh::new([1 << 13, 1 << 13]).is_err());
        assert!(DeviceMesh::of_ranks([2], vec![0, 0]).is_err());
        assert!(DeviceMesh::of_ranks([2], vec![0]).is_err());
        let decoded = |wire: WireMesh| DeviceMesh::try_from(wire);
        let affine = |start, strides| RankList::Affine { start, strides };
        assert!(decoded(WireMesh(vec![2, 2], vec![], affine(0, vec![1, 1]))).is_err());
        assert!(decoded(WireMesh(vec![2, 2], vec![], affine(u32::MAX, vec![2, 1]))).is_err());
        assert!(decoded(WireMesh(vec![2, 2], vec![], affine(0, vec![2]))).is_err());
        assert!(decoded(WireMesh(vec![2, 2], vec!["dp".into()], affine(0, vec![2, 1]))).is_err());
    }
}
