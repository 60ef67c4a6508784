//! What is read into the pieces of a buffer stands in the buffer where its sharding says.

use dcp_planner::{PartRead, PlanError, RegionRead, TensorRead, cut_target};
use dcp_types::{BufferPlace, Chunk, DType, HeldPart, ReadItem, ReadWhat, Region, Shape, TypesError, ViewMut};
use ndarray::{ArrayD, ArrayViewD, IxDyn};
use proptest::prelude::*;

const UNTOUCHED: u32 = u32::MAX;

fn region(offsets: &[u64], sizes: &[u64]) -> Region {
    Region::new(offsets.iter().copied(), sizes.iter().copied()).expect("region")
}

fn boxed(region: Region, offsets: &[u64]) -> HeldPart {
    HeldPart { region, place: BufferPlace::Box(offsets.to_vec()) }
}

fn flat(region: Region, start: u64) -> HeldPart {
    HeldPart { region, place: BufferPlace::Flat(start) }
}

/// Reads of the parts from these chunks, as a planner makes them.
fn read_of(parts: Vec<HeldPart>, chunks: &[Region]) -> TensorRead {
    let part_read = |held: HeldPart| {
        let meeting = chunks.iter().enumerate().filter_map(|(number, chunk)| {
            let region = chunk.intersect(&held.region)?;
            Some(RegionRead { chunk: Chunk { region: chunk.clone(), number: number as u32 }, region })
        });
        PartRead { reads: meeting.collect(), held }
    };
    let parts = parts.into_iter().map(part_read).collect();
    TensorRead { target: "w".into(), entry: 5, stored: DType::UInt32, wanted: DType::UInt32, parts }
}

/// A tensor of which each element is its own number.
fn numbered(shape: &[u64]) -> ArrayD<u32> {
    let shape: Vec<usize> = shape.iter().map(|&extent| extent as usize).collect();
    let numbers = (0..shape.iter().product::<usize>() as u32).collect();
    ArrayD::from_shape_vec(shape, numbers).expect("shape")
}

fn slice<'a>(tensor: &'a ArrayD<u32>, region: &Region) -> ArrayViewD<'a, u32> {
    let mut part = tensor.view();
    for dim in 0..region.ndim() {
        let range = region.offsets()[dim] as usize..region.end(dim) as usize;
        part.slice_axis_inplace(ndarray::Axis(dim), range.into());
    }
    part
}

/// Cuts the buffer and writes into each piece what its item names.
fn fill(read: &TensorRead, tensor: &ArrayD<u32>, buffer: ViewMut<'_>) -> Vec<ReadItem> {
    let pieces = cut_target(read, buffer).expect("cut");
    let mut items = Vec::new();
    for (item, mut piece) in pieces {
        let ReadWhat::Region { chunk, region } = &item.what else { panic!("not a region: {item:?}") };
        assert!(chunk.region.contains(region), "{region} is not in its chunk {}", chunk.region);
        assert_eq!((item.entry, piece.shape()), (read.entry, region.sizes().to_vec()));
        let bytes: Vec<u8> = slice(tensor, region).iter().flat_map(|number| number.to_ne_bytes()).collect();
        piece.copy_from_bytes(&bytes).expect("length");
        items.push(item);
    }
    items
}

fn check_boxes(parts: Vec<HeldPart>, chunks: &[Region], shape: &[u64], buffer_shape: &[usize]) -> Vec<ReadItem> {
    let tensor = numbered(shape);
    let read = read_of(parts, chunks);
    let mut buffer = ArrayD::from_elem(IxDyn(buffer_shape), UNTOUCHED);
    let items = fill(&read, &tensor, ViewMut::from_array(buffer.view_mut()));
    let mut held = 0;
    for part in &read.parts {
        let BufferPlace::Box(offsets) = &part.held.place else { panic!("not a box") };
        let here = Region::new(offsets.iter().copied(), part.held.region.sizes().iter().copied()).expect("region");
        assert_eq!(slice(&buffer, &here), slice(&tensor, &part.held.region));
        held += here.numel();
    }
    let filled = buffer.iter().filter(|&&element| element != UNTOUCHED).count() as u64;
    assert_eq!(filled, held, "the rest is padding and stays as it was");
    items
}

