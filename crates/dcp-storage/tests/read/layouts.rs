//! Chunks that lie transposed, padded, expanded, entangled.

use dcp_storage::{Io, Layout, Locator, StorageError, StoreTraits};
use dcp_types::{DType, Region};

use crate::support::{Place, extent, naive, noise, strided, tensor};

/// Shape, strides, bytes before the first element.
const LAYOUTS: &[(&[u64], &[u64], u64)] = &[
    (&[5, 7], &[7, 1], 0),
    (&[5, 7], &[7, 1], 3),
    (&[5, 7], &[1, 5], 0),
    (&[5, 7], &[1, 5], 6),
    (&[2, 3, 4], &[1, 8, 2], 0),
    (&[2, 3, 4], &[4, 8, 1], 2),
    // Channels last.
    (&[2, 3, 4, 5], &[60, 1, 15, 3], 0),
    // Padded rows, padded columns, every second element.
    (&[5, 7], &[10, 1], 4),
    (&[5, 7], &[1, 9], 0),
    (&[5, 7], &[14, 2], 0),
    (&[3, 5, 2], &[2, 17, 1], 1),
    // Expanded, windows that overlap, elements that interleave.
    (&[5, 7], &[0, 1], 0),
    (&[5, 7], &[1, 0], 2),
    (&[3, 5, 2], &[2, 0, 1], 0),
    (&[5, 7], &[2, 1], 0),
    (&[5, 4], &[1, 1], 9),
    (&[4, 3], &[2, 5], 0),
    (&[2, 2], &[0, 0], 0),
    // Strides that do not matter.
    (&[1, 6, 1], &[u64::MAX, 1, 77], 0),
    (&[1, 6, 1, 2], &[0, 1, 3, 6], 0),
    (&[1], &[0], 0),
    (&[], &[], 5),
    (&[0, 4], &[0, 9], 0),
];

/// As bytes come in pieces of many sizes.
fn traits() -> [StoreTraits; 3] {
    let default = StoreTraits::default();
    let (mut small, mut apart) = (default.clone(), default.clone());
    small.read_size = 13;
    (apart.read_size, apart.coalesce_gap) = (64, 0);
    [default, small, apart]
}

fn regions(shape: &[u64]) -> Vec<Region> {
    let whole = Region::new(vec![0; shape.len()], shape.to_vec()).expect("region");
    let inner = |from: u64| {
        let offsets = shape.iter().map(|&size| from.min(size / 2)).collect::<Vec<_>>();
        let sizes = shape.iter().zip(&offsets).map(|(&size, &offset)| (size - offset).saturating_sub(from).max(1));
        Region::new(offsets.clone(), sizes).ok().filter(|region| region.fits(shape))
    };
    [Some(whole), inner(1), inner(2)].into_iter().flatten().collect()
}

#[test]
fn every_layout_goes_into_every_destination() {
    for dtype in [DType::UInt8, DType::Int16, DType::Float64, DType::Complex128] {
        for &(shape, strides, first) in LAYOUTS {
            for traits in traits() {
                let payload = noise(2000);
                let locator = extent(11, &payload, strided(first, strides), 0);
                let file = [&[0; 11], payload.as_slice()].concat();
                let place = Place::with(&file, vec![(tensor(dtype, shape), locator)], traits);
                for region in regions(shape) {
                    let expected = naive(&payload, first, strides, dtype.size(), &region);
                    let context = format!("{dtype} {shape:?} at {strides:?} from {first}: {region}");
                    let item = || place.part(0, region.clone());
                    place.watch.reads();
                    let (found, report) = place.bytes(dtype, item()).expect("reads");
                    assert_eq!(found, expected, "{context}");
                    assert_eq!(report.needed, expected.len() as u64);
                    assert_eq!(report.read, place.watch.reads().iter().map(|read| read.end - read.start).sum::<u64>());
                    assert_eq!(place.reversed(dtype, item()).expect("reads").0, expected, "{context}, reversed");
                    assert_eq!(place.sunk(item()).expect("reads").0, expected, "{context}, to a sink");
                }
            }
        }
    }
}

/// 6 MiB, column by column, in reads of 1 MiB.
fn transposed() -> (Place, Vec<u8>) {
    let payload = noise(1024 * 768 * 8);
    let entries = vec![(tensor(DType::Float64, &[1024, 768]), extent(0, &payload, strided(0, &[1, 1024]), 0))];
    let mut traits = StoreTraits::default();
    traits.read_size = 1 << 20;
    (Place::with(&payload, entries, traits), payload)
}

