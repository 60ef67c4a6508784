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

/// Strides of an array with some space between its elements, rows, planes.
fn padded(extents: &[u64], pads: &[u64]) -> Vec<u64> {
    let (mut strides, mut span) = (vec![1; extents.len()], 1);
    for dim in (0..extents.len()).rev() {
        strides[dim] = span + pads[dim];
        span = strides[dim] * extents[dim].max(1);
    }
    strides
}

/// The indices of a region's elements, row-major.
fn indices(region: &Region) -> Vec<Vec<u64>> {
    let index = |mut number: u64| {
        let mut index = region.offsets().to_vec();
        for dim in (0..region.ndim()).rev() {
            index[dim] += number % region.sizes()[dim];
            number /= region.sizes()[dim];
        }
        index
    };
    (0..region.numel()).map(index).collect()
}

/// Some order of dimensions.
pub(crate) fn order(ndim: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ndim).collect();
    order.sort_by_key(|&dim| seed.rotate_left(11 * dim as u32).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    order
}

proptest! {
    #[test]
    fn intersect_is_what_both_have((shape, a, b) in two_regions()) {
        let (of_a, of_b) = (elements(&shape, &a), elements(&shape, &b));
        let both: BTreeSet<u32> = of_a.intersection(&of_b).copied().collect();
        let found = a.intersect(&b);
        prop_assert_eq!(found.as_ref().map(|found| elements(&shape, found)), (!both.is_empty()).then_some(both));
        prop_assert_eq!((a.meets(&b), b.meets(&a)), (found.is_some(), found.is_some()));
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
    fn strided_runs_are_the_elements_in_as_few_pieces_as_can_be(
        (shape, region) in strategies::regions(),
        pads in proptest::collection::vec(0..3u64, 64),
    ) {
        let strides = padded(shape.dims(), &pads);
        let runs = region.strided_runs(shape.dims(), &strides).expect("ascending");
        let length = runs.run_length();
        let starts: Vec<u64> = runs.clone().collect();
        prop_assert_eq!(starts.len() as u64, runs.remaining());
        let along: Vec<u64> = starts.iter().flat_map(|start| *start..start + length).collect();
        let places = indices(&region).into_iter().map(|index| index.iter().zip(&strides).map(|(at, by)| at * by).sum());
        prop_assert_eq!(along, places.collect::<Vec<u64>>());
        let gap = starts.windows(2).map(|pair| pair[1] - pair[0] - length).min();
        prop_assert_eq!(runs.gap(), gap.unwrap_or(0));
        prop_assert!(gap != Some(0), "runs of {} at {:?} touch", length, starts);
    }

    #[test]
    fn elements_that_share_memory_have_no_runs((shape, region) in strategies::regions(), at in any::<prop::sample::Index>()) {
        let wide: Vec<usize> = (0..shape.dims().len()).filter(|&dim| shape.dims()[dim] > 1).collect();
        if wide.is_empty() || shape.numel() == 0 {
            return Ok(());
        }
        let mut strides = padded(shape.dims(), &[0; 64]);
        let dim = wide[at.index(wide.len())];
        strides[dim] -= 1;
        prop_assert_eq!(region.strided_runs(shape.dims(), &strides).err(), Some(TypesError::Strides(strides.clone())));
        strides[dim] = u64::MAX;
        prop_assert_eq!(region.strided_runs(shape.dims(), &strides).err(), Some(TypesError::Strides(strides.clone())));
    }

    #[test]
    fn a_permuted_region_has_the_permuted_elements((_, region) in strategies::regions(), seed in any::<u64>()) {
        let order = order(region.ndim(), seed);
        let permuted = region.permute(&order).expect("an order");
        let there: BTreeSet<Vec<u64>> = indices(&permuted).into_iter().collect();
        let pick = |index: Vec<u64>| order.iter().map(|&dim| index[dim]).collect::<Vec<u64>>();
        prop_assert_eq!(there, indices(&region).into_iter().map(pick).collect::<BTreeSet<_>>());
        let mut twice = order.clone();
        twice.push(0);
        prop_assert_eq!(region.permute(&twice), Err(TypesError::Order(twice.clone())));
        if region.ndim() > 1 {
            let same = vec![0; region.ndim()];
            prop_assert_eq!(region.permute(&same), Err(TypesError::Order(same.clone())));
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
