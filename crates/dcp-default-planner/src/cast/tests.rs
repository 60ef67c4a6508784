use bytemuck::{AnyBitPattern, NoUninit};
use dcp_types::{ElementMut, Region};
use float8::{F8E4M3, F8E5M2};
use half::{bf16, f16};
use num_complex::Complex;
use proptest::prelude::*;

use super::*;

fn converted<T: AnyBitPattern>(from: DType, to: DType, elements: &[impl NoUninit]) -> Vec<T> {
    let elements: &[u8] = bytemuck::cast_slice(elements);
    let mut out = vec![0; elements.len() / from.size() as usize * to.size() as usize];
    let convert = scalar::converter(from, to).expect("a conversion");
    convert(elements, &mut out);
    out.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
}

/// Between Rust types that are dtypes.
fn to<T: ElementMut>(elements: &[impl ElementMut]) -> Vec<T> {
    fn dtype<E: ElementMut>(_: &[E]) -> DType {
        E::DTYPE
    }
    converted(dtype(elements), T::DTYPE, elements)
}

#[test]
fn floats_become_integers_towards_zero() {
    let floats = [-1.9f32, -0.5, 0.5, 1.9, 2.5];
    assert_eq!(to::<i32>(&floats), [-1, 0, 0, 1, 2]);
    assert_eq!(to::<i8>(&[1e9f64, -1e9, f64::NAN, f64::INFINITY]), [127, -128, 0, 127]);
    assert_eq!(to::<u8>(&[bf16::from_f32(-3.0), bf16::from_f32(300.0)]), [0, 255]);
    assert_eq!(to::<u64>(&[f64::MAX]), [u64::MAX]);
}

#[test]
fn integers_keep_their_low_bits() {
    assert_eq!(to::<i8>(&[-1i64, 255, 128, 1 << 40]), [-1, -1, -128, 0]);
    assert_eq!(to::<u64>(&[-1i8]), [u64::MAX]);
    assert_eq!(to::<i64>(&[u64::MAX]), [-1]);
    assert_eq!(to::<u16>(&[0xabcd_1234u32]), [0x1234]);
}

#[test]
fn integers_become_the_nearest_float() {
    // Through f64 it would be rounded twice: to 2^24 and a tie.
    let twice = (1u64 << 60) + (1 << 36) + 1;
    assert_eq!(to::<f32>(&[twice]), [twice as f32]);
    assert_eq!(to::<f64>(&[u64::MAX, 1 << 63]), [u64::MAX as f64, (1u64 << 63) as f64]);
    assert_eq!(to::<f16>(&[70_000i32, -2049]), [f16::INFINITY, f16::from_f32(-2048.0)]);
}

#[test]
fn truth_is_whatever_is_not_zero() {
    let is_true = |from, elements: &[u8]| converted::<u8>(from, DType::Bool, elements);
    assert_eq!(is_true(DType::UInt8, &[0, 1, 7]), [0, 1, 1]);
    let floats = [0f32, -0.0, 0.25, f32::NAN];
    assert_eq!(is_true(DType::Float32, bytemuck::cast_slice(&floats)), [0, 0, 1, 1]);
    let complex = [[0f32, 0.0], [0.0, 2.0]];
    assert_eq!(is_true(DType::Complex64, bytemuck::cast_slice(&complex)), [0, 1]);
    // A byte that is no bool counts as true.
    assert_eq!(converted::<f32>(DType::Bool, DType::Float32, &[0u8, 1, 2]), [0.0, 1.0, 1.0]);
}

#[test]
fn complex_numbers_lose_and_gain_their_imaginary_part() {
    let complex = [Complex::new(1.5f32, -2.0), Complex::new(-3.7, 9.0)];
    assert_eq!(to::<f64>(&complex), [1.5, f64::from(-3.7f32)]);
    assert_eq!(to::<i32>(&complex), [1, -3]);
    assert_eq!(to::<Complex<f64>>(&[7i64]), [Complex::new(7.0, 0.0)]);
    let half = |re, im| Complex::new(f16::from_f32(re), f16::from_f32(im));
    assert_eq!(to::<Complex<f16>>(&complex), [half(1.5, -2.0), half(-3.7, 9.0)]);
}

