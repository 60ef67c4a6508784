//! Boxes of elements, and the runs of memory that they are.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::shape::{Dims, WireDims, check_extents};
use crate::{Shape, TypesError};

/// An axis-parallel box of elements: offsets and sizes, one per dimension.
///
/// ```
/// use dcp_types::Region;
/// let left = Region::new([0, 0], [4, 6])?;
/// let right = Region::new([2, 3], [4, 6])?;
/// assert_eq!(left.intersect(&right), Some(Region::new([2, 3], [2, 3])?));
/// assert_eq!(left.to_string(), "[0:4, 0:6]");
/// # Ok::<(), dcp_types::TypesError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "(WireDims, WireDims)")]
pub struct Region {
    offsets: Dims,
    sizes: Dims,
}

impl Region {
    /// Checks a region.
    ///
    /// # Errors
    /// [`TypesError::DimsMismatch`] if there are not as many offsets as sizes, and
    /// [`TypesError::TooManyDims`] or [`TypesError::TooLarge`] if ends or element counts could overflow.
    pub fn new(
        offsets: impl IntoIterator<Item = u64>,
        sizes: impl IntoIterator<Item = u64>,
    ) -> Result<Self, TypesError> {
        let offsets: Dims = offsets.into_iter().take(Shape::MAX_DIMS + 1).collect();
        let sizes: Dims = sizes.into_iter().take(Shape::MAX_DIMS + 1).collect();
        Self::try_from((offsets, sizes))
    }

    /// Everything of a tensor of this shape.
    #[must_use]
    pub fn full(shape: &Shape) -> Self {
        Self { offsets: Dims::from_elem(0, shape.dims().len()), sizes: shape.dims().into() }
    }

    /// The first index in each dimension.
    #[must_use]
    #[inline]
    pub fn offsets(&self) -> &[u64] {
        &self.offsets
    }

    /// The extent in each dimension.
    #[must_use]
    #[inline]
    pub fn sizes(&self) -> &[u64] {
        &self.sizes
    }

    /// The number of dimensions.
    #[must_use]
    #[inline]
    pub fn ndim(&self) -> usize {
        self.sizes.len()
    }

    /// One past the last index of a dimension.
    #[must_use]
    #[inline]
    pub fn end(&self, dim: usize) -> u64 {
        self.offsets[dim] + self.sizes[dim]
    }

    /// The number of elements.
    #[must_use]
    #[inline]
    pub fn numel(&self) -> u64 {
        self.sizes.iter().product()
    }

    /// Whether the region has no element.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.sizes.contains(&0)
    }

    /// The elements in both regions; `None` if there are none.
    #[must_use]
    #[inline]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        if self.ndim() != other.ndim() {
            return None;
        }
        let mut both = self.clone();
        for dim in 0..self.ndim() {
            let start = self.offsets[dim].max(other.offsets[dim]);
            let end = self.end(dim).min(other.end(dim));
            if start >= end {
                return None;
            }
            both.offsets[dim] = start;
            both.sizes[dim] = end - start;
        }
        Some(both)
    }

    /// Whether the regions share an element.
    #[must_use]
    #[inline]
    pub fn meets(&self, other: &Self) -> bool {
        let meets = |dim: usize| self.offsets[dim].max(other.offsets[dim]) < self.end(dim).min(other.end(dim));
        self.ndim() == other.ndim() && (0..self.ndim()).all(meets)
    }

    /// Whether `inner` lies inside this region. An empty one lies where its offsets are.
    #[must_use]
    pub fn contains(&self, inner: &Self) -> bool {
        self.ndim() == inner.ndim()
            && (0..self.ndim()).all(|dim| self.offsets[dim] <= inner.offsets[dim] && inner.end(dim) <= self.end(dim))
    }

    /// Whether the region lies inside a tensor of these extents.
    #[must_use]
    #[inline]
    pub fn fits(&self, extents: &[u64]) -> bool {
        self.ndim() == extents.len() && (0..self.ndim()).all(|dim| self.end(dim) <= extents[dim])
    }

    /// This region in the coordinates of `outer`, which contains it.
    ///
    /// # Errors
    /// [`TypesError::OutOfBounds`] if `outer` does not contain it.
    pub fn relative_to(&self, outer: &Self) -> Result<Self, TypesError> {
        if !outer.contains(self) {
            return Err(TypesError::OutOfBounds { region: self.clone(), extents: outer.sizes.to_vec() });
        }
        let offsets = self.offsets.iter().zip(&outer.offsets).map(|(own, base)| own - base).collect();
        Ok(Self { offsets, sizes: self.sizes.clone() })
    }

    /// The same region with every offset raised by `by`.
    ///
    /// # Errors
    /// As [`Region::new`]; [`TypesError::DimsMismatch`] if there is not one shift per dimension.
    pub fn shifted(&self, by: &[u64]) -> Result<Self, TypesError> {
        if by.len() != self.ndim() {
            return Err(TypesError::DimsMismatch { what: "shift", expected: self.ndim(), found: by.len() });
        }
        let offsets = self.offsets.iter().zip(by).map(|(own, add)| own.saturating_add(*add)).collect();
        Self::try_from((offsets, self.sizes.clone()))
    }

    /// Cuts before index `at` of a dimension, from the region's first index to one past its last.
    ///
    /// # Panics
    /// If there is no such dimension, or `at` is not in that range.
    #[must_use]
    pub fn split(&self, dim: usize, at: u64) -> (Self, Self) {
        assert!(self.offsets[dim] <= at && at <= self.end(dim), "a cut at {at} in dimension {dim} of {self}");
        let (mut low, mut high) = (self.clone(), self.clone());
        low.sizes[dim] = at - self.offsets[dim];
        high.offsets[dim] = at;
        high.sizes[dim] = self.end(dim) - at;
        (low, high)
    }

    /// The same region with its dimensions in another order: dimension `d` of the result is dimension `order[d]` of this.
    ///
    /// # Errors
    /// [`TypesError::Order`] if `order` does not name every dimension once.
    pub fn permute(&self, order: &[usize]) -> Result<Self, TypesError> {
        check_order(order, self.ndim())?;
        let pick = |dims: &Dims| order.iter().map(|&dim| dims[dim]).collect();
        Ok(Self { offsets: pick(&self.offsets), sizes: pick(&self.sizes) })
    }
}

