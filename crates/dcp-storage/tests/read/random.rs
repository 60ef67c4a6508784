//! Random shapes, strides, regions and stores against picking elements one by one.

use dcp_storage::StoreTraits;
use dcp_types::{DType, Region};
use proptest::prelude::*;

use crate::support::{Place, extent, naive, noise, strided, tensor};

#[derive(Debug)]
struct Case {
    shape: Vec<u64>,
    strides: Vec<u64>,
    first: u64,
    region: Region,
    dtype: DType,
    traits: StoreTraits,
    block: usize,
}

/// Half of the chunks lie in some order of their dimensions, with padding; the others have any strides.
fn cases() -> impl Strategy<Value = Case> {
    let dims = proptest::collection::vec((1..6u64, any::<u64>(), 0..3u64, 0..30u64, any::<[u64; 2]>()), 0..5);
    let dtypes = prop_oneof![Just(DType::Int8), Just(DType::Float16), Just(DType::Float32), Just(DType::Complex128)];
    let traits = (1..200u64, 0..2000u64, 0..40u64);
    (dims, any::<bool>(), 0..40u64, dtypes, traits, 1..3000usize).prop_map(
        |(dims, ordered, first, dtype, (read_size, longest_read, coalesce_gap), block)| {
            let shape: Vec<u64> = dims.iter().map(|dim| dim.0).collect();
            let mut strides: Vec<u64> = dims.iter().map(|dim| dim.3).collect();
            if ordered {
                let mut order: Vec<usize> = (0..dims.len()).collect();
                order.sort_by_key(|&dim| dims[dim].1);
                let mut next = 1;
                for dim in order {
                    strides[dim] = next + dims[dim].2;
                    next = strides[dim] * shape[dim];
                }
            }
            let offsets: Vec<u64> = dims.iter().map(|dim| dim.4[0] % dim.0).collect();
            let sizes = dims.iter().zip(&offsets).map(|(dim, offset)| dim.4[1] % (dim.0 - offset) + 1);
            let region = Region::new(offsets.clone(), sizes).expect("region");
            let mut traits = StoreTraits::default();
            (traits.read_size, traits.longest_read) = (read_size, longest_read);
            traits.coalesce_gap = coalesce_gap;
            Case { shape, strides, first, region, dtype, traits, block }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_region_of_any_layout(case in cases()) {
        let Case { shape, strides, first, region, dtype, traits, block } = case;
        let reach: u64 = shape.iter().zip(&strides).map(|(size, stride)| (size - 1) * stride).sum();
        let payload = noise((first + (reach + 1) * dtype.size()) as usize + 5);
        let locator = extent(3, &payload, strided(first, &strides), block);
        let file = [&[0; 3], payload.as_slice(), &[0; 9]].concat();
        let expected = naive(&payload, first, &strides, dtype.size(), &region);
        for verify in [dcp_storage::Verify::Covered, dcp_storage::Verify::All] {
            let entries = vec![(tensor(dtype, &shape), locator.clone())];
            let place = Place::with(&file, entries, traits.clone()).verify(verify);
            let item = || place.part(0, region.clone());
            let found = [place.bytes(dtype, item()), place.reversed(dtype, item()), place.sunk(item())];
            for outcome in found {
                let (found, report) = outcome.expect("reads");
                prop_assert_eq!(&found, &expected);
                prop_assert_eq!(report.needed, expected.len() as u64);
                prop_assert!(report.verified <= report.needed);
                if verify == dcp_storage::Verify::All {
                    prop_assert_eq!(report.verified, report.needed);
                }
            }
        }
    }
}
