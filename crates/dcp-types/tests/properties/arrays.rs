//! Arrays to compare with: of every element size, in every memory layout that ndarray has.

use dcp_types::{DType, Element, ElementMut, Region, Shape, strategies};
use half::bf16;
use ndarray::{ArrayD, ArrayViewD, ArrayViewMutD, Axis, Slice};
use num_complex::Complex;
use proptest::collection::vec;
use proptest::prelude::*;

/// Runs a check for an element type of each size there is.
macro_rules! for_each_size {
    ($check:ident($($argument:expr),* $(,)?)) => {
        $check::<u8>($($argument),*)?;
        $check::<half::bf16>($($argument),*)?;
        $check::<f32>($($argument),*)?;
        $check::<i64>($($argument),*)?;
        $check::<num_complex::Complex<f64>>($($argument),*)?;
    };
}
pub(crate) use for_each_size;

pub(crate) type Check = Result<(), TestCaseError>;

/// An element that has its number in all of its bytes.
pub(crate) fn element<T: ElementMut>(number: usize) -> T {
    let bytes: Vec<u8> = (0..size_of::<T>()).map(|byte| (number * 31 + byte * 17 + number / 256) as u8).collect();
    bytemuck::pod_read_unaligned(&bytes)
}

/// Row-major bytes, whatever the layout.
pub(crate) fn bytes_of<T: ElementMut>(array: ArrayViewD<'_, T>) -> Vec<u8> {
    array.iter().flat_map(|element| bytemuck::bytes_of(element).to_vec()).collect()
}

pub(crate) fn slice_of<'a, T>(mut array: ArrayViewD<'a, T>, region: &Region) -> ArrayViewD<'a, T> {
    for (dim, (&offset, &size)) in region.offsets().iter().zip(region.sizes()).enumerate() {
        array.slice_axis_inplace(Axis(dim), Slice::from(offset as usize..(offset + size) as usize));
    }
    array
}

pub(crate) fn usizes(extents: &[u64]) -> Vec<usize> {
    extents.iter().map(|&extent| extent as usize).collect()
}

/// An array in row-major order whose element numbers count up.
pub(crate) fn counting<T: ElementMut>(extents: &[u64]) -> ArrayD<T> {
    let extents = usizes(extents);
    let len = extents.iter().product();
    ArrayD::from_shape_vec(extents, (0..len).map(element).collect()).expect("as many elements as the shape has")
}

/// How a tensor of a shape lies in memory: dimensions in another order, reversed, every n-th element of a larger one.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) shape: Shape,
    order: Vec<usize>,
    steps: Vec<isize>,
}

pub(crate) fn layouts() -> impl Strategy<Value = Layout> {
    strategies::shapes_up_to(4, 5).prop_flat_map(|shape| {
        let dims = shape.dims().len();
        let order = prop_oneof![Just((0..dims).collect::<Vec<_>>()), Just((0..dims).collect()).prop_shuffle()];
        let steps = prop_oneof![Just(vec![1; dims]), vec(prop_oneof![Just(1), Just(-1), Just(2), Just(-2)], dims)];
        (Just(shape), order, steps).prop_map(|(shape, order, steps)| Layout { shape, order, steps })
    })
}

impl Layout {
    /// The memory in which the tensor lies.
    pub(crate) fn memory<T: ElementMut>(&self) -> ArrayD<T> {
        let mut extents = vec![0; self.order.len()];
        for (dim, &at) in self.order.iter().enumerate() {
            extents[at] = self.shape.dims()[dim] * self.steps[dim].unsigned_abs() as u64;
        }
        counting(&extents)
    }

    pub(crate) fn view<'a, T>(&self, memory: &'a ArrayD<T>) -> ArrayViewD<'a, T> {
        let mut view = memory.view().permuted_axes(self.order.clone());
        for (dim, &step) in self.steps.iter().enumerate() {
            view.slice_axis_inplace(Axis(dim), Slice::new(0, None, step));
        }
        view
    }

    pub(crate) fn view_mut<'a, T>(&self, memory: &'a mut ArrayD<T>) -> ArrayViewMutD<'a, T> {
        let mut view = memory.view_mut().permuted_axes(self.order.clone());
        for (dim, &step) in self.steps.iter().enumerate() {
            view.slice_axis_inplace(Axis(dim), Slice::new(0, None, step));
        }
        view
    }
}

/// A layout and a region of its tensor.
pub(crate) fn layouts_and_regions() -> impl Strategy<Value = (Layout, Region)> {
    layouts().prop_flat_map(|layout| {
        let regions = strategies::regions_in(&layout.shape);
        (Just(layout), regions)
    })
}

#[test]
fn every_element_size_is_checked() {
    let sizes = [u8::DTYPE, bf16::DTYPE, f32::DTYPE, i64::DTYPE, Complex::<f64>::DTYPE].map(DType::size);
    assert!(DType::ALL.iter().all(|dtype| sizes.contains(&dtype.size())));
}