#[test]
fn transposed_chunks_are_read_exactly_and_in_pieces() {
    let (place, payload) = transposed();
    // Into transposed memory nothing is to be put in order.
    let (found, report) = place.reversed(DType::Float64, place.whole(0)).expect("reads");
    let whole = Region::new([0, 0], [1024, 768]).expect("region");
    let expected = naive(&payload, 0, &[1, 1024], 8, &whole);
    assert!(found == expected);
    assert_eq!((report.read, report.ranges), (payload.len() as u64, 6));
    assert_eq!(place.watch.each_once(), payload.len() as u64);
    let (found, report) = place.bytes(DType::Float64, place.whole(0)).expect("reads");
    assert!(found == expected);
    assert_eq!(report.read, payload.len() as u64);
    assert_eq!(place.watch.each_once(), payload.len() as u64);
    // A sink takes slabs of rows, of each of which every column is a run.
    let (found, report) = place.sunk(place.whole(0)).expect("reads");
    assert!(found == expected);
    assert_eq!(report.read, payload.len() as u64);
    assert_eq!(place.watch.each_once(), payload.len() as u64);
}

#[test]
fn long_runs_of_permuted_chunks_are_read_alone() {
    let (place, payload) = transposed();
    // 4096 bytes of each column.
    let region = Region::new([300, 17], [512, 700]).expect("region");
    let expected = naive(&payload, 0, &[1, 1024], 8, &region);
    for read in [Place::reversed, Place::bytes] {
        let (found, report) = read(&place, DType::Float64, place.part(0, region.clone())).expect("reads");
        assert!(found == expected);
        assert_eq!((report.read, report.needed), (512 * 700 * 8, 512 * 700 * 8));
        assert_eq!(place.watch.each_once(), report.needed);
    }
    let (found, report) = place.sunk(place.part(0, region)).expect("reads");
    assert!(found == expected);
    assert_eq!(report.read, report.needed);
}

#[test]
fn padding_is_not_read() {
    let payload = noise(60 * 5000);
    let place = Place::tensor(DType::UInt8, &[60, 4500], &payload, strided(100, &[5000, 1]));
    let whole = Region::new([0, 0], [60, 4500]).expect("region");
    let (found, report) = place.bytes(DType::UInt8, place.whole(0)).expect("reads");
    assert!(found == naive(&payload, 100, &[5000, 1], 1, &whole));
    assert_eq!((report.read, place.watch.each_once()), (report.needed, report.needed));
}

/// An expanded tensor is many times as large as what is stored of it.
#[test]
fn expanded_chunks_are_read_once_into_memory() {
    let payload = noise(3 << 20);
    let shape = [9, 3 << 20];
    let place = Place::tensor(DType::UInt8, &shape, &payload, strided(0, &[0, 1]));
    let (found, report) = place.bytes(DType::UInt8, place.whole(0)).expect("reads");
    assert!(found.chunks(3 << 20).all(|row| row == payload));
    assert_eq!((report.needed, report.read), (27 << 20, 3 << 20));
    let largest = place.watch.reads().iter().map(|read| read.end - read.start).max();
    assert!(largest <= Some(Io::READ_BUFFER));
    let (found, _) = place.sunk(place.whole(0)).expect("reads");
    assert!(found.chunks(3 << 20).all(|row| row == payload));
}

#[test]
fn layouts_that_leave_their_payload_are_corrupt() {
    let payload = noise(4 * 35);
    let refused = |layout: Layout, shape: &[u64]| {
        let place = Place::tensor(DType::Float32, shape, &payload, layout);
        for outcome in [place.bytes(DType::Float32, place.whole(0)), place.sunk(place.whole(0))] {
            assert!(matches!(outcome, Err(StorageError::Corrupt { .. })), "{:?}", outcome.map(|(_, report)| report));
        }
        assert!(place.watch.reads().is_empty());
    };
    refused(Layout::default(), &[5, 6]);
    refused(Layout::default(), &[5, 8]);
    refused(Layout { first: 1, ..Layout::default() }, &[5, 7]);
    refused(strided(1, &[7, 1]), &[5, 7]);
    refused(strided(0, &[8, 1]), &[5, 7]);
    refused(strided(0, &[7, 1, 1]), &[5, 7]);
    refused(strided(0, &[7]), &[5, 7]);
    refused(strided(u64::MAX, &[0, 0]), &[5, 7]);
    refused(strided(u64::MAX - 3, &[0, 0]), &[5, 7]);
    refused(strided(0, &[u64::MAX, 1]), &[5, 7]);
    refused(strided(0, &[u64::MAX / 4, 1]), &[5, 7]);
    refused(strided(0, &[1 << 62, 1 << 62]), &[5, 7]);
    // With strides of its own a payload may be longer than its elements.
    let place = Place::tensor(DType::Float32, &[5, 6], &payload, strided(0, &[6, 1]));
    assert_eq!(place.bytes(DType::Float32, place.whole(0)).expect("reads").0, payload[..120]);
}

#[test]
fn a_value_has_no_layout() {
    let Locator::Extent(mut extent) = extent(0, b"value", Layout::default(), 0) else { panic!("an extent") };
    extent.layout.first = 1;
    let place = Place::new(b"value", vec![(dcp_types::EntryKind::Value, Locator::Extent(extent))]);
    let item = dcp_types::ReadItem { entry: 0, what: dcp_types::ReadWhat::Value };
    let outcome = place.read(vec![(item, dcp_types::Dest::Value(&mut Vec::new()))]);
    assert!(matches!(outcome, Err(StorageError::Corrupt { .. })), "{outcome:?}");
}
