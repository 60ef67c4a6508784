//! Regions that are the cells of a grid, as sharding by rows or in blocks makes them: found by bisection in each dimension.

use smallvec::SmallVec;

use crate::{Region, Shape};

/// Regions one for each cell of a grid of cuts, which need not be even.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    /// Where the pieces of each dimension start.
    starts: Vec<Box<[u64]>>,
    /// The numbers of the regions, by row-major number of their cell.
    order: Box<[u32]>,
}

impl Cells {
    /// `None` if the regions, none of them empty and all inside, do not tile a tensor of this shape in this way.
    pub(super) fn new(shape: &Shape, regions: &[Region]) -> Option<Self> {
        let extents = shape.dims();
        let (mut starts, mut cells) = (Vec::with_capacity(extents.len()), 1usize);
        for dim in 0..extents.len() {
            let mut of_dim: Vec<u64> = regions.iter().map(|region| region.offsets()[dim]).collect();
            of_dim.sort_unstable();
            of_dim.dedup();
            cells = cells.checked_mul(of_dim.len()).filter(|cells| *cells <= regions.len())?;
            starts.push(of_dim.into_boxed_slice());
        }
        if cells != regions.len() || starts.iter().any(|starts| starts.first() != Some(&0)) {
            return None;
        }
        // No region has a number that is this.
        let mut order = vec![u32::MAX; cells].into_boxed_slice();
        for (number, region) in (0..u32::MAX).zip(regions) {
            let mut cell = 0;
            for (dim, starts) in starts.iter().enumerate() {
                let piece = starts.binary_search(&region.offsets()[dim]).ok()?;
                let end = starts.get(piece + 1).unwrap_or(&extents[dim]);
                if region.end(dim) != *end {
                    return None;
                }
                cell = cell * starts.len() + piece;
            }
            if std::mem::replace(&mut order[cell], number) != u32::MAX {
                return None;
            }
        }
        // As many regions as cells, and no cell twice: each has one.
        Some(Self { starts, order })
    }

    /// Calls `hit` with the number of each region that shares an element with `region`.
    pub(super) fn meeting(&self, region: &Region, mut hit: impl FnMut(u32)) {
        let mut pieces: SmallVec<[(usize, usize); 4]> = SmallVec::new();
        for (dim, starts) in self.starts.iter().enumerate() {
            let (low, high) = (region.offsets()[dim], region.end(dim));
            let from = starts.partition_point(|start| *start <= low).saturating_sub(1);
            let to = starts.partition_point(|start| *start < high);
            pieces.push((from, to));
        }
        let count: usize = pieces.iter().map(|(from, to)| to.saturating_sub(*from)).product();
        for number in 0..count {
            // The cell of this row-major number among those that meet.
            let (mut rest, mut cell, mut stride) = (number, 0, 1);
            for (&(from, to), starts) in pieces.iter().zip(&self.starts).rev() {
                cell += stride * (from + rest % (to - from));
                rest /= to - from;
                stride *= starts.len();
            }
            hit(self.order[cell]);
        }
    }
}
