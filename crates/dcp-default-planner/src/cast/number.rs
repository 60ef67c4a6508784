//! A number of any dtype, without loss.

use float8::{F8E4M3, F8E5M2};
use half::{bf16, f16};

/// What is between two dtypes. The compiler sees through it: a conversion is compiled for each pair of them.
#[derive(Clone, Copy)]
pub(super) enum Number {
    /// Every integer up to 64 bits, signed or not.
    Int(i128),
    /// Every float up to 64 bits.
    Float(f64),
    /// Its real and imaginary part.
    Complex(f64, f64),
}

impl Number {
    /// The nearest `f32`, rounded once.
    pub(super) fn to_f32(self) -> f32 {
        match self {
            Self::Int(int) => int as f32,
            Self::Float(real) | Self::Complex(real, _) => real as f32,
        }
    }

    pub(super) fn to_f64(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(real) | Self::Complex(real, _) => real,
        }
    }

    pub(super) fn to_f16(self) -> f16 {
        f16::from_f32(self.to_f32())
    }

    pub(super) fn to_bf16(self) -> bf16 {
        bf16::from_f32(self.to_f32())
    }

    pub(super) fn to_e4m3fn(self) -> u8 {
        /// Halfway between the largest number, 448, and what would be the next one: from above it nothing is nearest.
        const LIMIT: f32 = 464.0;
        let value = self.to_f32();
        // The crate saturates.
        if value.abs() > LIMIT { 0x7f | sign(value) } else { F8E4M3::from_f32(value).to_bits() }
    }

    pub(super) fn to_e5m2(self) -> u8 {
        /// Halfway between the largest number, 57344, and what would be the next one, which is even.
        const LIMIT: f32 = 61440.0;
        let value = self.to_f32();
        if value.abs() >= LIMIT { 0x7c | sign(value) } else { F8E5M2::from_f32(value).to_bits() }
    }

    pub(super) fn to_bool(self) -> bool {
        match self {
            Self::Int(int) => int != 0,
            Self::Float(real) => real != 0.0,
            Self::Complex(real, imaginary) => real != 0.0 || imaginary != 0.0,
        }
    }

    pub(super) fn imaginary(self) -> Self {
        match self {
            Self::Complex(_, imaginary) => Self::Float(imaginary),
            _ => Self::Int(0),
        }
    }
}

fn sign(value: f32) -> u8 {
    if value.is_sign_negative() { 0x80 } else { 0 }
}
