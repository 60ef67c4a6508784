//! Element types.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::TypesError;

macro_rules! dtypes {
    ($($variant:ident = $name:literal, $size:literal, $doc:literal;)*) => {
        /// The type of a tensor's elements, by PyTorch's names.
        ///
        /// ```
        /// use dcp_types::DType;
        /// assert_eq!(DType::BFloat16.name(), "bfloat16");
        /// assert_eq!("float8_e4m3fn".parse(), Ok(DType::Float8E4M3Fn));
        /// assert_eq!(DType::Complex64.size(), 8);
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(into = "&'static str", try_from = "String")]
        #[non_exhaustive]
        pub enum DType { $(#[doc = $doc] $variant,)* }

        impl DType {
            /// Every dtype.
            pub const ALL: &'static [DType] = &[$(DType::$variant),*];

            /// PyTorch's name without the prefix `torch.`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(DType::$variant => $name),* }
            }

            /// The size of one element in bytes.
            #[must_use]
            pub const fn size(self) -> u64 {
                match self { $(DType::$variant => $size),* }
            }
        }
    };
}

dtypes! {
    Bool = "bool", 1, "One byte, 0 or 1.";
    UInt8 = "uint8", 1, "Unsigned, 8 bits.";
    UInt16 = "uint16", 2, "Unsigned, 16 bits.";
    UInt32 = "uint32", 4, "Unsigned, 32 bits.";
    UInt64 = "uint64", 8, "Unsigned, 64 bits.";
    Int8 = "int8", 1, "Two's complement, 8 bits.";
    Int16 = "int16", 2, "Two's complement, 16 bits.";
    Int32 = "int32", 4, "Two's complement, 32 bits.";
    Int64 = "int64", 8, "Two's complement, 64 bits.";
    Float16 = "float16", 2, "IEEE 754 binary16.";
    BFloat16 = "bfloat16", 2, "The upper half of a binary32.";
    Float32 = "float32", 4, "IEEE 754 binary32.";
    Float64 = "float64", 8, "IEEE 754 binary64.";
    Complex32 = "complex32", 4, "Two float16: real, imaginary.";
    Complex64 = "complex64", 8, "Two float32: real, imaginary.";
    Complex128 = "complex128", 16, "Two float64: real, imaginary.";
    Float8E4M3Fn = "float8_e4m3fn", 1, "8 bits: 4 of exponent, 3 of mantissa, finite and NaN.";
    Float8E4M3FnUz = "float8_e4m3fnuz", 1, "8 bits: 4 of exponent, 3 of mantissa, no negative zero.";
    Float8E5M2 = "float8_e5m2", 1, "8 bits: 5 of exponent, 2 of mantissa.";
    Float8E5M2FnUz = "float8_e5m2fnuz", 1, "8 bits: 5 of exponent, 2 of mantissa, no infinities, no negative zero.";
    Float8E8M0Fnu = "float8_e8m0fnu", 1, "8 bits: a power of two, for block scales.";
    Float4E2M1FnX2 = "float4_e2m1fn_x2", 1, "Two 4-bit floats packed into one byte; shapes count bytes, as in PyTorch.";
}

impl DType {
    /// Whether elements are real floating-point numbers, of any width; PyTorch's `is_floating_point`.
    #[must_use]
    pub const fn is_floating_point(self) -> bool {
        !matches!(
            self,
            Self::Bool
                | Self::UInt8
                | Self::UInt16
                | Self::UInt32
                | Self::UInt64
                | Self::Int8
                | Self::Int16
                | Self::Int32
                | Self::Int64
                | Self::Complex32
                | Self::Complex64
                | Self::Complex128
        )
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DType {
    type Err = TypesError;
    fn from_str(name: &str) -> Result<Self, TypesError> {
        let known = Self::ALL.iter().find(|dtype| dtype.name() == name);
        known.copied().ok_or_else(|| TypesError::UnknownDType(name.to_owned()))
    }
}

impl TryFrom<String> for DType {
    type Error = TypesError;
    fn try_from(name: String) -> Result<Self, TypesError> {
        name.parse()
    }
}

impl From<DType> for &'static str {
    fn from(dtype: DType) -> Self {
        dtype.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_dtype() {
        for &dtype in DType::ALL {
            assert_eq!(dtype.name().parse(), Ok(dtype));
        }
        assert_eq!("float33".parse::<DType>(), Err(TypesError::UnknownDType("float33".into())));
    }
}