#[test]
fn one_part_is_read_from_several_chunks() {
    let chunks = [region(&[0, 0], &[3, 6]), region(&[3, 0], &[2, 6]), region(&[5, 0], &[3, 6])];
    let items = check_boxes(vec![boxed(region(&[2, 1], &[4, 4]), &[0, 0])], &chunks, &[8, 6], &[4, 4]);
    assert_eq!(items.len(), 3);
}

#[test]
fn a_buffer_may_be_padded_on_every_side() {
    let chunks = [region(&[0, 0], &[8, 6])];
    let parts = vec![boxed(region(&[0, 0], &[2, 6]), &[1, 1]), boxed(region(&[6, 0], &[2, 6]), &[5, 1])];
    assert_eq!(check_boxes(parts, &chunks, &[8, 6], &[8, 8]).len(), 2);
}

#[test]
fn scalars_and_empty_parts_are_cut_too() {
    assert_eq!(check_boxes(vec![boxed(region(&[], &[]), &[])], &[region(&[], &[])], &[], &[]).len(), 1);
    assert_eq!(check_boxes(vec![], &[region(&[0], &[4])], &[4], &[0]).len(), 0);
}

#[test]
fn chunks_in_a_pinwheel_come_out_in_more_pieces_than_there_are_reads() {
    let chunks = [
        region(&[0, 0], &[1, 2]),
        region(&[0, 2], &[2, 1]),
        region(&[2, 1], &[1, 2]),
        region(&[1, 0], &[2, 1]),
        region(&[1, 1], &[1, 1]),
    ];
    let items = check_boxes(vec![boxed(region(&[0, 0], &[3, 3]), &[0, 0])], &chunks, &[3, 3], &[3, 3]);
    assert!(items.len() > chunks.len());
    let covered: u64 = items.iter().map(numel).sum();
    assert_eq!(covered, 9);
}

#[test]
fn parts_in_a_pinwheel_are_read_from_chunks_that_cross_them() {
    // The tensor's rows lie in the buffer as the blades of a pinwheel, and each blade is read from two chunks.
    let parts = vec![
        boxed(region(&[0, 0], &[1, 2]), &[0, 0]),
        boxed(region(&[1, 0], &[2, 1]), &[0, 2]),
        boxed(region(&[3, 0], &[1, 2]), &[2, 1]),
        boxed(region(&[4, 0], &[2, 1]), &[1, 0]),
    ];
    let chunks = [region(&[0, 0], &[2, 2]), region(&[2, 0], &[3, 2]), region(&[5, 0], &[1, 2])];
    check_boxes(parts, &chunks, &[6, 2], &[3, 3]);
}

#[test]
fn a_transposed_buffer_is_cut_as_any_other() {
    let tensor = numbered(&[4, 6]);
    let chunks = [region(&[0, 0], &[4, 2]), region(&[0, 2], &[4, 4])];
    let read = read_of(vec![boxed(region(&[0, 0], &[4, 6]), &[0, 0])], &chunks);
    let mut buffer = ArrayD::from_elem(IxDyn(&[6, 4]), UNTOUCHED);
    fill(&read, &tensor, ViewMut::from_array(buffer.view_mut().reversed_axes()));
    assert_eq!(buffer.reversed_axes(), tensor);
}

#[test]
fn flat_parts_lie_in_a_padded_row() {
    let tensor = numbered(&[4, 6]);
    let (top, corner) = (region(&[0, 0], &[1, 6]), region(&[2, 2], &[2, 3]));
    let chunks = [region(&[0, 0], &[4, 3]), region(&[0, 3], &[4, 3])];
    // The later part stands first in the buffer; there is padding before, between and behind.
    let read = read_of(vec![flat(top.clone(), 9), flat(corner.clone(), 2)], &chunks);
    let mut buffer = ArrayD::from_elem(IxDyn(&[16]), UNTOUCHED);
    let items = fill(&read, &tensor, ViewMut::from_array(buffer.view_mut()));
    assert_eq!(items.len(), 4);
    let mut expected = vec![UNTOUCHED; 16];
    expected[9..15].copy_from_slice(&slice(&tensor, &top).iter().copied().collect::<Vec<_>>());
    expected[2..8].copy_from_slice(&slice(&tensor, &corner).iter().copied().collect::<Vec<_>>());
    assert_eq!(buffer.into_raw_vec_and_offset().0, expected);
}

