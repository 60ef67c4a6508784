//! What is done to elements after they have been read.

use dcp_storage::{Layout, PostStep, StorageError, StoreTraits};
use dcp_types::DType;
use dcp_types::Region;

use crate::support::{Place, extent, naive, noise, strided, tensor};

/// How many numbers an element has, and what kind.
fn numbers(dtype: DType) -> Option<(usize, Kind)> {
    let size = dtype.size() as usize;
    Some(match dtype {
        DType::Bool | DType::Float8E8M0Fnu => return None,
        DType::Complex32 | DType::Complex64 | DType::Complex128 => (size / 2, Kind::Sign(0x80)),
        DType::Float8E4M3FnUz | DType::Float8E5M2FnUz => (1, Kind::SignButZero),
        DType::Float4E2M1FnX2 => (1, Kind::Sign(0x88)),
        dtype if dtype.name().contains("int") => (size, Kind::Whole),
        _ => (size, Kind::Sign(0x80)),
    })
}

enum Kind {
    Whole,
    Sign(u8),
    SignButZero,
}

/// The slow way, a number at a time.
fn negated(number: &mut [u8], kind: &Kind) {
    match kind {
        Kind::Whole => {
            let mut wide = [0; 16];
            wide[..number.len()].copy_from_slice(number);
            number.copy_from_slice(&u128::from_le_bytes(wide).wrapping_neg().to_le_bytes()[..number.len()]);
        }
        Kind::Sign(bits) => number[number.len() - 1] ^= bits,
        Kind::SignButZero if number[0] & 0x7F == 0 => {}
        Kind::SignButZero => number[0] ^= 0x80,
    }
}

fn stepped(mut elements: Vec<u8>, dtype: DType, steps: &[PostStep]) -> Vec<u8> {
    for step in steps {
        match step {
            PostStep::SwapBytes(unit) => elements.chunks_mut(*unit as usize).for_each(<[u8]>::reverse),
            PostStep::Conjugate => {
                let half = dtype.size() as usize / 2;
                elements.chunks_mut(half).skip(1).step_by(2).for_each(|part| negated(part, &Kind::Sign(0x80)));
            }
            PostStep::Negate => {
                let (size, kind) = numbers(dtype).expect("has a sign");
                elements.chunks_mut(size).for_each(|number| negated(number, &kind));
            }
            other => panic!("{other:?}"),
        }
    }
    elements
}

fn applicable(dtype: DType) -> Vec<Vec<PostStep>> {
    let unit = numbers(dtype).map_or(1, |(size, _)| size as u64);
    let mut all = vec![vec![PostStep::SwapBytes(unit)], vec![PostStep::SwapBytes(dtype.size())]];
    if numbers(dtype).is_some() {
        all.push(vec![PostStep::Negate]);
        all.push(vec![PostStep::SwapBytes(unit), PostStep::Negate]);
    }
    if dtype.name().starts_with("complex") {
        all.push(vec![PostStep::Conjugate]);
        all.push(vec![PostStep::SwapBytes(unit), PostStep::Conjugate, PostStep::Negate]);
    }
    all
}

/// Contiguous, off any multiple of an element, permuted, padded, tangled; read whole and in part.
#[test]
fn every_step_on_every_dtype_that_has_it() {
    let layouts: [(u64, [u64; 2]); 5] = [(0, [9, 1]), (7, [9, 1]), (0, [1, 7]), (5, [11, 1]), (1, [2, 1])];
    let mut traits = StoreTraits::default();
    traits.read_size = 50;
    for &dtype in DType::ALL {
        for steps in applicable(dtype) {
            for (first, strides) in layouts {
                let payload = noise(7 + 77 * dtype.size() as usize);
                let layout = Layout { steps: steps.clone(), ..strided(first, &strides) };
                let entries = vec![(tensor(dtype, &[7, 9]), extent(0, &payload, layout, 0))];
                let place = Place::with(&payload, entries, traits.clone());
                for (offsets, sizes) in [([0, 0], [7, 9]), ([2, 3], [4, 5]), ([3, 0], [2, 9])] {
                    let region = Region::new(offsets, sizes).expect("region");
                    let raw = naive(&payload, first, &strides, dtype.size(), &region);
                    let expected = stepped(raw, dtype, &steps);
                    let item = || place.part(0, region.clone());
                    let context = format!("{steps:?} of {dtype} at {strides:?} from {first}: {region}");
                    assert_eq!(place.bytes(dtype, item()).expect("reads").0, expected, "{context}");
                    assert_eq!(place.reversed(dtype, item()).expect("reads").0, expected, "{context}, reversed");
                    assert_eq!(place.sunk(item()).expect("reads").0, expected, "{context}, to a sink");
                }
            }
        }
    }
}

/// Checksums are of what is stored; pieces of buffers do not cut elements.
#[test]
fn large_chunks_are_verified_before_anything_is_done_to_them() {
    let payload = noise(16 * 200_000 + 9);
    let steps = vec![PostStep::SwapBytes(8), PostStep::Conjugate];
    for (first, block) in [(9, 1 << 40), (9, 1 << 12), (0, 70_001)] {
        let layout = Layout { steps: steps.clone(), ..strided(first, &[1]) };
        let entries = || vec![(tensor(DType::Complex128, &[200_000]), extent(0, &payload, layout.clone(), block))];
        let mut traits = StoreTraits::default();
        traits.read_size = 1_000_003;
        let raw = payload[first as usize..][..3_200_000].to_vec();
        let expected = stepped(raw, DType::Complex128, &steps);
        for verify in [dcp_storage::Verify::Covered, dcp_storage::Verify::All] {
            let place = Place::with(&payload, entries(), traits.clone()).verify(verify);
            assert!(place.bytes(DType::Complex128, place.whole(0)).expect("reads").0 == expected);
            assert!(place.sunk(place.whole(0)).expect("reads").0 == expected);
        }
    }
}

#[test]
fn steps_that_mean_nothing_are_corrupt() {
    let wrong = [
        (DType::Bool, PostStep::Negate),
        (DType::Float8E8M0Fnu, PostStep::Negate),
        (DType::Float32, PostStep::Conjugate),
        (DType::Int64, PostStep::Conjugate),
        (DType::Float32, PostStep::SwapBytes(0)),
        (DType::Float32, PostStep::SwapBytes(3)),
        (DType::Float32, PostStep::SwapBytes(8)),
        (DType::Float32, PostStep::SwapBytes(u64::MAX)),
    ];
    for (dtype, step) in wrong {
        let layout = Layout { steps: vec![step], ..Layout::default() };
        let place = Place::tensor(dtype, &[2], &noise(2 * dtype.size() as usize), layout);
        let outcome = place.bytes(dtype, place.whole(0));
        assert!(matches!(outcome, Err(StorageError::Corrupt { .. })), "{step:?} of {dtype}: {outcome:?}");
    }
}
