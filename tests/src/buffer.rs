//! Local buffers: the parts of a tensor that a rank has, in memory of any layout.

use dcp::{BufferPlace, DType, DataSource, LocalTensor, Region, TargetTensor, TensorSpec, View, ViewMut};
use dcp_types::reexports::half::{bf16, f16};
use dcp_types::reexports::num_complex::Complex;
use dcp_types::{DataError, Element};
use ndarray::{ArrayView, IxDyn, ShapeBuilder};
use proptest::prelude::*;
use proptest::sample::select;

use crate::whole::{for_each_row, row_major};
use crate::{Part, Whole};

/// How a buffer lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Row-major and contiguous, at an odd address.
    Packed,
    /// Row-major, with gaps after each row.
    Padded,
    /// The last dimension outermost.
    Transposed,
    /// Memory that cannot be lent for saving (packed for loading).
    Lazy,
}

impl Arbitrary for Layout {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;
    fn arbitrary_with((): ()) -> Self::Strategy {
        select(&[Self::Packed, Self::Padded, Self::Transposed, Self::Lazy][..]).boxed()
    }
}

/// A rank's buffer. What no part of the tensor covers holds a pattern.
pub struct Buffer {
    spec: TensorSpec,
    extents: Vec<u64>,
    /// In elements.
    strides: Vec<u64>,
    layout: Layout,
    /// With one byte before the first element, so that it is aligned for nothing.
    memory: Vec<u8>,
    /// The same elements, aligned; for arrays of Rust types.
    aligned: Vec<u128>,
}

impl Buffer {
    /// A buffer that holds the parts of a tensor that a rank has.
    #[must_use]
    pub fn filled(part: &Part, whole: &Whole, rank: u32) -> Self {
        let mut buffer = Self::blank(part);
        let size = whole.dtype.size() as usize;
        for held in part.spec.parts(rank) {
            let content = whole.slice(&held.region);
            match &held.place {
                BufferPlace::Flat(start) => buffer.put(*start as usize, size, &content),
                BufferPlace::Box(offsets) => {
                    let mut elements = content.chunks_exact(size);
                    let strides = buffer.strides.clone();
                    for_each_row(held.region.sizes(), |index, len| {
                        let first: u64 = (0..index.len()).map(|dim| (offsets[dim] + index[dim]) * strides[dim]).sum();
                        let step = strides.last().copied().unwrap_or(1);
                        for number in 0..len {
                            let element = elements.next().unwrap_or_default();
                            buffer.put((first + number * step) as usize, size, element);
                        }
                    });
                }
            }
        }
        buffer.align();
        buffer
    }

    /// A buffer that holds nothing of the tensor.
    #[must_use]
    pub fn blank(part: &Part) -> Self {
        let extents = part.extents.clone();
        let (strides, elements) = match part.layout {
            Layout::Packed | Layout::Lazy => (row_major(&extents), extents.iter().product()),
            Layout::Padded => {
                let wider = wider(&extents);
                (row_major(&wider), wider.iter().product())
            }
            Layout::Transposed => {
                let reversed: Vec<u64> = extents.iter().rev().copied().collect();
                let mut strides = row_major(&reversed);
                strides.reverse();
                (strides, extents.iter().product::<u64>())
            }
        };
        let bytes = elements as usize * part.spec.dtype().size() as usize;
        let mask = if part.spec.dtype() == DType::Bool { 1 } else { 0xff };
        let memory = (0..=bytes).map(|at| (at * 37 + 11) as u8 & mask).collect();
        let (spec, layout) = (part.spec.clone(), part.layout);
        let mut buffer = Self { spec, extents, strides, layout, memory, aligned: Vec::new() };
        buffer.align();
        buffer
    }

    /// All of its memory, padding included.
    #[must_use]
    pub fn memory(&self) -> &[u8] {
        &self.memory
    }

    /// What the rank says of the tensor.
    #[must_use]
    pub fn spec(&self) -> &TensorSpec {
        &self.spec
    }

