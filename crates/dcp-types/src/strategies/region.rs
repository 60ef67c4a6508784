//! Regions.

use proptest::collection::vec;
use proptest::sample::Index;
use proptest::strategy::Strategy;

use crate::{Region, Shape};

/// A shape and a region inside it.
pub fn regions() -> impl Strategy<Value = (Shape, Region)> + Clone {
    super::shapes().prop_flat_map(|shape| {
        let regions = regions_in(&shape);
        regions.prop_map(move |region| (shape.clone(), region))
    })
}

/// Regions inside a tensor of this shape, empty ones among them.
pub fn regions_in(shape: &Shape) -> impl Strategy<Value = Region> + Clone + use<> {
    let extents = shape.dims().to_vec();
    let bounds = vec(proptest::prelude::any::<(Index, Index)>(), extents.len());
    bounds.prop_map(move |bounds| {
        let pick = |index: &Index, extent: u64| index.index(extent as usize + 1) as u64;
        let ends = extents.iter().zip(&bounds).map(|(&extent, (a, b))| (pick(a, extent), pick(b, extent)));
        let (offsets, sizes): (Vec<_>, Vec<_>) = ends.map(|(a, b)| (a.min(b), a.abs_diff(b))).unzip();
        Region::new(offsets, sizes).expect("a region inside a shape")
    })
}
