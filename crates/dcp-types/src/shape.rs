//! Extents of tensors.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use smallvec::SmallVec;

use crate::TypesError;

/// Inline storage for the common number of dimensions.
pub(crate) type Dims = SmallVec<[u64; 4]>;

/// The extents of a tensor, outermost first; no extents for a scalar.
///
/// A shape is checked where it is made: at most [`MAX_DIMS`](Self::MAX_DIMS) dimensions, and so few elements that
/// the size in bytes fits into an `i64` for every dtype. Arithmetic on shapes and on regions
/// inside them therefore cannot overflow.
///
/// ```
/// use dcp_types::Shape;
/// let shape = Shape::new([4, 3])?;
/// assert_eq!((shape.dims(), shape.numel()), (&[4, 3][..], 12));
/// assert!(Shape::new([u64::MAX, 2]).is_err());
/// # Ok::<(), dcp_types::TypesError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "WireDims", into = "Dims")]
pub struct Shape(Dims);

impl Shape {
    /// The most dimensions a tensor can have (as in PyTorch).
    pub const MAX_DIMS: usize = 64;

    /// Checks extents.
    ///
    /// # Errors
    /// [`TypesError::TooManyDims`], [`TypesError::TooLarge`].
    pub fn new(dims: impl IntoIterator<Item = u64>) -> Result<Self, TypesError> {
        let dims: Dims = dims.into_iter().take(Self::MAX_DIMS + 1).collect();
        check_extents(&dims)?;
        Ok(Self(dims))
    }

    /// The extents.
    #[must_use]
    pub fn dims(&self) -> &[u64] {
        &self.0
    }

    /// The number of elements.
    #[must_use]
    pub fn numel(&self) -> u64 {
        self.0.iter().product()
    }
}

/// Zero extents count as one, so that strides over the other dimensions cannot overflow either.
pub(crate) fn check_extents(extents: &[u64]) -> Result<(), TypesError> {
    const MAX_ELEMENTS: u64 = i64::MAX as u64 / 16;
    if extents.len() > Shape::MAX_DIMS {
        return Err(TypesError::TooManyDims(extents.len()));
    }
    let product = extents.iter().try_fold(1u64, |product, &extent| product.checked_mul(extent.max(1)));
    match product {
        Some(elements) if elements <= MAX_ELEMENTS => Ok(()),
        _ => Err(TypesError::TooLarge(extents.to_vec())),
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Extents as decoded. No more are read than a tensor can have, and memory is taken as they arrive:
/// `SmallVec`'s own decoding reserves whatever length the input claims.
pub(crate) struct WireDims(pub(crate) Dims);

impl<'de> Deserialize<'de> for WireDims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Extents;

        impl<'de> Visitor<'de> for Extents {
            type Value = WireDims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {} extents", Shape::MAX_DIMS)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<WireDims, A::Error> {
                let mut dims = Dims::new();
                while let Some(extent) = seq.next_element()? {
                    if dims.len() == Shape::MAX_DIMS {
                        return Err(A::Error::invalid_length(dims.len() + 1, &self));
                    }
                    dims.push(extent);
                }
                Ok(WireDims(dims))
            }
        }

        deserializer.deserialize_seq(Extents)
    }
}

impl TryFrom<WireDims> for Shape {
    type Error = TypesError;
    fn try_from(WireDims(dims): WireDims) -> Result<Self, TypesError> {
        check_extents(&dims)?;
        Ok(Self(dims))
    }
}

impl From<Shape> for Dims {
    fn from(shape: Shape) -> Self {
        shape.0
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

macro_rules! shape_from {
    ($(($($generics:tt)*) $list:ty, $iter:ident => $items:expr;)*) => {$(
        impl $($generics)* TryFrom<$list> for Shape {
            type Error = TypesError;
            fn try_from($iter: $list) -> Result<Self, TypesError> {
                Self::new($items)
            }
        }
    )*};
}

shape_from! {
    (<const N: usize>) [u64; N], dims => dims;
    () &[u64], dims => dims.iter().copied();
    () &[usize], dims => dims.iter().map(|&dim| dim as u64);
    () Vec<u64>, dims => dims;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_that_could_overflow_are_refused() {
        assert!(Shape::new([]).is_ok_and(|scalar| scalar.numel() == 1));
        assert!(Shape::new([0, 5]).is_ok_and(|empty| empty.numel() == 0));
        assert_eq!(Shape::new([1 << 40, 1 << 40, 0]), Err(TypesError::TooLarge(vec![1 << 40, 1 << 40, 0])));
        assert_eq!(Shape::new(vec![1; 65]), Err(TypesError::TooManyDims(65)));
    }
}
