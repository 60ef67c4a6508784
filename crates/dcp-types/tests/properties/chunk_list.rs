//! Listed chunks: what tiles is taken, what does not is named.

use dcp_types::{ChunkList, Region, TypesError, strategies};
use proptest::prelude::*;
use proptest::sample::Index;

fn tilings() -> impl Strategy<Value = strategies::Tiling> {
    strategies::shapes().prop_flat_map(|shape| strategies::tilings(&shape, 8))
}

/// Tilings of tensors that have an element.
fn filled() -> impl Strategy<Value = strategies::Tiling> {
    tilings().prop_filter("the tensor is empty", |tiling| tiling.shape.numel() > 0)
}

fn tilings_and_regions() -> impl Strategy<Value = (strategies::Tiling, Region)> {
    tilings().prop_flat_map(|tiling| {
        let regions = strategies::regions_in(&tiling.shape);
        (Just(tiling), regions)
    })
}

/// The region with its end in a dimension moved.
fn stretched(region: &Region, dim: usize, by: i64) -> Region {
    let sizes = region.sizes().iter().enumerate();
    let sizes = sizes.map(|(at, &size)| if at == dim { size.saturating_add_signed(by) } else { size });
    Region::new(region.offsets().iter().copied(), sizes).expect("small")
}

proptest! {
    #[test]
    fn tilings_are_taken_in_their_order(tiling in tilings()) {
        let list = ChunkList::new(&tiling.shape, tiling.regions());
        let kept: Vec<Region> = tiling.regions().into_iter().filter(|region| !region.is_empty()).collect();
        prop_assert_eq!(list.as_ref().map(ChunkList::regions), Ok(kept.as_slice()));
    }

    #[test]
    fn meeting_finds_what_a_search_finds((tiling, region) in tilings_and_regions()) {
        let list = ChunkList::new(&tiling.shape, tiling.regions()).expect("tiles");
        let meets = |number: &u32| list.regions()[*number as usize].intersect(&region).is_some();
        let expected: Vec<u32> = (0..list.regions().len() as u32).filter(meets).collect();
        prop_assert_eq!(list.meeting(&region), expected);
    }

    #[test]
    fn a_missing_region_is_a_hole(tiling in filled(), pick in any::<Index>()) {
        let mut regions = tiling.regions();
        let taken = regions.remove(pick.index(regions.len()));
        let total = tiling.shape.numel();
        prop_assert_eq!(
            ChunkList::new(&tiling.shape, regions),
            Err(TypesError::Hole { covered: total - taken.numel(), total })
        );
    }

    #[test]
    fn a_region_twice_overlaps_itself(tiling in filled(), pick in any::<Index>(), at in any::<Index>()) {
        let mut regions = tiling.regions();
        let twice = regions[pick.index(regions.len())].clone();
        regions.insert(at.index(regions.len() + 1), twice.clone());
        let list = ChunkList::new(&tiling.shape, regions);
        prop_assert_eq!(list, Err(TypesError::Overlap(Box::new((twice.clone(), twice)))));
    }

    #[test]
    fn a_region_that_ends_elsewhere_is_refused(
        tiling in filled(),
        pick in any::<Index>(),
        dim in any::<Index>(),
        by in prop_oneof![-3..0i64, 1..4i64],
    ) {
        if tiling.shape.dims().is_empty() {
            return Ok(());
        }
        let mut regions = tiling.regions();
        let pick = pick.index(regions.len());
        let dim = dim.index(tiling.shape.dims().len());
        let (old, new) = (regions[pick].clone(), stretched(&regions[pick], dim, by));
        regions[pick] = new.clone();
        let total = tiling.shape.numel();
        match ChunkList::new(&tiling.shape, regions) {
            Err(TypesError::OutOfBounds { region, extents }) => {
                prop_assert!(new.end(dim) > tiling.shape.dims()[dim]);
                prop_assert_eq!((region, extents), (new, tiling.shape.dims().to_vec()));
            }
            Err(TypesError::Overlap(pair)) => {
                prop_assert!(by > 0 && new.end(dim) <= tiling.shape.dims()[dim]);
                prop_assert!(pair.0 == new || pair.1 == new);
                prop_assert!(pair.0 != pair.1 && pair.0.intersect(&pair.1).is_some());
            }
            Err(TypesError::Hole { covered, total: all }) => {
                prop_assert!(by < 0);
                prop_assert_eq!((covered, all), (total - old.numel() + new.numel(), total));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn a_region_of_another_tensor_is_out_of_bounds(tiling in tilings(), at in any::<Index>()) {
        let dims = tiling.shape.dims().len() + 1;
        let stranger = Region::new(vec![0; dims], vec![1; dims]).expect("small");
        let mut regions = tiling.regions();
        regions.insert(at.index(regions.len() + 1), stranger.clone());
        prop_assert_eq!(
            ChunkList::new(&tiling.shape, regions),
            Err(TypesError::OutOfBounds { region: stranger, extents: tiling.shape.dims().to_vec() })
        );
    }
}
