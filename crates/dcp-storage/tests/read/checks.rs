//! Checksums of whole payloads, as a zip has them, and reading for nothing but checksums.

use std::sync::Barrier;

use dcp_storage::{Layers, Layout, Locator, StorageError, StoreTraits, Stream, Verify};
use dcp_types::{DType, DataError, DataSink, Dest, EntryKind, ReadItem, ReadWhat, Region, ViewMut};

use crate::support::{Place, Watch, extent, noise, strided, tensor};

const ROWS: u64 = 300;
const COLUMNS: u64 = 1000;
const BYTES: usize = (ROWS * COLUMNS * 4) as usize;

/// 1.2 MB with one checksum, read in pieces.
fn place(file: &[u8], payload: &[u8], layout: Layout) -> Place {
    let entries = vec![(tensor(DType::Float32, &[ROWS, COLUMNS]), extent(0, payload, layout, 1 << 40))];
    Place::with(file, entries, pieces())
}

fn pieces() -> StoreTraits {
    let mut traits = StoreTraits::default();
    traits.read_size = 400_000;
    traits
}

fn layouts() -> [Layout; 3] {
    [Layout::default(), strided(0, &[COLUMNS, 1]), strided(0, &[1, ROWS])]
}

fn damaged(payload: &[u8], at: usize) -> Vec<u8> {
    let mut file = payload.to_vec();
    file[at] ^= 4;
    file
}

fn assert_damaged<T: std::fmt::Debug>(outcome: Result<T, StorageError>, length: usize) {
    match outcome {
        Err(StorageError::Damaged { offset: 0, length: found, .. }) => assert_eq!(found, length as u64),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the damage was not noticed"),
    }
}

#[test]
fn a_whole_chunk_is_verified_by_one_checksum_over_many_reads() {
    let payload = noise(BYTES);
    for layout in layouts() {
        for verify in [Verify::Covered, Verify::All] {
            let sound = place(&payload, &payload, layout.clone()).verify(verify);
            for read in [Place::bytes, Place::reversed] {
                let (_, report) = read(&sound, DType::Float32, sound.whole(0)).expect("sound");
                assert_eq!((report.verified, report.read), (BYTES as u64, BYTES as u64));
                assert!(sound.watch.reads().len() >= 3, "several tasks");
            }
            for at in [0, BYTES / 2, BYTES - 1] {
                let bad = place(&damaged(&payload, at), &payload, layout.clone()).verify(verify);
                assert_damaged(bad.bytes(DType::Float32, bad.whole(0)), BYTES);
                assert_damaged(bad.reversed(DType::Float32, bad.whole(0)), BYTES);
                if layout.strides != Some(vec![1, ROWS]) || verify == Verify::All {
                    assert_damaged(bad.sunk(bad.whole(0)), BYTES);
                }
            }
        }
    }
}

/// Other sizes of pieces, elements that do not start at a multiple of theirs.
#[test]
fn pieces_of_any_size_make_one_checksum() {
    let payload = noise(10_000);
    for (read_size, dtype, shape) in [(777, DType::Complex128, [25, 25]), (1, DType::UInt8, [100, 100])] {
        let mut traits = StoreTraits::default();
        traits.read_size = read_size;
        for layout in [Layout::default(), strided(0, &[1, shape[0]])] {
            let entries = |payload: &[u8]| vec![(tensor(dtype, &shape), extent(0, payload, layout.clone(), 1 << 30))];
            let sound = Place::with(&payload, entries(&payload), traits.clone());
            let (_, report) = sound.bytes(dtype, sound.whole(0)).expect("sound");
            assert_eq!(report.verified, 10_000);
            let bad = Place::with(&damaged(&payload, 3_100), entries(&payload), traits.clone());
            assert_damaged(bad.bytes(dtype, bad.whole(0)), 10_000);
        }
    }
}

