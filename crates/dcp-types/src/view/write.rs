//! Tensors that are loaded into.

use ndarray::{ArrayViewD, ArrayViewMutD, Axis, Slice};

use super::units::{UnitsMut, erase_mut, map_units, with_units};
use crate::{DType, ElementMut, Region, TypesError};

/// A mutably borrowed tensor: memory with a dtype, a shape and any strides.
///
/// It can be cut into disjoint pieces, which is how several threads fill one tensor.
#[derive(Debug)]
pub struct ViewMut<'a> {
    dtype: DType,
    units: UnitsMut<'a>,
}

impl<'a> ViewMut<'a> {
    /// An array of a Rust type that is a dtype; transposed and strided ones too.
    #[must_use]
    pub fn from_array<T: ElementMut>(array: ArrayViewMutD<'a, T>) -> Self {
        match erase_mut(array) {
            Some(units) => Self { dtype: T::DTYPE, units },
            None => unreachable!("every Element has the size of a dtype"),
        }
    }

    /// A row-major buffer for little-endian elements of any dtype, at any alignment.
    ///
    /// # Errors
    /// [`TypesError::BufferLength`] if the length is not that of the shape.
    pub fn from_bytes(dtype: DType, shape: &[u64], bytes: &'a mut [u8]) -> Result<Self, TypesError> {
        super::check_length(dtype, shape, bytes.len())?;
        Ok(Self { dtype, units: UnitsMut::from_bytes(dtype.size(), &super::to_usize(shape)?, None, bytes)? })
    }

    /// A buffer whose elements lie at the given strides (in elements), which must not let two elements share memory.
    ///
    /// # Errors
    /// [`TypesError::NotFlat`] if the elements would overlap or leave the buffer.
    pub fn from_strided_bytes(
        dtype: DType,
        shape: &[u64],
        strides: &[u64],
        bytes: &'a mut [u8],
    ) -> Result<Self, TypesError> {
        let (shape, strides) = (super::to_usize(shape)?, super::to_usize(strides)?);
        Ok(Self { dtype, units: UnitsMut::from_bytes(dtype.size(), &shape, Some(&strides), bytes)? })
    }

    /// The dtype.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The extents.
    #[must_use]
    pub fn shape(&self) -> Vec<u64> {
        with_units!(UnitsMut, &self.units, array => array.shape().iter().map(|&extent| extent as u64).collect())
    }

    /// The size in bytes.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        with_units!(UnitsMut, &self.units, array => array.len() as u64) * self.dtype.size()
    }

    /// A shorter borrow of the same memory.
    #[must_use]
    pub fn reborrow(&mut self) -> ViewMut<'_> {
        ViewMut { dtype: self.dtype, units: map_units!(UnitsMut, &mut self.units, array => array.view_mut()) }
    }

    /// The part of the tensor that a region covers.
    ///
    /// # Errors
    /// [`TypesError::OutOfBounds`] if the region is not inside.
    pub fn into_slice(self, region: &Region) -> Result<Self, TypesError> {
        super::check_region(region, &self.shape())?;
        let units = map_units!(UnitsMut, self.units, array => {
            let mut part = array;
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
    pub fn into_flat_part(self, start: u64, shape: &[u64]) -> Result<Self, TypesError> {
        let (from, to) = super::flat_range(start, shape, &self.shape())?;
        let units = map_units!(UnitsMut, self.units, array => {
            let mut flat = array;
            flat.slice_axis_inplace(Axis(0), Slice::from(from..to));
            flat.into_shape_with_order(super::to_usize(shape)?).map_err(|_| TypesError::NotFlat)?
        });
        Ok(Self { dtype: self.dtype, units })
    }

    /// The same memory with its dimensions in another order: dimension `d` of the result is dimension `order[d]` of this.
    ///
    /// # Errors
    /// [`TypesError::Order`] if `order` does not name every dimension once.
    pub fn permute(self, order: &[usize]) -> Result<Self, TypesError> {
        let ndim = with_units!(UnitsMut, &self.units, array => array.ndim());
        crate::region::check_order(order, ndim)?;
        let units = map_units!(UnitsMut, self.units, array => array.permuted_axes(order));
        Ok(Self { dtype: self.dtype, units })
    }

    /// Cuts before index `at` of a dimension.
    ///
    /// # Errors
    /// [`TypesError::OutOfBounds`] if `at` is beyond the extent or there is no such dimension.
    pub fn split_at(self, dim: usize, at: u64) -> Result<(Self, Self), TypesError> {
        let shape = self.shape();
        if shape.get(dim).is_none_or(|&extent| at > extent) {
            let region = Region::new([at], [0])?;
            return Err(TypesError::OutOfBounds { region, extents: shape });
        }
        let dtype = self.dtype;
        let (low, high);
        macro_rules! split {
            ($($variant:ident),*) => {
                match self.units {$(
                    UnitsMut::$variant(array) => {
                        let halves = array.split_at(Axis(dim), at as usize);
                        (low, high) = (UnitsMut::$variant(halves.0), UnitsMut::$variant(halves.1));
                    }
                )*}
            };
        }
        split!(U1, U2, U4, U8, U16);
        Ok((Self { dtype, units: low }, Self { dtype, units: high }))
    }

    /// The elements as bytes, if they are contiguous in row-major order.
    #[must_use]
    pub fn as_bytes_mut(&mut self) -> Option<&mut [u8]> {
        with_units!(UnitsMut, &mut self.units, array => array.as_slice_mut().map(<[_]>::as_flattened_mut))
    }

    /// The elements as bytes for as long as the memory is borrowed; the view itself again if they are not
    /// contiguous in row-major order.
    ///
    /// # Errors
    /// The view, unchanged.
    pub fn into_bytes(self) -> Result<&'a mut [u8], Self> {
        let dtype = self.dtype;
        macro_rules! bytes {
            ($($variant:ident),*) => {
                match self.units {$(
                    UnitsMut::$variant(array) => {
                        if array.is_standard_layout() {
                            match array.into_slice() {
                                Some(elements) => Ok(elements.as_flattened_mut()),
                                None => unreachable!("a standard layout is contiguous"),
                            }
                        } else {
                            Err(Self { dtype, units: UnitsMut::$variant(array) })
                        }
                    }
                )*}
            };
        }
        bytes!(U1, U2, U4, U8, U16)
    }

    /// The memory as contiguous spans, in row-major order, for as long as it is borrowed. The view itself again if the spans
    /// would be shorter than `shortest` bytes.
    ///
    /// # Errors
    /// The view, unchanged.
    pub fn into_spans(self, shortest: usize) -> Result<Vec<&'a mut [u8]>, Self> {
        let dtype = self.dtype;
        macro_rules! spans {
            ($($variant:ident),*) => {
                match self.units {$(
                    UnitsMut::$variant(array) => {
                        let (outer, span) = contiguous_suffix(&array);
                        if span < shortest && array.len() > 0 {
                            return Err(Self { dtype, units: UnitsMut::$variant(array) });
                        }
                        let mut spans = Vec::new();
                        collect_spans(array, outer, &mut spans);
                        Ok(spans)
                    }
                )*}
            };
        }
        spans!(U1, U2, U4, U8, U16)
    }

    /// Overwrites elements in row-major order, from byte `offset` on.
    ///
    /// # Errors
    /// [`TypesError::BufferLength`] if the tensor ends before the bytes do.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), TypesError> {
        let end = offset.saturating_add(bytes.len() as u64);
        if end > self.nbytes() {
            return Err(TypesError::BufferLength { expected: end, found: self.nbytes() });
        }
        if let Some(memory) = self.as_bytes_mut() {
            let start = offset as usize; // inside a slice, so inside usize
            memory[start..start + bytes.len()].copy_from_slice(bytes);
            return Ok(());
        }
        with_units!(UnitsMut, &mut self.units, array => write_span(array.view_mut(), offset as usize, bytes));
        Ok(())
    }

    /// Overwrites every element with row-major bytes.
    ///
    /// # Errors
    /// [`TypesError::BufferLength`] if there are not as many bytes as the tensor has.
    pub fn copy_from_bytes(&mut self, bytes: &[u8]) -> Result<(), TypesError> {
        if bytes.len() as u64 != self.nbytes() {
            return Err(TypesError::BufferLength { expected: self.nbytes(), found: bytes.len() as u64 });
        }
        with_units!(UnitsMut, &mut self.units, array => assign(array, bytes))
    }
}

