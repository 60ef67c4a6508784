//! Mutable views against ndarray, for every element size and layout.

use dcp_types::{DType, ElementMut, Region, TypesError, ViewMut, strategies};
use ndarray::{ArrayD, Axis};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::arrays::{Check, Layout, bytes_of, element, for_each_size, layouts, layouts_and_regions, slice_of, usizes};

/// Elements that no memory starts with.
fn news<T: ElementMut>(extents: &[u64]) -> ArrayD<T> {
    let mut array = crate::arrays::counting::<T>(extents);
    array.iter_mut().zip(1000..).for_each(|(old, number)| *old = element(number));
    array
}

fn a_part_is_written<T: ElementMut>(layout: &Layout, region: &Region, step: usize) -> Check {
    let (mut memory, mut expected) = (layout.memory::<T>(), layout.memory::<T>());
    let new = news::<T>(region.sizes());
    let bytes = bytes_of(new.view());
    let mut part = ViewMut::from_array(layout.view_mut(&mut memory)).into_slice(region).expect("inside");
    prop_assert_eq!((part.dtype(), part.nbytes()), (T::DTYPE, bytes.len() as u64));
    if step == 0 {
        prop_assert_eq!(part.copy_from_bytes(&bytes), Ok(()));
    } else {
        for (number, span) in bytes.chunks(step).enumerate() {
            prop_assert_eq!(part.reborrow().write_at((number * step) as u64, span), Ok(()));
        }
    }
    let found = bytes.len() as u64;
    let longer = [bytes.as_slice(), &[0]].concat();
    prop_assert_eq!(part.write_at(0, &longer), Err(TypesError::BufferLength { expected: found + 1, found }));
    prop_assert_eq!(part.copy_from_bytes(&longer), Err(TypesError::BufferLength { expected: found, found: found + 1 }));
    let mut target = layout.view_mut(&mut expected);
    for (dim, (&offset, &size)) in region.offsets().iter().zip(region.sizes()).enumerate() {
        target.slice_axis_inplace(Axis(dim), ndarray::Slice::from(offset as usize..(offset + size) as usize));
    }
    target.assign(&new);
    prop_assert_eq!(bytes_of(memory.view()), bytes_of(expected.view()));
    Ok(())
}

fn permuted_memory_is_written<T: ElementMut>(layout: &Layout, seed: u64) -> Check {
    let order = crate::region::order(layout.shape.dims().len(), seed);
    let (mut memory, mut expected) = (layout.memory::<T>(), layout.memory::<T>());
    let new = news::<T>(&order.iter().map(|&dim| layout.shape.dims()[dim]).collect::<Vec<_>>());
    let mut view = ViewMut::from_array(layout.view_mut(&mut memory)).permute(&order).expect("an order");
    prop_assert_eq!(usizes(&view.shape()), new.shape());
    prop_assert_eq!(view.copy_from_bytes(&bytes_of(new.view())), Ok(()));
    layout.view_mut(&mut expected).permuted_axes(order.clone()).assign(&new);
    prop_assert_eq!(bytes_of(memory.view()), bytes_of(expected.view()));
    let longer = [order.as_slice(), &[0]].concat();
    let refused = ViewMut::from_array(layout.view_mut(&mut memory)).permute(&longer).err();
    prop_assert_eq!(refused, Some(TypesError::Order(longer)));
    Ok(())
}