/// Whoever plans by themselves may forget a chunk: what is there before a load must not pass for what was loaded.
#[test]
fn reads_that_leave_some_of_a_part_out_are_refused() {
    let part = || vec![boxed(region(&[0, 0], &[2, 3]), &[0, 0])];
    let chunks = [region(&[0, 0], &[1, 3]), region(&[1, 0], &[1, 3])];
    let mut array = ndarray::Array2::<u32>::zeros((2, 3));
    for (chunks, covered) in [(&chunks[..1], 3), (&[], 0)] {
        let outcome = cut_target(&read_of(part(), chunks), ViewMut::from_array(array.view_mut().into_dyn()));
        let is_hole = |source: &TypesError| *source == TypesError::Hole { covered, total: 6 };
        assert!(matches!(&outcome, Err(PlanError::Types { source, .. }) if is_hole(source)), "{outcome:?}");
    }
}

#[test]
fn what_does_not_fit_the_buffer_is_refused() {
    let chunk = [region(&[0], &[8])];
    let fault = |parts: Vec<HeldPart>, len: usize| {
        let mut buffer = vec![0u32; len];
        let view = ViewMut::from_array(ndarray::ArrayViewMut1::from(&mut buffer[..]).into_dyn());
        match cut_target(&read_of(parts, &chunk), view) {
            Err(PlanError::Types { fqn: Some(fqn), source }) if fqn.as_str() == "w" => *source,
            other => panic!("{other:?}"),
        }
    };
    let out = fault(vec![boxed(region(&[0], &[8]), &[0])], 7);
    assert!(matches!(out, TypesError::OutOfBounds { .. }));
    let overlap = fault(vec![flat(region(&[0], &[4]), 0), flat(region(&[4], &[4]), 3)], 8);
    assert!(matches!(overlap, TypesError::Overlap(_)));

    let mut stray = read_of(vec![boxed(region(&[2], &[4]), &[0])], &chunk);
    stray.parts[0].reads[0].region = region(&[1], &[4]);
    let mut buffer = [0u32; 4];
    let view = ViewMut::from_array(ndarray::ArrayViewMut1::from(&mut buffer[..]).into_dyn());
    assert!(cut_target(&stray, view).is_err());
}

fn numel(item: &ReadItem) -> u64 {
    match &item.what {
        ReadWhat::Region { region, .. } => region.numel(),
        ReadWhat::Value => 0,
    }
}

/// Random straight cuts through a box.
fn tiling(shape: Vec<u64>) -> impl Strategy<Value = Vec<Region>> {
    proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3usize), 0..8).prop_map(
        move |cuts| {
            let mut regions = vec![Region::full(&Shape::new(shape.clone()).expect("shape"))];
            for (which, at, dim) in cuts {
                let number = which.index(regions.len());
                let dim = dim % shape.len();
                let size = regions[number].sizes()[dim];
                if size > 1 {
                    let whole = regions.swap_remove(number);
                    let at = whole.offsets()[dim] + 1 + at.index(size as usize - 1) as u64;
                    let (low, high) = whole.split(dim, at);
                    regions.extend([low, high]);
                }
            }
            regions
        },
    )
}

proptest! {
    #[test]
    fn any_parts_are_filled_from_any_chunks(
        (shape, parts, chunks) in proptest::collection::vec(1..7u64, 1..4)
            .prop_flat_map(|shape| (Just(shape.clone()), tiling(shape.clone()), tiling(shape))),
        laid_flat in any::<bool>(),
        gap in 0..3u64,
    ) {
        if laid_flat {
            let tensor = numbered(&shape);
            let mut end = 0;
            let held: Vec<_> = parts.iter().map(|part| {
                let start = end + gap;
                end = start + part.numel();
                flat(part.clone(), start)
            }).collect();
            let mut buffer = ArrayD::from_elem(IxDyn(&[end as usize]), UNTOUCHED);
            fill(&read_of(held.clone(), &chunks), &tensor, ViewMut::from_array(buffer.view_mut()));
            for part in held {
                let BufferPlace::Flat(start) = part.place else { unreachable!() };
                let filled = slice(&buffer, &region(&[start], &[part.region.numel()]));
                prop_assert!(filled.iter().eq(slice(&tensor, &part.region).iter()));
            }
        } else {
            let held = parts.iter().map(|part| boxed(part.clone(), part.offsets())).collect();
            let buffer: Vec<usize> = shape.iter().map(|&extent| extent as usize).collect();
            let items = check_boxes(held, &chunks, &shape, &buffer);
            prop_assert_eq!(items.iter().map(numel).sum::<u64>(), shape.iter().product::<u64>());
        }
    }
}