#[test]
fn a_part_is_verified_by_reading_through_once() {
    let payload = noise(BYTES);
    let rows = || Region::new([10, 0], [50, COLUMNS]).expect("region");
    let columns = || Region::new([0, 7], [ROWS, 90]).expect("region");
    for layout in [Layout::default(), strided(0, &[1, ROWS]), strided(0, &[COLUMNS - 7, 1])] {
        let covered = place(&payload, &payload, layout.clone());
        let (_, report) = covered.bytes(DType::Float32, covered.part(0, rows())).expect("sound");
        assert_eq!(report.verified, 0);
        let all = place(&payload, &payload, layout.clone()).verify(Verify::All);
        let (mut a, mut b) = (vec![0; 50 * 4000], vec![0; 300 * 360]);
        let view = |memory, sizes: [u64; 2]| ViewMut::from_bytes(DType::Float32, &sizes, memory).expect("view");
        let wanted = vec![
            (all.part(0, rows()), Dest::Memory(view(&mut a, [50, COLUMNS]))),
            (all.part(0, columns()), Dest::Memory(view(&mut b, [ROWS, 90]))),
        ];
        let report = all.read(wanted).expect("sound");
        assert_eq!((report.needed, report.verified), (50 * 4000 + 300 * 360, 50 * 4000 + 300 * 360));
        assert!(report.read >= report.needed + BYTES as u64 && report.read < 3 * BYTES as u64, "{report:?}");
        let bad = place(&damaged(&payload, BYTES - 1), &payload, layout.clone()).verify(Verify::All);
        assert_damaged(bad.bytes(DType::Float32, bad.part(0, rows())), BYTES);
        assert_damaged(bad.sunk(bad.part(0, rows())), BYTES);
        // What is not asked for is not read.
        let covered = place(&damaged(&payload, BYTES - 1), &payload, layout.clone());
        covered.bytes(DType::Float32, covered.part(0, rows())).expect("nobody looks");
    }
}

#[test]
fn what_is_discarded_is_read_for_its_checksums() {
    let payload = noise(BYTES);
    let value = b"a value".to_vec();
    let entries = |layout: &Layout, block| {
        let at = |offset: usize, bytes: &[u8], layout| extent(offset as u64, bytes, layout, block);
        vec![
            (tensor(DType::Float32, &[ROWS, COLUMNS]), at(0, &payload, layout.clone())),
            (EntryKind::Value, at(BYTES, &value, Layout::default())),
            (tensor(DType::Float32, &[COLUMNS, COLUMNS]), at(0, &payload, strided(0, &[1, 1]))),
        ]
    };
    let all = |place: &Place| {
        let part = Region::new([0, 0], [1, 1]).expect("region");
        let items = [place.whole(0), ReadItem { entry: 1, what: ReadWhat::Value }, place.part(2, part)];
        place.read(items.map(|item| (item, Dest::Discard)).into())
    };
    let sound = [payload.as_slice(), &value].concat();
    for layout in layouts() {
        for block in [1 << 16, 1 << 40] {
            let place = Place::with(&sound, entries(&layout, block), pieces());
            let report = all(&place).expect("sound");
            let asked = (2 * BYTES + value.len()) as u64;
            assert_eq!((report.needed, report.verified, report.read), (asked, asked, sound.len() as u64));
            assert!(place.watch.reads().len() >= 4, "several reads");
            all(&place).expect("sound");
            assert_eq!(place.watch.each_once(), sound.len() as u64);
            for at in [BYTES / 3, BYTES + 2] {
                let place = Place::new(&damaged(&sound, at), entries(&layout, block));
                assert!(matches!(all(&place), Err(StorageError::Damaged { .. })), "byte {at}");
            }
        }
        let unchecked = Place::new(&sound, entries(&layout, 0));
        let report = all(&unchecked).expect("reads");
        assert_eq!((report.verified, report.read), (0, sound.len() as u64));
    }
    let cut = Place::new(&sound[..BYTES], entries(&Layout::default(), 1 << 16));
    assert!(matches!(all(&cut), Err(StorageError::OutOfRange { .. })));
}

#[test]
fn a_block_of_nothing_is_corrupt() {
    let Locator::Extent(mut extent) = extent(0, b"0123", Layout::default(), 4) else { panic!("an extent") };
    extent.checks.as_mut().expect("checks").block = 0;
    let stored = Stream {
        file: extent.file.clone(),
        offset: 0,
        length: 4,
        layers: Layers::default(),
        codec: None,
        checks: extent.checks.clone(),
    };
    for locator in [Locator::Extent(extent), Locator::Stream(stored)] {
        let place = Place::new(b"0123", vec![(tensor(DType::UInt8, &[4]), locator)]);
        let outcome = place.bytes(DType::UInt8, place.whole(0));
        assert!(matches!(outcome, Err(StorageError::Corrupt { .. })), "{outcome:?}");
    }
}