fn halves_are_written<T: ElementMut>(layout: &Layout, dim: Index, at: Index) -> Check {
    let dims = layout.shape.dims();
    let mut memory = layout.memory::<T>();
    let dim = dim.index(dims.len());
    let at = at.index(dims[dim] as usize + 1);
    let view = ViewMut::from_array(layout.view_mut(&mut memory));
    let (mut low, mut high) = view.split_at(dim, at as u64).expect("inside");
    let new = news::<T>(dims);
    let (new_low, new_high) = new.view().split_at(Axis(dim), at);
    prop_assert_eq!(usizes(&low.shape()), new_low.shape());
    prop_assert_eq!(usizes(&high.shape()), new_high.shape());
    prop_assert_eq!(high.copy_from_bytes(&bytes_of(new_high)), Ok(()));
    prop_assert_eq!(low.copy_from_bytes(&bytes_of(new_low)), Ok(()));
    prop_assert_eq!(bytes_of(layout.view(&memory)), bytes_of(new.view()));
    let view = ViewMut::from_array(layout.view_mut(&mut memory));
    let beyond = view.split_at(dim, dims[dim] + 1);
    prop_assert!(matches!(beyond, Err(TypesError::OutOfBounds { .. })), "no refusal");
    Ok(())
}

fn contiguous_memory_is_lent<T: ElementMut>(layout: &Layout, region: &Region) -> Check {
    let mut memory = layout.memory::<T>();
    let expected = {
        let array = slice_of(layout.view(&memory), region);
        array.is_standard_layout().then(|| bytes_of(array.view()))
    };
    let mut part = ViewMut::from_array(layout.view_mut(&mut memory)).into_slice(region).expect("inside");
    prop_assert_eq!(part.as_bytes_mut().map(|bytes| bytes.to_vec()), expected.clone());
    prop_assert_eq!(part.into_bytes().ok().map(|bytes| bytes.to_vec()), expected);
    Ok(())
}

fn spans_are_the_memory<T: ElementMut>(layout: &Layout, region: &Region, shortest: usize) -> Check {
    let mut memory = layout.memory::<T>();
    let expected = bytes_of(slice_of(layout.view(&memory), region));
    let mut part = ViewMut::from_array(layout.view_mut(&mut memory)).into_slice(region).expect("inside");
    let contiguous = part.as_bytes_mut().is_some();
    match part.into_spans(shortest) {
        Ok(spans) => {
            prop_assert!(expected.is_empty() || spans.iter().all(|span| span.len() >= shortest));
            prop_assert!(!contiguous || spans.len() <= 1);
            prop_assert_eq!(spans.concat(), expected);
        }
        Err(unchanged) => {
            prop_assert_eq!(unchanged.shape(), region.sizes());
            prop_assert!(shortest > size_of::<T>(), "an element is a span");
            prop_assert!(!contiguous || shortest > expected.len());
        }
    }
    Ok(())
}

fn boxes_are_written_apart<T: ElementMut>(layout: &Layout, boxes: &[Region]) -> Check {
    let (mut memory, mut expected) = (layout.memory::<T>(), layout.memory::<T>());
    let new = news::<T>(layout.shape.dims());
    let parts = ViewMut::from_array(layout.view_mut(&mut memory)).cut(boxes.to_vec()).expect("disjoint");
    for (mut view, part, number) in parts {
        prop_assert!(boxes[number].contains(&part), "{part} of {}", boxes[number]);
        prop_assert_eq!(view.copy_from_bytes(&bytes_of(slice_of(new.view(), &part))), Ok(()));
    }
    for region in boxes {
        let mut target = layout.view_mut(&mut expected);
        for (dim, &offset) in region.offsets().iter().enumerate() {
            target.slice_axis_inplace(Axis(dim), ndarray::Slice::from(offset as usize..region.end(dim) as usize));
        }
        target.assign(&slice_of(new.view(), region));
    }
    prop_assert_eq!(bytes_of(memory.view()), bytes_of(expected.view()));
    Ok(())
}

fn layouts_and_boxes() -> impl Strategy<Value = (Layout, Vec<Region>)> {
    layouts().prop_flat_map(|layout| {
        let boxes = strategies::tilings(&layout.shape, 3).prop_map(|tiling| tiling.held_by(0));
        (Just(layout), boxes)
    })
}

