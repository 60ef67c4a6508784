//! What differs in elements, with exact figures.

use dcp::crates::dcp_types::reexports::half::{bf16, f16};
use dcp::{Comparer, DType, Error};

use crate::support::{elements, elements_with, figures, floats, tensor};

const INF: f64 = f64::INFINITY;

#[test]
fn one_changed_element_is_found() {
    let left: Vec<f32> = (0..5000).map(|number| number as f32).collect();
    let mut right = left.clone();
    right[4321] = 4320.0;
    let found = elements(floats("w", &[50, 100], &left), floats("w", &[50, 100], &right)).expect("they differ");
    assert_eq!((found.of, found.first.as_slice()), (5000, &[43, 21][..]));
    assert_eq!(figures(Some(found)), Some((1, 0, vec![43, 21], Some(1.0), Some(1.0 / 4320.0))));
    assert_eq!(elements(floats("w", &[50, 100], &left), floats("w", &[50, 100], &left)), None);
}

#[test]
fn the_largest_differences_are_told_each_for_itself() {
    let found = elements(floats("w", &[4], &[1.0, 100.0, 0.25, 7.0]), floats("w", &[4], &[1.0, 104.0, 0.125, 7.0]));
    assert_eq!(figures(found), Some((2, 0, vec![1], Some(4.0), Some(1.0))));
    let found = elements(floats("w", &[2], &[0.5, 3.0]), floats("w", &[2], &[0.0, 2.0]));
    assert_eq!(figures(found), Some((2, 0, vec![0], Some(1.0), Some(INF))));
}

#[test]
fn tensors_without_dimensions_and_without_elements_are_compared() {
    assert_eq!(
        figures(elements(floats("w", &[], &[2.0]), floats("w", &[], &[4.0]))),
        Some((1, 0, vec![], Some(2.0), Some(0.5)))
    );
    assert_eq!(elements(floats("w", &[], &[2.0]), floats("w", &[], &[2.0])), None);
    for shape in [&[0][..], &[3, 0, 2]] {
        assert_eq!(elements(floats("w", shape, &[]), floats("w", shape, &[])), None);
    }
}

#[test]
fn zeros_differ_by_their_sign_unless_there_is_a_tolerance() {
    let pair = || (floats("w", &[2], &[0.0, 1.0]), floats("w", &[2], &[-0.0, 1.0]));
    let (left, right) = pair();
    assert_eq!(figures(elements(left, right)), Some((1, 0, vec![0], Some(0.0), Some(0.0))));
    let (left, right) = pair();
    assert_eq!(elements_with(&|| Comparer::new().atol(1e-30).expect("fine"), left, right), None);
}

#[test]
fn nan_is_nan_unless_told_otherwise() {
    let payload = f32::from_bits(0x7fc0_0001);
    let left = || floats("w", &[4], &[f32::NAN, payload, 1.0, f32::NAN]);
    let right = || floats("w", &[4], &[f32::NAN, f32::NAN, f32::NAN, 2.0]);
    assert_eq!(figures(elements(left(), right())), Some((2, 2, vec![2], None, None)));
    let strict = || Comparer::new().equal_nan(false);
    assert_eq!(figures(elements_with(&strict, left(), right())), Some((4, 4, vec![0], None, None)));
    // Bytes that are the same are looked at, too.
    let nan = || floats("w", &[3000], &[[1.0; 2999].as_slice(), &[f32::NAN]].concat());
    assert_eq!(figures(elements_with(&strict, nan(), nan())), Some((1, 1, vec![2999], None, None)));
    assert_eq!(elements(nan(), nan()), None);
}

#[test]
fn tolerances_count_from_their_edge() {
    let pair = || (floats("w", &[3], &[1.0, 8.0, -4.0]), floats("w", &[3], &[1.5, 8.0, -4.5]));
    let differing = |rtol: f64, atol: f64| {
        let comparer = || Comparer::new().rtol(rtol).and_then(|comparer| comparer.atol(atol)).expect("tolerances");
        let (left, right) = pair();
        elements_with(&comparer, left, right).map_or(0, |found| found.differing)
    };
    assert_eq!([differing(0.0, 0.0), differing(0.0, 0.499), differing(0.0, 0.5)], [2, 2, 0]);
    assert_eq!([differing(0.1, 0.0), differing(0.12, 0.0), differing(0.34, 0.0)], [2, 1, 0]);
    assert_eq!([differing(0.1, 0.05), differing(0.25, 0.125)], [1, 0]);
    for wrong in [-1.0, f64::NAN, INF] {
        assert!(matches!(Comparer::new().rtol(wrong), Err(Error::Tolerance { .. })));
        assert!(matches!(Comparer::new().atol(wrong), Err(Error::Tolerance { .. })));
    }
}

