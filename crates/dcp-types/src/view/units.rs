//! Arrays of elements whose type is forgotten but for its size.
//!
//! `[u8; N]` has alignment 1 and no invalid values, so that buffers of any element type can be seen as arrays of it.

use ndarray::{ArrayViewD, ArrayViewMutD, IxDyn, ShapeBuilder};

use crate::TypesError;

macro_rules! units {
    ($($variant:ident = $size:literal),*) => {
        /// A read-only array of elements of a size.
        #[derive(Clone, Debug)]
        pub(super) enum Units<'a> { $($variant(ArrayViewD<'a, [u8; $size]>),)* }

        /// A mutable array of elements of a size.
        #[derive(Debug)]
        pub(super) enum UnitsMut<'a> { $($variant(ArrayViewMutD<'a, [u8; $size]>),)* }

        /// Evaluates an expression for the array inside, whatever its element size.
        macro_rules! with_units {
            ($kind:ident, $units:expr, $array:ident => $body:expr) => {
                match $units { $($kind::$variant($array) => $body,)* }
            };
        }

        /// The same, where the expression is again an array of that element size.
        macro_rules! map_units {
            ($kind:ident, $units:expr, $array:ident => $body:expr) => {
                match $units { $($kind::$variant($array) => $kind::$variant($body),)* }
            };
        }

        impl<'a> Units<'a> {
            /// Row-major elements of `size` bytes; the length has been checked.
            pub(super) fn from_bytes(size: u64, shape: &[usize], bytes: &'a [u8]) -> Result<Self, TypesError> {
                match size {
                    $($size => ArrayViewD::from_shape(shape, bytes.as_chunks::<$size>().0).map(Units::$variant),)*
                    _ => Err(ndarray::ShapeError::from_kind(ndarray::ErrorKind::Unsupported)),
                }
                .map_err(|_| TypesError::NotFlat)
            }
        }

        impl<'a> UnitsMut<'a> {
            /// Elements of `size` bytes with the given strides (in elements) in a byte buffer.
            pub(super) fn from_bytes(
                size: u64,
                shape: &[usize],
                strides: Option<&[usize]>,
                bytes: &'a mut [u8],
            ) -> Result<Self, TypesError> {
                match size {
                    $($size => {
                        let elements = bytes.as_chunks_mut::<$size>().0;
                        match strides {
                            Some(strides) if !shape.contains(&0) => {
                                ArrayViewMutD::from_shape(IxDyn(shape).strides(IxDyn(strides)), elements)
                            }
                            // Without elements there is nothing that strides could lead to, nor to lead out of.
                            Some(_) => ArrayViewMutD::from_shape(shape, &mut elements[..0]),
                            None => ArrayViewMutD::from_shape(shape, elements),
                        }
                        .map(UnitsMut::$variant)
                    })*
                    _ => Err(ndarray::ShapeError::from_kind(ndarray::ErrorKind::Unsupported)),
                }
                .map_err(|_| TypesError::NotFlat)
            }
        }

        /// Sees elements of a type as arrays of bytes.
        pub(super) fn erase<'a, T: bytemuck::NoUninit>(array: ArrayViewD<'a, T>) -> Option<Units<'a>> {
            match size_of::<T>() {
                $($size => Some(Units::$variant(cast(array))),)*
                _ => None,
            }
        }

        /// Sees elements of a type as arrays of bytes, to be written.
        pub(super) fn erase_mut<'a, T>(array: ArrayViewMutD<'a, T>) -> Option<UnitsMut<'a>>
        where
            T: bytemuck::NoUninit + bytemuck::AnyBitPattern,
        {
            match size_of::<T>() {
                $($size => Some(UnitsMut::$variant(cast_mut(array))),)*
                _ => None,
            }
        }
    };
}

units!(U1 = 1, U2 = 2, U4 = 4, U8 = 8, U16 = 16);

#[expect(clippy::single_component_path_imports, reason = "makes the macros visible to sibling modules")]
pub(super) use {map_units, with_units};

fn cast<'a, T: bytemuck::NoUninit, const N: usize>(array: ArrayViewD<'a, T>) -> ArrayViewD<'a, [u8; N]> {
    assert_eq!(size_of::<T>(), N);
    let raw = array.raw_view().cast::<[u8; N]>();
    // SAFETY: `array` borrows its elements for 'a, shared, and the new view covers the same ones. `T` and `[u8; N]` have one
    // size (asserted), `[u8; N]` needs no alignment, and `NoUninit` says that every byte of a `T` is initialised.
    #[expect(unsafe_code)]
    unsafe {
        raw.deref_into_view()
    }
}

fn cast_mut<'a, T, const N: usize>(mut array: ArrayViewMutD<'a, T>) -> ArrayViewMutD<'a, [u8; N]>
where
    T: bytemuck::NoUninit + bytemuck::AnyBitPattern,
{
    assert_eq!(size_of::<T>(), N);
    let raw = array.raw_view_mut().cast::<[u8; N]>();
    // SAFETY: `array` borrows its elements for 'a, exclusively, and is consumed here, so that the new view is the only one.
    // `T` and `[u8; N]` have one size (asserted) and `[u8; N]` needs no alignment; `NoUninit` says that every byte of a `T`
    // is initialised, `AnyBitPattern` that whatever is written is a `T`.
    #[expect(unsafe_code)]
    unsafe {
        raw.deref_into_view_mut()
    }
}