    /// As a tensor to be saved.
    ///
    /// # Panics
    /// Never: the memory is made for it.
    #[must_use]
    pub fn local(&self) -> LocalTensor<'_> {
        let (spec, dtype) = (self.spec.clone(), self.spec.dtype());
        let view = match self.layout {
            Layout::Packed => View::from_bytes(dtype, &self.extents, &self.memory[1..]).ok(),
            Layout::Padded => {
                let inner = Region::new(vec![0; self.extents.len()], self.extents.clone()).expect("extents");
                let outer = View::from_bytes(dtype, &wider(&self.extents), &self.memory[1..]);
                Some(outer.and_then(|outer| outer.slice(&inner)).expect("inside"))
            }
            Layout::Transposed => self.typed(),
            Layout::Lazy => None,
        };
        match view {
            Some(view) => LocalTensor::new(spec, view),
            None => LocalTensor::lazy(spec, OwnedSource::new(dtype, &self.extents, self.row_major())),
        }
    }

    /// As a tensor to be loaded into.
    ///
    /// # Panics
    /// Never: the memory is made for it.
    #[must_use]
    pub fn target(&mut self) -> TargetTensor<'_> {
        let (spec, dtype) = (self.spec.clone(), self.spec.dtype());
        let memory = &mut self.memory[1..];
        let view = match self.layout {
            Layout::Packed | Layout::Lazy => ViewMut::from_bytes(dtype, &self.extents, memory),
            Layout::Padded | Layout::Transposed => {
                ViewMut::from_strided_bytes(dtype, &self.extents, &self.strides, memory)
            }
        };
        TargetTensor::new(spec, view.expect("memory of that layout"))
    }

    fn put(&mut self, element: usize, size: usize, bytes: &[u8]) {
        let start = 1 + element * size;
        self.memory[start..start + bytes.len()].copy_from_slice(bytes);
    }

    fn row_major(&self) -> Vec<u8> {
        let size = self.spec.dtype().size() as usize;
        let mut bytes = Vec::new();
        for_each_row(&self.extents, |index, len| {
            let first: u64 = index.iter().zip(&self.strides).map(|(at, stride)| at * stride).sum();
            let step = self.strides.last().copied().unwrap_or(1);
            for number in 0..len {
                let start = 1 + (first + number * step) as usize * size;
                bytes.extend_from_slice(&self.memory[start..start + size]);
            }
        });
        bytes
    }

    fn align(&mut self) {
        if self.layout == Layout::Transposed {
            let bytes = &self.memory[1..];
            self.aligned = vec![0; bytes.len().div_ceil(16)];
            bytemuck::cast_slice_mut::<u128, u8>(&mut self.aligned)[..bytes.len()].copy_from_slice(bytes);
        }
    }

    /// As an array of a Rust type, if there is one for the dtype.
    fn typed(&self) -> Option<View<'_>> {
        let bytes = &bytemuck::cast_slice::<u128, u8>(&self.aligned)[..self.memory.len() - 1];
        macro_rules! typed {
            ($($dtype:ident => $rust:ty),*) => {
                match self.spec.dtype() {
                    DType::Bool => self.array(bytemuck::checked::cast_slice::<u8, bool>(bytes)),
                    $(DType::$dtype => self.array(bytemuck::cast_slice::<u8, $rust>(bytes)),)*
                    _ => None,
                }
            };
        }
        typed!(
            UInt8 => u8, UInt16 => u16, UInt32 => u32, UInt64 => u64, Int8 => i8, Int16 => i16, Int32 => i32,
            Int64 => i64, Float16 => f16, BFloat16 => bf16, Float32 => f32, Float64 => f64,
            Complex32 => Complex<f16>, Complex64 => Complex<f32>, Complex128 => Complex<f64>
        )
    }

    fn array<'a, T: Element>(&self, elements: &'a [T]) -> Option<View<'a>> {
        let to_usize = |list: &[u64]| list.iter().map(|&value| value as usize).collect::<Vec<_>>();
        let shape = IxDyn(&to_usize(&self.extents)).strides(IxDyn(&to_usize(&self.strides)));
        ArrayView::from_shape(shape, elements).ok().map(View::from_array)
    }
}

/// The extents of memory with a gap after each row; of a scalar, none.
fn wider(extents: &[u64]) -> Vec<u64> {
    extents.iter().map(|extent| extent + 1).collect()
}

/// A source whose memory cannot be lent.
pub struct OwnedSource {
    dtype: DType,
    extents: Vec<u64>,
    bytes: Vec<u8>,
}

impl OwnedSource {
    /// A source of these elements, row-major.
    #[must_use]
    pub fn new(dtype: DType, extents: &[u64], bytes: Vec<u8>) -> Self {
        Self { dtype, extents: extents.to_vec(), bytes }
    }
}

impl DataSource for OwnedSource {
    fn dtype(&self) -> DType {
        self.dtype
    }

    fn shape(&self) -> Vec<u64> {
        self.extents.clone()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), DataError> {
        let start = offset as usize;
        let bytes = self.bytes.get(start..start + out.len()).ok_or("a span that is not there")?;
        out.copy_from_slice(bytes);
        Ok(())
    }
}
