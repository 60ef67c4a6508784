//! Regions that cut one dimension only, as row sharding does: sorted, they are searched by bisection.

use crate::{Region, Shape};

/// Regions one behind the other in a dimension, each full in all others.
#[derive(Clone, Debug)]
pub(super) struct Bands {
    dim: usize,
    /// The numbers of the regions, by offset.
    order: Box<[u32]>,
}

impl Bands {
    /// `None` if the regions, none of them empty and all inside, do not tile a tensor of this shape in this way.
    pub(super) fn new(shape: &Shape, regions: &[Region]) -> Option<Self> {
        let extents = shape.dims();
        let is_full = |region: &Region, dim: usize| region.sizes()[dim] == extents[dim];
        let first = regions.first()?;
        let dim = (0..extents.len()).find(|&dim| !is_full(first, dim))?;
        let is_band = |region: &Region| (0..extents.len()).all(|at| at == dim || is_full(region, at));
        if !regions.iter().all(is_band) {
            return None;
        }
        let start = |number: &u32| regions[*number as usize].offsets()[dim];
        let mut order: Box<[u32]> = (0..u32::try_from(regions.len()).ok()?).collect();
        order.sort_unstable_by_key(start);
        let mut end = 0;
        let touch =
            order.iter().all(|number| start(number) == std::mem::replace(&mut end, regions[*number as usize].end(dim)));
        (touch && end == extents[dim]).then_some(Self { dim, order })
    }

    /// The numbers of those that share an element with `region`, by offset.
    pub(super) fn meeting(&self, regions: &[Region], region: &Region) -> impl Iterator<Item = u32> {
        let (low, high) = (region.offsets()[self.dim], region.end(self.dim));
        let from = self.order.partition_point(|number| regions[*number as usize].end(self.dim) <= low);
        let ahead = self.order[from..].iter().copied();
        ahead
            .take_while(move |number| regions[*number as usize].offsets()[self.dim] < high)
            .filter(|number| regions[*number as usize].intersect(region).is_some())
    }
}