#[test]
fn every_kind_of_number_is_compared() {
    let ints = |dtype, elements: [i64; 2]| tensor("w", dtype, &[2], &elements, i64::to_le_bytes);
    let found = elements(ints(DType::Int64, [i64::MIN, 5]), ints(DType::Int64, [i64::MAX, 5]));
    let rel = u64::MAX as f64 / i64::MAX as f64;
    assert_eq!(figures(found), Some((1, 0, vec![0], Some(u64::MAX as f64), Some(rel))));
    // One apart, which is nothing as 64-bit floats.
    let found = elements(ints(DType::UInt64, [-1, 1 << 60]), ints(DType::UInt64, [-2, (1 << 60) + 1]));
    assert_eq!(figures(found), Some((2, 0, vec![0], Some(1.0), Some(1.0 / (1u64 << 60) as f64))));

    let bytes = |dtype, elements: [u8; 3]| tensor("w", dtype, &[3], &elements, u8::to_le_bytes);
    let found = elements(bytes(DType::Bool, [0, 1, 1]), bytes(DType::Bool, [0, 0, 1]));
    assert_eq!(figures(found), Some((1, 0, vec![1], Some(1.0), Some(INF))));
    // 1.0, NaN, 448; 1.125, NaN, -448.
    let found =
        elements(bytes(DType::Float8E4M3Fn, [0x38, 0x7f, 0x7e]), bytes(DType::Float8E4M3Fn, [0x39, 0xff, 0xfe]));
    assert_eq!(figures(found), Some((2, 0, vec![0], Some(896.0), Some(2.0))));

    let half = |elements: [f32; 2]| tensor("w", DType::Float16, &[2], &elements, |x| f16::from_f32(x).to_le_bytes());
    assert_eq!(figures(elements(half([1.0, 2.0]), half([1.0, 2.5]))), Some((1, 0, vec![1], Some(0.5), Some(0.2))));
    let brain = |elements: [f32; 2]| tensor("w", DType::BFloat16, &[2], &elements, |x| bf16::from_f32(x).to_le_bytes());
    assert_eq!(
        figures(elements(brain([1.0, 2.0]), brain([3.0, 2.0]))),
        Some((1, 0, vec![0], Some(2.0), Some(2.0 / 3.0)))
    );

    let complex = |elements: [f32; 4]| tensor("w", DType::Complex64, &[2], &elements, f32::to_le_bytes);
    let found = elements(complex([3.0, 4.0, 1.0, f32::NAN]), complex([0.0, 0.0, f32::NAN, 1.0]));
    assert_eq!(figures(found), Some((1, 0, vec![0], Some(5.0), Some(INF))));
}

#[test]
fn what_is_no_number_is_compared_by_its_bits() {
    for dtype in [DType::Float8E8M0Fnu, DType::Float8E4M3FnUz, DType::Float4E2M1FnX2] {
        let bytes = |elements: [u8; 3]| tensor("w", dtype, &[3], &elements, u8::to_le_bytes);
        let tolerant = || Comparer::new().atol(1e9).expect("fine").equal_nan(false);
        // Nothing but the format that can hold them.
        let stores = [bytes([1, 0x80, 3]), bytes([1, 0x81, 4])].map(|tensor| crate::support::save(&[tensor]));
        let comparison = crate::support::compare_with(tolerant(), &stores[0], &stores[1]);
        let [difference] = &comparison.differences[..] else { panic!("{comparison:?}") };
        let dcp::Mismatch::Elements(found) = &difference.mismatch else { panic!("{comparison:?}") };
        assert_eq!(figures(Some(found.clone())), Some((2, 0, vec![1], None, None)), "{dtype}");
    }
}
