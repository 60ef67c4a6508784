//! The dtypes that can be converted, and the conversion of each to each.

use bytemuck::{AnyBitPattern, NoUninit};
use dcp_types::DType;
use float8::{F8E4M3, F8E5M2};
use half::{bf16, f16};
use num_complex::Complex;

use super::Conversion;
use super::number::Number;

/// A dtype whose elements are numbers.
trait Scalar {
    /// What holds an element in memory.
    type Raw: NoUninit + AnyBitPattern;
    fn number(raw: Self::Raw) -> Number;
    fn from_number(number: Number) -> Self::Raw;
}

macro_rules! scalars {
    ($($dtype:ident: $raw:ty, $element:ident => $number:expr, $from:ident => $made:expr;)*) => {
        /// The dtypes as Rust types.
        mod dtypes {
            $(pub(super) struct $dtype;)*
        }

        $(impl Scalar for dtypes::$dtype {
            type Raw = $raw;
            #[inline(always)]
            fn number($element: $raw) -> Number {
                $number
            }
            #[inline(always)]
            fn from_number($from: Number) -> $raw {
                $made
            }
        })*

        /// Evaluates an expression that names a dtype as a Rust type; `None` for a dtype whose elements are no numbers here.
        macro_rules! with_scalar {
            ($of:expr, $scalar:ident => $result:expr) => {
                match $of {
                    $(DType::$dtype => { type $scalar = dtypes::$dtype; $result })*
                    _ => None,
                }
            };
        }
    };
}

macro_rules! values {
    ($float8:ty) => {{
        let mut values = [0.0; 256];
        let mut bits = 0;
        while bits < 256 {
            values[bits] = <$float8>::from_bits(bits as u8).to_f32();
            bits += 1;
        }
        values
    }};
}

macro_rules! integer {
    ($number:expr => $int:ty) => {
        match $number {
            Number::Int(int) => int as $int,
            Number::Float(real) | Number::Complex(real, _) => real as $int,
        }
    };
}

scalars! {
    Bool: u8, x => Number::Int((x != 0).into()), n => n.to_bool().into();
    UInt8: u8, x => Number::Int(x.into()), n => integer!(n => u8);
    UInt16: u16, x => Number::Int(x.into()), n => integer!(n => u16);
    UInt32: u32, x => Number::Int(x.into()), n => integer!(n => u32);
    UInt64: u64, x => Number::Int(x.into()), n => integer!(n => u64);
    Int8: i8, x => Number::Int(x.into()), n => integer!(n => i8);
    Int16: i16, x => Number::Int(x.into()), n => integer!(n => i16);
    Int32: i32, x => Number::Int(x.into()), n => integer!(n => i32);
    Int64: i64, x => Number::Int(x.into()), n => integer!(n => i64);
    Float16: f16, x => Number::Float(x.to_f32().into()), n => n.to_f16();
    BFloat16: bf16, x => Number::Float(x.to_f32().into()), n => n.to_bf16();
    Float32: f32, x => Number::Float(x.into()), n => n.to_f32();
    Float64: f64, x => Number::Float(x), n => n.to_f64();
    Complex32: Complex<f16>,
        x => Number::Complex(x.re.to_f32().into(), x.im.to_f32().into()),
        n => Complex::new(n.to_f16(), n.imaginary().to_f16());
    Complex64: Complex<f32>,
        x => Number::Complex(x.re.into(), x.im.into()),
        n => Complex::new(n.to_f32(), n.imaginary().to_f32());
    Complex128: Complex<f64>,
        x => Number::Complex(x.re, x.im),
        n => Complex::new(n.to_f64(), n.imaginary().to_f64());
    Float8E4M3Fn: u8, x => Number::Float(E4M3FN[usize::from(x)].into()), n => n.to_e4m3fn();
    Float8E5M2: u8, x => Number::Float(E5M2[usize::from(x)].into()), n => n.to_e5m2();
}

/// The values of 8-bit floats: looking them up is several times faster than computing them.
static E4M3FN: [f32; 256] = values!(F8E4M3);
static E5M2: [f32; 256] = values!(F8E5M2);

/// The conversion from one dtype to another, if there is one.
pub(super) fn converter(from: DType, to: DType) -> Option<Conversion> {
    with_scalar!(from, From => converter_from::<From>(to))
}

fn converter_from<From: Scalar>(to: DType) -> Option<Conversion> {
    with_scalar!(to, To => Some(convert::<From, To>))
}

fn convert<From: Scalar, To: Scalar>(elements: &[u8], converted: &mut [u8]) {
    let elements = elements.chunks_exact(size_of::<From::Raw>());
    let places = converted.chunks_exact_mut(size_of::<To::Raw>());
    for (element, place) in elements.zip(places) {
        let number = From::number(bytemuck::pod_read_unaligned(element));
        place.copy_from_slice(bytemuck::bytes_of(&To::from_number(number)));
    }
}
