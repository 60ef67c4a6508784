//! Rust types that are a dtype.

use bytemuck::{AnyBitPattern, NoUninit};
use half::{bf16, f16};
use num_complex::Complex;

use crate::DType;

/// A Rust type whose values are the elements of a [`DType`]: what can be saved from.
///
/// A dtype without a Rust type of its own (the float8 family, packed float4) is passed as bytes:
/// [`View::from_bytes`](crate::View::from_bytes).
pub trait Element: NoUninit {
    /// The dtype that this type is.
    const DTYPE: DType;
}

/// An [`Element`] of which every bit pattern is a value: what can be loaded into.
///
/// `bool` is not one: load into `u8` through [`ViewMut::from_bytes`](crate::ViewMut::from_bytes).
pub trait ElementMut: Element + AnyBitPattern {}

macro_rules! elements {
    ($($rust:ty => $dtype:ident),* $(,)?) => {$(
        impl Element for $rust {
            const DTYPE: DType = DType::$dtype;
        }
        impl ElementMut for $rust {}
    )*};
}

elements! {
    u8 => UInt8, u16 => UInt16, u32 => UInt32, u64 => UInt64,
    i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64,
    f16 => Float16, bf16 => BFloat16, f32 => Float32, f64 => Float64,
    Complex<f16> => Complex32, Complex<f32> => Complex64, Complex<f64> => Complex128,
}

impl Element for bool {
    const DTYPE: DType = DType::Bool;
}