/// Widened reads are whole blocks, also where those are larger than what is read at a time.
#[test]
fn no_block_is_read_twice() {
    let payload = noise(BYTES);
    let mut traits = StoreTraits::default();
    traits.read_size = 50_000;
    let entries = vec![(tensor(DType::Float32, &[ROWS, COLUMNS]), extent(0, &payload, Layout::default(), 1 << 18))];
    let place = Place::with(&payload, entries, traits).verify(Verify::All);
    let (_, report) = place.bytes(DType::Float32, place.whole(0)).expect("sound");
    assert_eq!((report.verified, place.watch.each_once()), (BYTES as u64, BYTES as u64));
}

#[test]
fn extents_that_are_not_there_take_no_memory() {
    let value = || ReadItem { entry: 0, what: ReadWhat::Value };
    let Locator::Extent(extent) = extent(0, b"0123", Layout::default(), 4) else { panic!("an extent") };
    let mut huge = extent.clone();
    huge.length = 1 << 55;
    let outcome = Place::new(b"0123", vec![(EntryKind::Value, Locator::Extent(huge.clone()))])
        .read(vec![(value(), Dest::Discard)]);
    assert!(matches!(outcome, Err(StorageError::OutOfRange { .. })), "{outcome:?}");
    let mut encoded = Vec::new();
    let place = Place::new(b"0123", vec![(EntryKind::Value, Locator::Extent(huge))]);
    let outcome = place.read(vec![(value(), Dest::Value(&mut encoded))]);
    assert!(matches!(outcome, Err(StorageError::Destination { .. })), "{outcome:?}");
    let mut far = extent;
    far.offset = u64::MAX - 2;
    let outcome =
        Place::new(b"0123", vec![(EntryKind::Value, Locator::Extent(far))]).read(vec![(value(), Dest::Discard)]);
    assert!(matches!(outcome, Err(StorageError::Corrupt { .. })), "{outcome:?}");
}

/// A sink that waits blocks its thread. If that had other reads under way, they would keep their connections from those for whom it waits.
#[test]
fn no_read_stands_still_behind_a_sink() {
    // Reading all of it for the checksum takes longer than the slab that the sink is given first.
    let payload = noise(10 * BYTES);
    let mut traits = StoreTraits::default();
    (traits.reads_in_flight, traits.read_size) = (8, 16 << 20);
    let rows = 10 * ROWS;
    for layout in [Layout::default(), strided(0, &[1, rows])] {
        let entries = vec![(tensor(DType::Float32, &[rows, COLUMNS]), extent(0, &payload, layout, 1 << 40))];
        let place = Place::with(&payload, entries, traits.clone()).verify(Verify::All).threads(1);
        let mut taken = 0;
        let alone = Alone { watch: &place.watch, taken: &mut taken };
        place.read(vec![(place.whole(0), Dest::Sink(Box::new(alone)))]).expect("reads");
        assert_eq!(taken, payload.len());
    }
}

/// Each of two sinks waits for the other, whatever a thread could keep under way.
#[test]
fn sinks_are_spread_over_the_threads() {
    let payload = noise(BYTES);
    let mut traits = StoreTraits::default();
    traits.reads_in_flight = 8;
    let entry = || (tensor(DType::Float32, &[ROWS, COLUMNS]), extent(0, &payload, Layout::default(), 0));
    let place = Place::with(&payload, vec![entry(), entry()], traits).threads(2);
    let both = Barrier::new(2);
    let sink = || Dest::Sink(Box::new(Meeting { both: &both, has_met: false }));
    place.read(vec![(place.whole(0), sink()), (place.whole(1), sink())]).expect("reads");
}

struct Meeting<'a> {
    both: &'a Barrier,
    has_met: bool,
}

impl DataSink for Meeting<'_> {
    fn write(&mut self, _bytes: &[u8]) -> Result<(), DataError> {
        if !std::mem::replace(&mut self.has_met, true) {
            self.both.wait();
        }
        Ok(())
    }
}

struct Alone<'a> {
    watch: &'a Watch,
    taken: &'a mut usize,
}

impl DataSink for Alone<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        assert_eq!(self.watch.under_way(), 0);
        *self.taken += bytes.len();
        Ok(())
    }
}