proptest! {
    #[test]
    fn writing_a_part_is_as_ndarray_does_it((layout, region) in layouts_and_regions(), step in 0..50usize) {
        for_each_size!(a_part_is_written(&layout, &region, step));
    }

    #[test]
    fn permuted_memory_is_as_ndarray_permutes_it(layout in layouts(), seed in any::<u64>()) {
        for_each_size!(permuted_memory_is_written(&layout, seed));
    }

    #[test]
    fn halves_together_are_the_whole(layout in layouts(), dim in any::<Index>(), at in any::<Index>()) {
        if layout.shape.dims().is_empty() {
            return Ok(());
        }
        for_each_size!(halves_are_written(&layout, dim, at));
    }

    #[test]
    fn contiguous_parts_lend_their_bytes((layout, region) in layouts_and_regions()) {
        for_each_size!(contiguous_memory_is_lent(&layout, &region));
    }

    #[test]
    fn spans_are_the_part_in_row_major_order((layout, region) in layouts_and_regions(), shortest in 0..30usize) {
        for_each_size!(spans_are_the_memory(&layout, &region, shortest));
    }

    #[test]
    fn boxes_cut_out_are_written_and_nothing_else((layout, boxes) in layouts_and_boxes()) {
        for_each_size!(boxes_are_written_apart(&layout, &boxes));
    }

    #[test]
    fn overlapping_boxes_are_never_cut(
        (layout, boxes) in layouts_and_boxes(),
        number in any::<Index>(),
    ) {
        let filled: Vec<_> = boxes.iter().filter(|region| !region.is_empty()).cloned().collect();
        if filled.is_empty() {
            return Ok(());
        }
        let twice = [filled.as_slice(), &[filled[number.index(filled.len())].clone()]].concat();
        let mut memory = layout.memory::<u16>();
        let cut = ViewMut::from_array(layout.view_mut(&mut memory)).cut(twice);
        prop_assert!(matches!(cut, Err(TypesError::Overlap(_))));
    }

    #[test]
    fn padded_rows_are_buffers_too(shape in strategies::shapes_up_to(3, 4), padding in 0..3u64) {
        let mut strides = vec![1; shape.dims().len()];
        for dim in (1..strides.len()).rev() {
            strides[dim - 1] = strides[dim] * shape.dims()[dim] + padding;
        }
        let last = shape.dims().iter().zip(&strides).map(|(extent, stride)| extent.saturating_sub(1) * stride);
        let len = last.sum::<u64>() as usize + 1;
        let new = news::<i32>(shape.dims());
        let mut memory = vec![0; 4 * len];
        let mut view =
            ViewMut::from_strided_bytes(DType::Int32, shape.dims(), &strides, &mut memory).expect("no overlap");
        prop_assert_eq!(view.copy_from_bytes(&bytes_of(new.view())), Ok(()));
        for (index, element) in new.indexed_iter() {
            let at: u64 = (0..strides.len()).map(|dim| index[dim] as u64 * strides[dim]).sum();
            prop_assert_eq!(&memory[4 * at as usize..][..4], bytemuck::bytes_of(element));
        }
        if shape.numel() > 0 {
            let short = ViewMut::from_strided_bytes(DType::Int32, shape.dims(), &strides, &mut memory[4..]);
            prop_assert_eq!(short.err(), Some(TypesError::NotFlat));
        }
    }

    #[test]
    fn flat_parts_are_written_where_they_stand(
        before in 0..5u64,
        shape in strategies::shapes_up_to(3, 4),
        after in 0..5u64,
    ) {
        let numel = shape.numel();
        let new = news::<f64>(shape.dims());
        let mut flat = vec![0; 8 * (before + numel + after) as usize];
        let whole = ViewMut::from_bytes(DType::Float64, &[before + numel + after], &mut flat).expect("length");
        let mut part = whole.into_flat_part(before, shape.dims()).expect("inside");
        prop_assert_eq!(part.copy_from_bytes(&bytes_of(new.view())), Ok(()));
        let zeros = |count: u64| vec![0; 8 * count as usize];
        prop_assert_eq!(flat, [zeros(before), bytes_of(new.view()), zeros(after)].concat());
    }
}