/// How many outer dimensions jump between contiguous spans, and how long (in bytes) the spans are.
fn contiguous_suffix<const N: usize>(array: &ArrayViewMutD<'_, [u8; N]>) -> (usize, usize) {
    let (mut outer, mut elements) = (array.ndim(), 1);
    for (&extent, &stride) in array.shape().iter().zip(array.strides()).rev() {
        if extent != 1 && usize::try_from(stride) != Ok(elements) {
            break;
        }
        elements *= extent;
        outer -= 1;
    }
    (outer, elements * N)
}

fn collect_spans<'a, const N: usize>(array: ArrayViewMutD<'a, [u8; N]>, outer: usize, spans: &mut Vec<&'a mut [u8]>) {
    if outer == 0 {
        spans.extend(array.into_slice().map(<[_]>::as_flattened_mut));
        return;
    }
    let mut rest = array;
    while rest.len_of(Axis(0)) > 0 {
        let (row, rows) = rest.split_at(Axis(0), 1);
        collect_spans(row.index_axis_move(Axis(0), 0), outer - 1, spans);
        rest = rows;
    }
}

/// Overwrites the bytes of an array, as if row-major, from `offset` on.
fn write_span<const N: usize>(mut array: ArrayViewMutD<'_, [u8; N]>, mut offset: usize, mut bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    if array.ndim() == 0 {
        if let Some(element) = array.first_mut() {
            element[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        return;
    }
    let row = array.len() / array.len_of(Axis(0)).max(1) * N;
    let mut index = offset / row;
    offset %= row;
    while !bytes.is_empty() {
        // Whole rows at once; what does not begin or end at one is left to the dimensions inside.
        let rows = if offset == 0 { bytes.len() / row } else { 0 };
        let len = if rows > 0 { rows * row } else { bytes.len().min(row - offset) };
        let (now, later) = bytes.split_at(len);
        if rows > 0 {
            let mut block = array.slice_axis_mut(Axis(0), Slice::from(index..index + rows));
            if let Ok(elements) = ArrayViewD::from_shape(block.shape(), now.as_chunks::<N>().0) {
                block.assign(&elements);
            }
        } else {
            write_span(array.index_axis_mut(Axis(0), index), offset, now);
        }
        index += rows.max(1);
        offset = 0;
        bytes = later;
    }
}

fn assign<const N: usize>(array: &mut ArrayViewMutD<'_, [u8; N]>, bytes: &[u8]) -> Result<(), TypesError> {
    let shape = array.shape().to_vec();
    let elements = ArrayViewD::from_shape(shape, bytes.as_chunks::<N>().0).map_err(|_| TypesError::NotFlat)?;
    array.assign(&elements);
    Ok(())
}
