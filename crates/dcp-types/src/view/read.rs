//! Tensors that are saved from.

use ndarray::{ArrayViewD, ArrayViewMutD, Axis, Slice};

use super::units::{Units, erase, map_units, with_units};
use crate::{DType, Element, Region, TypesError};

/// A borrowed tensor: memory with a dtype, a shape and any strides.
#[derive(Clone, Debug)]
pub struct View<'a> {
    dtype: DType,
    units: Units<'a>,
}

impl<'a> View<'a> {
    /// An array of a Rust type that is a dtype; transposed and strided ones too.
    ///
    /// ```
    /// use dcp_types::{DType, View};
    /// let array = ndarray::arr2(&[[1f32, 2.0], [3.0, 4.0]]);
    /// let view = View::from_array(array.t().into_dyn());
    /// assert_eq!((view.dtype(), view.shape()), (DType::Float32, vec![2, 2]));
    /// ```
    #[must_use]
    pub fn from_array<T: Element>(array: ArrayViewD<'a, T>) -> Self {
        match erase(array) {
            Some(units) => Self { dtype: T::DTYPE, units },
            None => unreachable!("every Element has the size of a dtype"),
        }
    }

    /// Contiguous row-major little-endian elements of any dtype, at any alignment.
    ///
    /// # Errors
    /// [`TypesError::BufferLength`] if the length is not that of the shape.
    pub fn from_bytes(dtype: DType, shape: &[u64], bytes: &'a [u8]) -> Result<Self, TypesError> {
        super::check_length(dtype, shape, bytes.len())?;
        Ok(Self { dtype, units: Units::from_bytes(dtype.size(), &super::to_usize(shape)?, bytes)? })
    }

    /// The dtype.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The extents.
    #[must_use]
    pub fn shape(&self) -> Vec<u64> {
        with_units!(Units, &self.units, array => array.shape().iter().map(|&extent| extent as u64).collect())
    }

    /// The size in bytes.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        with_units!(Units, &self.units, array => array.len() as u64) * self.dtype.size()
    }

    /// A shorter borrow of the same memory.
    #[must_use]
    pub fn reborrow(&self) -> View<'_> {
        View { dtype: self.dtype, units: map_units!(Units, &self.units, array => array.view()) }
    }

    /// The part of the tensor that a region covers.
    ///
    /// # Errors
    /// [`TypesError::OutOfBounds`] if the region is not inside.
    pub fn slice(&self, region: &Region) -> Result<Self, TypesError> {
        super::check_region(region, &self.shape())?;
        let units = map_units!(Units, &self.units, array => {
            let mut part = array.clone();
            for dim in 0..region.ndim() {
                part.slice_axis_inplace(Axis(dim), Slice::from(super::index_range(region, dim)));
            }
            part
        });
        Ok(Self { dtype: self.dtype, units })
    }

    /// Elements `start..start + numel` of a contiguous one-dimensional tensor, seen as a tensor of another shape.
    ///
    /// # Errors
    /// [`TypesError::NotFlat`] if it is not contiguous and one-dimensional; [`TypesError::BufferLength`] if it is too short.
    pub fn flat_part(&self, start: u64, shape: &[u64]) -> Result<Self, TypesError> {
        let (from, to) = super::flat_range(start, shape, &self.shape())?;
        let units = map_units!(Units, &self.units, array => {
            let flat = array.clone().slice_axis_move(Axis(0), Slice::from(from..to));
            flat.into_shape_with_order(super::to_usize(shape)?).map_err(|_| TypesError::NotFlat)?
        });
        Ok(Self { dtype: self.dtype, units })
    }

    /// The elements as bytes, if they are contiguous in row-major order.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        with_units!(Units, &self.units, array => array.as_slice().map(<[_]>::as_flattened))
    }

    /// Copies elements in row-major order, from byte `offset` on, until `out` is full.
    ///
    /// # Errors
    /// [`TypesError::BufferLength`] if the tensor ends before.
    pub fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), TypesError> {
        let end = offset.saturating_add(out.len() as u64);
        if end > self.nbytes() {
            return Err(TypesError::BufferLength { expected: end, found: self.nbytes() });
        }
        if let Some(bytes) = self.as_bytes() {
            let start = offset as usize; // inside a slice, so inside usize
            out.copy_from_slice(&bytes[start..start + out.len()]);
            return Ok(());
        }
        with_units!(Units, &self.units, array => copy_span(array.view(), offset as usize, out));
        Ok(())
    }
}

/// Copies the bytes of an array, as if row-major, from `offset` on.
fn copy_span<const N: usize>(array: ArrayViewD<'_, [u8; N]>, mut offset: usize, mut out: &mut [u8]) {
    if out.is_empty() {
        return;
    }
    if array.ndim() == 0 {
        if let Some(element) = array.first() {
            let len = out.len().min(N - offset);
            out[..len].copy_from_slice(&element[offset..offset + len]);
        }
        return;
    }
    let row = array.len() / array.len_of(Axis(0)).max(1) * N;
    let mut index = offset / row;
    offset %= row;
    while !out.is_empty() {
        // Whole rows at once; what does not begin or end at one is left to the dimensions inside.
        let rows = if offset == 0 { out.len() / row } else { 0 };
        let len = if rows > 0 { rows * row } else { out.len().min(row - offset) };
        let (now, later) = out.split_at_mut(len);
        if rows > 0 {
            let block = array.clone().slice_axis_move(Axis(0), Slice::from(index..index + rows));
            if let Ok(mut target) = ArrayViewMutD::from_shape(block.shape(), now.as_chunks_mut::<N>().0) {
                target.assign(&block);
            }
        } else {
            copy_span(array.clone().index_axis_move(Axis(0), index), offset, now);
        }
        index += rows.max(1);
        offset = 0;
        out = later;
    }
}