/// That an order of dimensions names each once.
pub(crate) fn check_order(order: &[usize], ndim: usize) -> Result<(), TypesError> {
    let is_permutation = order.len() == ndim && (0..ndim).all(|dim| order.contains(&dim));
    if is_permutation { Ok(()) } else { Err(TypesError::Order(order.to_vec())) }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for dim in 0..self.ndim() {
            let separator = if dim == 0 { "" } else { ", " };
            write!(f, "{separator}{}:{}", self.offsets[dim], self.end(dim))?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<(Dims, Dims)> for Region {
    type Error = TypesError;
    fn try_from((offsets, sizes): (Dims, Dims)) -> Result<Self, TypesError> {
        if offsets.len() != sizes.len() {
            return Err(TypesError::DimsMismatch { what: "region", expected: sizes.len(), found: offsets.len() });
        }
        check_extents(&sizes)?;
        let ends_fit = offsets
            .iter()
            .zip(&sizes)
            .all(|(offset, size)| offset.checked_add(*size).is_some_and(|end| i64::try_from(end).is_ok()));
        if ends_fit { Ok(Self { offsets, sizes }) } else { Err(TypesError::TooLarge(offsets.to_vec())) }
    }
}

impl TryFrom<(WireDims, WireDims)> for Region {
    type Error = TypesError;
    fn try_from((WireDims(offsets), WireDims(sizes)): (WireDims, WireDims)) -> Result<Self, TypesError> {
        Self::try_from((offsets, sizes))
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.offsets(), self.sizes()).serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(offsets: &[u64], sizes: &[u64]) -> Region {
        Region::new(offsets.iter().copied(), sizes.iter().copied()).expect("valid")
    }

    #[test]
    fn regions_whose_arithmetic_could_overflow_are_refused() {
        assert_eq!(Region::new([u64::MAX], [1]), Err(TypesError::TooLarge(vec![u64::MAX])));
        assert_eq!(Region::new([0], [u64::MAX]), Err(TypesError::TooLarge(vec![u64::MAX])));
        assert!(matches!(Region::new([0], []), Err(TypesError::DimsMismatch { .. })));
    }

    #[test]
    fn touching_regions_do_not_meet() {
        assert_eq!(region(&[0], &[4]).intersect(&region(&[4], &[4])), None);
        assert_eq!(region(&[0], &[4]).intersect(&region(&[2], &[0])), None);
        assert_eq!(region(&[], &[]).intersect(&region(&[], &[])), Some(region(&[], &[])));
    }
}