#[test]
fn narrow_floats_are_rounded_from_float32() {
    // f64 -> f32 makes it a tie, and the tie goes to the even neighbour: PyTorch does the same.
    let above_a_tie = 1.0 + f64::from(f16::EPSILON) / 2.0 + 1e-12;
    assert_eq!(to::<f16>(&[above_a_tie]), [f16::ONE]);
    assert_eq!(to::<bf16>(&[f32::MAX, 1.0 + 1.0 / 256.0]), [bf16::INFINITY, bf16::ONE]);
}

/// Every value of an 8-bit float, by its definition; the number of its bits for the exponent and its bias.
fn value_of(bits: u8, mantissa_bits: u32, bias: i32) -> f64 {
    let magnitude = i32::from(bits & 0x7f);
    let (exponent, mantissa) = (magnitude >> mantissa_bits, magnitude & ((1 << mantissa_bits) - 1));
    let (lead, exponent) = if exponent == 0 { (0, 1) } else { (1 << mantissa_bits, exponent) };
    let value = f64::from(lead + mantissa) * 2f64.powi(exponent - bias - mantissa_bits as i32);
    if bits & 0x80 == 0 { value } else { -value }
}

#[test]
fn eight_bit_floats_are_what_their_definition_says() {
    let all: Vec<u8> = (0..=255).collect();
    let decoded = converted::<f64>(DType::Float8E4M3Fn, DType::Float64, &all);
    for (bits, value) in all.iter().zip(decoded) {
        let nan = bits & 0x7f == 0x7f;
        assert!(if nan { value.is_nan() } else { value == value_of(*bits, 3, 7) }, "{bits:#x}: {value}");
    }
    let decoded = converted::<f32>(DType::Float8E5M2, DType::Float32, &all);
    for (bits, value) in all.iter().zip(decoded) {
        let matches = match bits & 0x7f {
            0x7c => value.is_infinite() && value.is_sign_negative() == (bits & 0x80 != 0),
            0x7d.. => value.is_nan(),
            _ => f64::from(value) == value_of(*bits, 2, 15),
        };
        assert!(matches, "{bits:#x}: {value}");
    }
}

#[test]
fn eight_bit_floats_have_no_number_beyond_their_largest() {
    let e4m3 = |values: &[f32]| converted::<u8>(DType::Float32, DType::Float8E4M3Fn, values);
    assert_eq!(e4m3(&[448.0, 464.0, 464.1, -1e9, f32::INFINITY]), [0x7e, 0x7e, 0x7f, 0xff, 0x7f]);
    assert_eq!(e4m3(&[f32::NAN, -0.0])[..], [0x7f, 0x80]);
    let e5m2 = |values: &[f32]| converted::<u8>(DType::Float32, DType::Float8E5M2, values);
    assert_eq!(e5m2(&[57344.0, 61439.0, 61440.0, f32::NEG_INFINITY]), [0x7b, 0x7b, 0x7c, 0xfc]);
    assert!(F8E5M2::from_bits(e5m2(&[f32::NAN])[0]).is_nan() && F8E4M3::from_bits(e4m3(&[f32::NAN])[0]).is_nan());
}

/// The nearest of the finite values with these bits; of two, the one with even bits.
fn nearest(value: f32, largest: u8, decode: impl Fn(u8) -> f64) -> u8 {
    let magnitude = f64::from(value.abs());
    let distance = |bits: &u8| (decode(*bits) - magnitude).abs();
    let mut best = 0;
    for bits in 1..=largest {
        let closer = distance(&bits).total_cmp(&distance(&best));
        if closer.is_lt() || (closer.is_eq() && bits % 2 == 0) {
            best = bits;
        }
    }
    if value.is_sign_negative() { best | 0x80 } else { best }
}

