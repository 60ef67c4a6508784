//! Views against ndarray, for every element size and layout.

use dcp_types::{ElementMut, Region, TypesError, View, strategies};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::arrays::{Check, Layout, bytes_of, counting, for_each_size, layouts, layouts_and_regions, slice_of, usizes};

fn any_span_is_read<T: ElementMut>(layout: &Layout, (from, to): (Index, Index)) -> Check {
    let memory = layout.memory::<T>();
    let array = layout.view(&memory);
    let view = View::from_array(array.view());
    let expected = bytes_of(array.view());
    prop_assert_eq!(view.shape(), layout.shape.dims());
    prop_assert_eq!((view.dtype(), view.nbytes()), (T::DTYPE, expected.len() as u64));
    let (from, to) = (from.index(expected.len() + 1), to.index(expected.len() + 1));
    let (from, to) = (from.min(to), from.max(to));
    let mut out = vec![0; to - from];
    prop_assert_eq!(view.read_at(from as u64, &mut out), Ok(()));
    prop_assert_eq!(out.as_slice(), &expected[from..to]);
    let found = expected.len() as u64;
    let beyond = view.read_at(from as u64, &mut vec![0; expected.len() - from + 1]);
    prop_assert_eq!(beyond, Err(TypesError::BufferLength { expected: found + 1, found }));
    Ok(())
}

fn parts_are_slices<T: ElementMut>(layout: &Layout, region: &Region) -> Check {
    let memory = layout.memory::<T>();
    let array = layout.view(&memory);
    let part = View::from_array(array.view()).slice(region).expect("inside");
    let expected = slice_of(array.view(), region);
    prop_assert_eq!(part.shape(), region.sizes());
    let mut out = vec![0; part.nbytes() as usize];
    prop_assert_eq!(part.read_at(0, &mut out), Ok(()));
    prop_assert_eq!(&out, &bytes_of(expected.view()));
    prop_assert_eq!(part.as_bytes(), expected.is_standard_layout().then_some(out.as_slice()));
    Ok(())
}

fn flat_parts_are_rows<T: ElementMut>(before: u64, extents: &[u64], after: u64) -> Check {
    let numel: u64 = extents.iter().product();
    let flat = counting::<T>(&[before + numel + after]);
    let view = View::from_array(flat.view());
    let part = view.flat_part(before, extents).expect("inside");
    prop_assert_eq!(part.shape(), extents);
    let row = &flat.as_slice().expect("contiguous")[before as usize..(before + numel) as usize];
    let expected = ndarray::ArrayViewD::from_shape(usizes(extents), row).expect("as many");
    let expected = bytes_of(expected);
    prop_assert_eq!(part.as_bytes(), Some(expected.as_slice()));
    let (expected, found) = (before + after + 1 + numel, before + numel + after);
    prop_assert_eq!(
        view.flat_part(before + after + 1, extents).err(),
        Some(TypesError::BufferLength { expected, found })
    );
    let column = flat.view().insert_axis(ndarray::Axis(1));
    prop_assert_eq!(View::from_array(column).flat_part(0, extents).err(), Some(TypesError::NotFlat));
    Ok(())
}

proptest! {
    #[test]
    fn any_span_reads_as_row_major(layout in layouts(), span in any::<(Index, Index)>()) {
        for_each_size!(any_span_is_read(&layout, span));
    }

    #[test]
    fn parts_are_as_ndarray_slices_them((layout, region) in layouts_and_regions()) {
        for_each_size!(parts_are_slices(&layout, &region));
    }

    #[test]
    fn flat_parts_have_the_elements_in_order(
        before in 0..5u64,
        shape in strategies::shapes_up_to(3, 4),
        after in 0..5u64,
    ) {
        for_each_size!(flat_parts_are_rows(before, shape.dims(), after));
    }

    #[test]
    fn bytes_and_arrays_are_seen_alike(dtype in strategies::dtypes(), (shape, region) in strategies::regions()) {
        let bytes: Vec<u8> = (0..shape.numel() * dtype.size() + 1).map(|byte| byte as u8).collect();
        // At an odd address, too.
        let view = View::from_bytes(dtype, shape.dims(), &bytes[1..]).expect("length");
        let size = dtype.size() as usize;
        let numbers = counting::<u32>(shape.dims());
        let mut expected = Vec::new();
        for start in region.runs(shape.dims()).expect("inside") {
            let start = 1 + start as usize * size;
            let run = region.runs(shape.dims()).expect("inside").run_length() as usize * size;
            expected.extend_from_slice(&bytes[start..start + run]);
        }
        let part = view.slice(&region).expect("inside");
        prop_assert_eq!(part.nbytes() as usize, slice_of(numbers.view(), &region).len() * size);
        let mut out = vec![0; expected.len()];
        prop_assert_eq!(part.read_at(0, &mut out), Ok(()));
        prop_assert_eq!(out, expected);
        let (expected, found) = (view.nbytes(), bytes.len() as u64);
        prop_assert_eq!(
            View::from_bytes(dtype, shape.dims(), &bytes).err(),
            Some(TypesError::BufferLength { expected, found })
        );
    }
}

#[test]
fn a_broadcast_row_reads_as_if_repeated() {
    let row = ndarray::arr1(&[1u16, 2, 3]);
    let repeated = row.broadcast((2, 3)).expect("broadcasts").into_dyn();
    let mut out = [0; 12];
    View::from_array(repeated).read_at(0, &mut out).expect("inside");
    assert_eq!(out, [1, 0, 2, 0, 3, 0, 1, 0, 2, 0, 3, 0]);
}
