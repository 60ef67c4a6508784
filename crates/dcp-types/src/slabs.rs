//! Regions in pieces of a bounded size.

use crate::Region;
use crate::shape::Dims;

impl Region {
    /// Cuts this region into regions of at most so many elements (at least 1) that follow each other in row-major order, each of
    /// which is contiguous in it.
    ///
    /// ```
    /// use dcp_types::Region;
    /// let rows = Region::new([4, 0], [3, 5])?;
    /// let slabs: Vec<Region> = rows.slabs(10).collect();
    /// assert_eq!(slabs, [Region::new([4, 0], [2, 5])?, Region::new([6, 0], [1, 5])?]);
    /// # Ok::<(), dcp_types::TypesError>(())
    /// ```
    #[must_use]
    pub fn slabs(&self, limit: u64) -> Slabs {
        let (sizes, limit) = (self.sizes(), limit.max(1));
        let row = |dim: usize| sizes[dim + 1..].iter().product::<u64>();
        let next = (!self.is_empty()).then(|| Dims::from_elem(0, self.ndim()));
        let dim = (0..self.ndim()).find(|&dim| next.is_none() || row(dim) <= limit).unwrap_or(0);
        let step = if next.is_none() || sizes.is_empty() { 1 } else { (limit / row(dim)).max(1) };
        Slabs { whole: self.clone(), dim, step, next }
    }
}

/// The pieces of a [`Region`], in row-major order.
#[derive(Clone, Debug)]
pub struct Slabs {
    whole: Region,
    /// The dimension that is cut; those before it are taken one index at a time.
    dim: usize,
    /// How many of its indices a slab has.
    step: u64,
    /// Where in the whole the next one starts.
    next: Option<Dims>,
}

impl Iterator for Slabs {
    type Item = Region;

    fn next(&mut self) -> Option<Region> {
        let start = self.next.take()?;
        let extents = self.whole.sizes();
        let size = |(dim, extent): (usize, &u64)| match dim.cmp(&self.dim) {
            std::cmp::Ordering::Less => 1,
            std::cmp::Ordering::Equal => self.step.min(extent - start[dim]),
            std::cmp::Ordering::Greater => *extent,
        };
        let sizes: Dims = extents.iter().enumerate().map(size).collect();
        let mut after = start.clone();
        // As an odometer turns.
        for dim in (0..extents.len().min(self.dim + 1)).rev() {
            after[dim] += sizes[dim];
            if after[dim] < extents[dim] {
                self.next = Some(after);
                break;
            }
            after[dim] = 0;
        }
        let offsets = start.iter().zip(self.whole.offsets()).map(|(start, base)| start + base);
        // A part of a region is one.
        Region::new(offsets, sizes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_follow_each_other_in_row_major_order() {
        for extents in [&[][..], &[7], &[3, 4, 5], &[1, 1, 60], &[60, 1, 1], &[2, 0, 3], &[0]] {
            let whole = Region::new(extents.iter().map(|_| 11), extents.iter().copied()).expect("region");
            for limit in [0, 1, 2, 5, 7, 20, 60, 1000] {
                let mut next = 0;
                for slab in whole.slabs(limit) {
                    assert!(slab.numel() <= limit.max(1), "{extents:?} by {limit}: {slab}");
                    let inner = slab.relative_to(&whole).expect("inside");
                    let runs: Vec<u64> = inner.runs(extents).expect("inside").collect();
                    assert_eq!(runs, [next], "{extents:?} by {limit}: {slab}");
                    next += slab.numel();
                }
                assert_eq!(next, whole.numel(), "{extents:?} by {limit}");
            }
        }
    }
}
