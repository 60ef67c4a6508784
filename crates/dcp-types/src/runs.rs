//! Regions as runs of memory.

use crate::shape::Dims;
use crate::{Region, TypesError};

impl Region {
    /// The contiguous runs of this region in a row-major array of the given extents, which it fits.
    ///
    /// # Errors
    /// [`TypesError::OutOfBounds`] if it does not fit.
    pub fn runs(&self, extents: &[u64]) -> Result<Runs, TypesError> {
        self.strided_runs(extents, &row_major(extents))
    }

    /// The contiguous runs of this region in an array of the given extents, which it fits, whose elements lie at the given
    /// strides (in elements): padded rows, every second column.
    ///
    /// # Errors
    /// [`TypesError::OutOfBounds`] if it does not fit; [`TypesError::Strides`] if the elements do not lie in ascending order,
    /// each for itself: in a dimension of more than one element a stride must lead past everything that the dimensions inside
    /// it span.
    pub fn strided_runs(&self, extents: &[u64], strides: &[u64]) -> Result<Runs, TypesError> {
        if !self.fits(extents) {
            return Err(TypesError::OutOfBounds { region: self.clone(), extents: extents.to_vec() });
        }
        if strides.len() != extents.len() {
            let (expected, found) = (extents.len(), strides.len());
            return Err(TypesError::DimsMismatch { what: "strides", expected, found });
        }
        if !extents.contains(&0) && !is_ascending(extents, strides) {
            return Err(TypesError::Strides(strides.to_vec()));
        }
        Ok(Runs::new(self, strides))
    }
}

/// The contiguous runs of a [`Region`] in an array: starts in ascending order, one length.
///
/// Counted in elements. Yields the start of each run.
#[derive(Clone, Debug)]
pub struct Runs {
    length: u64,
    remaining: u64,
    position: u64,
    /// Innermost first: (count, stride, index) of the dimensions that jump between runs.
    jumps: SmallJumps,
}

type SmallJumps = smallvec::SmallVec<[(u64, u64, u64); 4]>;

impl Runs {
    fn new(region: &Region, strides: &[u64]) -> Self {
        let mut runs = Self { length: 1, remaining: 1, position: 0, jumps: SmallJumps::new() };
        if region.is_empty() {
            (runs.length, runs.remaining) = (0, 0);
            return runs;
        }
        for (dim, &stride) in strides.iter().enumerate().rev() {
            let size = region.sizes()[dim];
            // A dimension of one element has no stride to speak of.
            runs.position += if region.offsets()[dim] == 0 { 0 } else { region.offsets()[dim] * stride };
            if size == 1 {
                continue;
            }
            if runs.jumps.is_empty() && stride == runs.length {
                runs.length *= size;
            } else {
                runs.remaining *= size;
                runs.jumps.push((size, stride, 0));
            }
        }
        runs
    }

    /// The length of every run, in elements.
    #[must_use]
    pub fn run_length(&self) -> u64 {
        self.length
    }

    /// The smallest number of elements between two runs; 0 if there is just one run.
    #[must_use]
    pub fn gap(&self) -> u64 {
        let mut span = self.length;
        let gaps = self.jumps.iter().map(|(count, stride, _)| {
            let gap = stride - span;
            span += (count - 1) * stride;
            gap
        });
        gaps.min().unwrap_or(0)
    }

    /// How many runs are still to come.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }
}

impl Iterator for Runs {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.remaining == 0 {
            return None;
        }
        let start = self.position;
        self.remaining -= 1;
        for (count, stride, index) in &mut self.jumps {
            *index += 1;
            if *index < *count {
                self.position += *stride;
                break;
            }
            self.position -= (*count - 1) * *stride;
            *index = 0;
        }
        Some(start)
    }
}

/// The strides of a row-major array. Zero extents count as one.
fn row_major(extents: &[u64]) -> Dims {
    let mut strides = Dims::from_elem(1, extents.len());
    for dim in (1..extents.len()).rev() {
        strides[dim - 1] = strides[dim] * extents[dim].max(1);
    }
    strides
}

/// Whether elements in row-major order of their indices lie at ascending places.
fn is_ascending(extents: &[u64], strides: &[u64]) -> bool {
    let mut span = 1u64;
    extents.iter().zip(strides).rev().filter(|(extent, _)| **extent > 1).all(|(&extent, &stride)| {
        let is_past = stride >= span;
        match stride.checked_mul(extent - 1).and_then(|steps| steps.checked_add(span)) {
            Some(longer) if i64::try_from(longer).is_ok() => span = longer,
            _ => return false,
        }
        is_past
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(offsets: &[u64], sizes: &[u64]) -> Region {
        Region::new(offsets.iter().copied(), sizes.iter().copied()).expect("valid")
    }

    #[test]
    fn runs_join_the_dimensions_that_are_whole() {
        let runs = region(&[1, 0, 0], &[2, 3, 4]).runs(&[4, 3, 4]).expect("fits");
        assert_eq!((runs.run_length(), runs.collect::<Vec<_>>()), (24, vec![12]));
        let runs = region(&[1, 1, 2], &[2, 2, 2]).runs(&[4, 3, 4]).expect("fits");
        assert_eq!((runs.run_length(), runs.collect::<Vec<_>>()), (2, vec![18, 22, 30, 34]));
        let scalar = region(&[], &[]).runs(&[]).expect("fits");
        assert_eq!((scalar.run_length(), scalar.collect::<Vec<_>>()), (1, vec![0]));
        assert_eq!(region(&[0, 3], &[4, 0]).runs(&[4, 3]).expect("fits").count(), 0);
    }

    #[test]
    fn strides_may_leave_gaps_but_not_share() {
        let padded = region(&[0, 0], &[3, 4]).strided_runs(&[3, 4], &[6, 1]).expect("ascending");
        assert_eq!((padded.run_length(), padded.gap(), padded.collect::<Vec<_>>()), (4, 2, vec![0, 6, 12]));
        let every_third = region(&[1, 1], &[2, 2]).strided_runs(&[3, 3], &[8, 3]).expect("ascending");
        assert_eq!((every_third.gap(), every_third.collect::<Vec<_>>()), (2, vec![11, 14, 19, 22]));
        let ignored = region(&[0, 0], &[1, 4]).strided_runs(&[1, 4], &[u64::MAX, 1]).expect("ascending");
        assert_eq!((ignored.run_length(), ignored.collect::<Vec<_>>()), (4, vec![0]));
        let refused = |strides: [u64; 2]| region(&[0, 0], &[3, 4]).strided_runs(&[3, 4], &strides).err();
        for strides in [[1, 3], [3, 1], [0, 1], [4, 0], [u64::MAX, 1], [1 << 62, 1]] {
            assert_eq!(refused(strides), Some(TypesError::Strides(strides.to_vec())));
        }
        let expected = TypesError::DimsMismatch { what: "strides", expected: 2, found: 1 };
        assert_eq!(region(&[0, 0], &[3, 4]).strided_runs(&[3, 4], &[1]).err(), Some(expected));
    }
}