proptest! {
    #[test]
    fn eight_bit_floats_are_the_nearest(fraction in -1f32..1.0, exponent in -20..16i32) {
        let value = fraction * 2f32.powi(exponent);
        if value.abs() <= 448.0 {
            let bits = converted::<u8>(DType::Float32, DType::Float8E4M3Fn, &[value])[0];
            prop_assert_eq!(bits, nearest(value, 0x7e, |bits| value_of(bits, 3, 7)), "{}", value);
        }
        if value.abs() <= 57344.0 {
            let bits = converted::<u8>(DType::Float32, DType::Float8E5M2, &[value])[0];
            prop_assert_eq!(bits, nearest(value, 0x7b, |bits| value_of(bits, 2, 15)), "{}", value);
        }
    }

    #[test]
    fn what_a_wider_dtype_holds_comes_back(bits in any::<u16>(), int in any::<i32>()) {
        let (half, brain) = (f16::from_bits(bits), bf16::from_bits(bits));
        let back: Vec<f16> = to(&to::<Complex<f64>>(&to::<f32>(&[half])));
        prop_assert!(back[0] == half || (back[0].is_nan() && half.is_nan()));
        let back: Vec<bf16> = to(&to::<f64>(&[brain]));
        prop_assert!(back[0] == brain || (back[0].is_nan() && brain.is_nan()));
        prop_assert_eq!(to::<i32>(&to::<f64>(&[int])), [int]);
    }

    #[test]
    fn bytes_may_come_in_any_portions(
        elements in proptest::collection::vec(any::<i64>(), 6),
        portions in proptest::collection::vec(0..11usize, 0..20),
        through_a_sink in any::<bool>(),
    ) {
        // Into a transposed view, so that no shortcut is taken.
        let mut array = ndarray::Array2::<f32>::zeros((3, 2));
        let mut collected = Vec::new();
        {
            let dest = if through_a_sink {
                Dest::Sink(Box::new(Collect(&mut collected)))
            } else {
                Dest::Memory(ViewMut::from_array(array.view_mut().reversed_axes().into_dyn()))
            };
            let Some(Dest::Sink(mut sink)) = cast(DType::Int64, DType::Float32, dest) else { panic!("no sink") };
            let mut rest: &[u8] = bytemuck::cast_slice(&elements);
            for portion in portions {
                let (now, later) = rest.split_at(portion.min(rest.len()));
                sink.write(now).expect("takes");
                rest = later;
            }
            sink.write(rest).expect("takes");
        }
        let expected: Vec<f32> = elements.iter().map(|&element| element as f32).collect();
        let found: Vec<f32> = if through_a_sink {
            collected.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect()
        } else {
            array.t().iter().copied().collect()
        };
        prop_assert_eq!(found, expected);
    }
}

struct Collect<'a>(&'a mut Vec<u8>);

impl DataSink for Collect<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

#[test]
fn more_bytes_than_the_destination_has_are_an_error() {
    let mut memory = [0f32; 2];
    let view = ViewMut::from_array(ndarray::ArrayViewMut1::from(&mut memory[..]).into_dyn());
    let region = Region::new([0], [2]).expect("region");
    let dest = Dest::Memory(view.into_slice(&region).expect("inside"));
    let Some(Dest::Sink(mut sink)) = cast(DType::UInt8, DType::Float32, dest) else { panic!("no sink") };
    assert!(sink.write(&[1, 2]).is_ok());
    assert!(sink.write(&[3]).is_err());
}

#[test]
fn each_dtype_that_is_a_number_converts_to_each() {
    use DType::{Float4E2M1FnX2, Float8E4M3FnUz, Float8E5M2FnUz, Float8E8M0Fnu};
    let none = [Float4E2M1FnX2, Float8E4M3FnUz, Float8E5M2FnUz, Float8E8M0Fnu];
    for &from in DType::ALL {
        for &to in DType::ALL {
            assert_eq!(converts(from, to), !none.contains(&from) && !none.contains(&to), "{from} to {to}");
        }
    }
}
