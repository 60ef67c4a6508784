//! Regions against ndarray's slices.

use std::collections::BTreeSet;

use dcp_types::{Region, Shape, TypesError, strategies};
use proptest::prelude::*;

use crate::arrays::{counting, slice_of};

/// The numbers of a region's elements in a tensor of a shape.
fn elements(shape: &Shape, region: &Region) -> BTreeSet<u32> {
    slice_of(numbers(shape).view(), region).iter().copied().collect()
}

fn numbers(shape: &Shape) -> ndarray::ArrayD<u32> {
    let mut array = counting::<u32>(shape.dims());
    array.iter_mut().zip(0..).for_each(|(element, number)| *element = number);
    array
}

fn two_regions() -> impl Strategy<Value = (Shape, Region, Region)> {
    strategies::shapes().prop_flat_map(|shape| {
        let regions = || strategies::regions_in(&shape);
        (Just(shape.clone()), regions(), regions())
    })
}

proptest! {
    #[test]
    fn intersect_is_what_both_have((shape, a, b) in two_regions()) {
        let (of_a, of_b) = (elements(&shape, &a), elements(&shape, &b));
        let both: BTreeSet<u32> = of_a.intersection(&of_b).copied().collect();
        let found = a.intersect(&b);
        prop_assert_eq!(found.as_ref().map(|found| elements(&shape, found)), (!both.is_empty()).then_some(both));
        prop_assert_eq!(found, b.intersect(&a));
        prop_assert_eq!(of_a.len() as u64, a.numel());
        prop_assert_eq!(of_a.is_empty(), a.is_empty());
    }

    #[test]
    fn contains_is_having_all((shape, a, b) in two_regions()) {
        prop_assert!(Region::full(&shape).contains(&a) && a.fits(shape.dims()));
        if a.contains(&b) {
            prop_assert!(elements(&shape, &b).is_subset(&elements(&shape, &a)));
        } else if !b.is_empty() {
            prop_assert!(!elements(&shape, &b).is_subset(&elements(&shape, &a)));
        }
    }

    #[test]
    fn relative_regions_have_the_same_elements((shape, outer, b) in two_regions()) {
        match outer.intersect(&b) {
            Some(inner) => {
                let relative = inner.relative_to(&outer).expect("inside");
                let numbers = numbers(&shape);
                prop_assert_eq!(
                    slice_of(slice_of(numbers.view(), &outer), &relative),
                    slice_of(numbers.view(), &inner)
                );
                prop_assert_eq!(relative.shifted(outer.offsets()), Ok(inner));
            }
            None if !b.is_empty() => {
                prop_assert!(matches!(b.relative_to(&outer), Err(TypesError::OutOfBounds { .. })), "{b} in {outer}");
            }
            None => {}
        }
    }

    #[test]
    fn a_cut_parts_the_elements(
        (shape, region) in strategies::regions(),
        dim in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
    ) {
        if region.ndim() == 0 {
            return Ok(());
        }
        let dim = dim.index(region.ndim());
        let at = region.offsets()[dim] + at.index(region.sizes()[dim] as usize + 1) as u64;
        let (low, high) = region.split(dim, at);
        prop_assert_eq!((low.end(dim), high.offsets()[dim]), (at, at));
        prop_assert_eq!(low.intersect(&high), None);
        let parts: BTreeSet<u32> = &elements(&shape, &low) | &elements(&shape, &high);
        prop_assert_eq!(parts, elements(&shape, &region));
    }

    #[test]
    fn runs_are_the_slice_in_as_few_pieces_as_can_be((shape, region) in strategies::regions()) {
        let runs = region.runs(shape.dims()).expect("inside");
        let length = runs.run_length();
        let starts: Vec<u64> = runs.clone().collect();
        prop_assert_eq!(starts.len() as u64, runs.remaining());
        let along: Vec<u32> = starts.iter().flat_map(|start| *start as u32..(start + length) as u32).collect();
        let numbers = numbers(&shape);
        prop_assert_eq!(along, slice_of(numbers.view(), &region).iter().copied().collect::<Vec<_>>());
        let least = starts.windows(2).all(|pair| pair[0] + length < pair[1]);
        prop_assert!(least, "runs of {} at {:?} touch", length, starts);
        if !starts.is_empty() {
            let gap = starts.windows(2).map(|pair| pair[1] - pair[0] - length).min();
            prop_assert_eq!(runs.gap(), gap.unwrap_or(0));
        }
    }

    #[test]
    fn what_does_not_fit_has_no_runs((shape, region) in strategies::regions(), by in 1..4u64) {
        if region.ndim() == 0 {
            return Ok(());
        }
        let mut shift = vec![0; region.ndim()];
        shift[0] = shape.dims()[0] - region.end(0) + by;
        let shifted = region.shifted(&shift).expect("small");
        prop_assert!(!shifted.fits(shape.dims()));
        prop_assert_eq!(
            shifted.runs(shape.dims()).err(),
            Some(TypesError::OutOfBounds { region: shifted, extents: shape.dims().to_vec() })
        );
        let dims = shift.len() - 1;
        prop_assert_eq!(
            region.shifted(&shift[1..]),
            Err(TypesError::DimsMismatch { what: "shift", expected: dims + 1, found: dims })
        );
    }

    #[test]
    fn shapes_and_regions_come_back((shape, region) in strategies::regions()) {
        let encoded = rmp_serde::to_vec(&(&shape, &region)).expect("encodes");
        let decoded: (Shape, Region) = rmp_serde::from_slice(&encoded).expect("decodes");
        prop_assert_eq!(decoded, (shape, region));
    }
}
