//! Items that are neighbours in a file are read at once.

use dcp_storage::{Layout, ReadReport, StorageError, StoreTraits, Verify};
use dcp_types::{DType, Dest, EntryKind, ReadItem, ViewMut};
use proptest::prelude::*;

use crate::support::{Place, extent, noise, tensor};

/// A file with a tensor of each length (in bytes), each so many bytes after the one before.
struct Neighbours {
    place: Place,
    file: Vec<u8>,
    at: Vec<usize>,
    lengths: Vec<usize>,
}

impl Neighbours {
    fn new(gaps_and_lengths: &[(usize, usize)], traits: StoreTraits) -> Self {
        Self::with(gaps_and_lengths, traits, |_| {})
    }

    /// The same, where something happens to the file before it is read.
    fn with(gaps_and_lengths: &[(usize, usize)], traits: StoreTraits, damage: impl FnOnce(&mut Vec<u8>)) -> Self {
        let total: usize = gaps_and_lengths.iter().map(|(gap, length)| gap + length).sum();
        let (file, mut at, mut entries, mut position) = (noise(total), Vec::new(), Vec::new(), 0);
        for &(gap, length) in gaps_and_lengths {
            position += gap;
            let payload = &file[position..position + length];
            let kind: EntryKind = tensor(DType::UInt8, &[length as u64]);
            entries.push((kind, extent(position as u64, payload, Layout::default(), 1000)));
            at.push(position);
            position += length;
        }
        let mut stored = file.clone();
        damage(&mut stored);
        let lengths = gaps_and_lengths.iter().map(|(_, length)| *length).collect();
        // One thread, so that there is nothing to be divided.
        Self { place: Place::with(&stored, entries, traits).threads(1), file, at, lengths }
    }

    /// Reads them all in this order, and compares.
    fn read(&self, order: &[usize]) -> Result<ReadReport, StorageError> {
        let mut memory: Vec<Vec<u8>> = self.lengths.iter().map(|&length| vec![0xEE; length]).collect();
        let mut wanted: Vec<(usize, (ReadItem, Dest<'_>))> = Vec::new();
        for (number, buffer) in memory.iter_mut().enumerate() {
            let view = ViewMut::from_bytes(DType::UInt8, &[buffer.len() as u64], buffer).expect("view");
            wanted.push((number, (self.place.whole(number), Dest::Memory(view))));
        }
        wanted.sort_by_key(|(number, _)| order.iter().position(|other| other == number));
        let report = self.place.read(wanted.into_iter().map(|(_, wanted)| wanted).collect())?;
        for ((&at, &length), found) in self.at.iter().zip(&self.lengths).zip(&memory) {
            assert!(self.file[at..at + length] == found[..], "the tensor at {at}");
        }
        Ok(report)
    }
}

fn traits(gap: u64, exact: u64, size: u64) -> StoreTraits {
    let mut traits = StoreTraits::default();
    (traits.coalesce_gap, traits.exact_run, traits.read_size) = (gap, exact, size);
    traits
}

#[test]
fn those_that_touch_are_one_read_and_nothing_else_is_read() {
    let neighbours = Neighbours::new(&[(7, 300); 50].map(|(_, length)| (0, length)), traits(64, 4096, 1 << 20));
    let order: Vec<usize> = (0..50).rev().collect();
    let report = neighbours.read(&order).expect("reads");
    assert_eq!((neighbours.place.watch.calls(), neighbours.place.watch.each_once()), (1, 15_000));
    assert_eq!((report.needed, report.read, report.verified, report.ranges), (15_000, 15_000, 15_000, 1));
}

/// Where there is much to read, each read is longer, up to a bound; where there is little, it is not.
#[test]
fn much_is_read_in_long_reads() {
    let read = |longest: u64, tensors: usize| {
        let mut traits = traits(64, 100, 1000);
        traits.longest_read = longest;
        let neighbours = Neighbours::new(&vec![(0, 1000); tensors], traits);
        neighbours.read(&(0..tensors).collect::<Vec<_>>()).expect("reads");
        neighbours.place.watch.calls()
    };
    assert_eq!(read(0, 64), 64);
    assert_eq!(read(8000, 64), 8);
    // Four turns, so that threads can share them.
    assert_eq!(read(8000, 16), 4);
    assert_eq!(read(8000, 4), 4);
}

#[test]
fn short_ones_are_read_with_what_lies_between_and_that_is_counted() {
    let neighbours = Neighbours::new(&[(64, 300); 50], traits(64, 1 << 20, 1 << 20));
    let report = neighbours.read(&[]).expect("reads");
    assert_eq!(neighbours.place.watch.calls(), 1);
    assert_eq!((report.needed, report.read, report.verified), (15_000, 15_000 + 49 * 64, 15_000));
}

#[test]
fn long_ones_and_far_ones_are_read_exactly() {
    for (gap, length) in [(64, 4096), (65, 300)] {
        let neighbours = Neighbours::new(&[(gap, length); 10], traits(64, 4096, 1 << 20));
        let report = neighbours.read(&[]).expect("reads");
        assert_eq!(neighbours.place.watch.calls(), 10);
        assert_eq!(report.read, report.needed);
    }
}

#[test]
fn no_read_is_longer_than_the_store_likes() {
    let neighbours = Neighbours::new(&[(0, 3000); 40], traits(64, 4096, 10_000));
    neighbours.read(&[]).expect("reads");
    // Three of them each.
    assert_eq!(neighbours.place.watch.calls(), 14);
}

#[test]
fn what_is_skipped_takes_no_more_memory_than_a_buffer() {
    let mut traits = traits(1000, 1 << 20, 1 << 20);
    traits.read_buffer = 5000;
    let neighbours = Neighbours::new(&[(1000, 10); 51], traits);
    neighbours.read(&[]).expect("reads");
    assert_eq!(neighbours.place.watch.calls(), 9);
}

#[test]
fn all_that_may_be_under_way_has_its_share() {
    let mut traits = traits(64, 1000, 1 << 20);
    traits.reads_in_flight = 4;
    let neighbours = Neighbours::new(&[(0, 500); 40], traits);
    neighbours.read(&[]).expect("reads");
    assert_eq!(neighbours.place.watch.calls(), 4);
}

#[test]
fn the_damaged_one_is_named() {
    let neighbours = Neighbours::with(&[(10, 2500); 9], StoreTraits::default(), |file| file[2510 * 4 + 10 + 2100] ^= 1);
    let offset = 2510 * 4 + 10 + 2000;
    match neighbours.read(&[]) {
        Err(StorageError::Damaged { fqn, offset: found, length, .. }) => {
            assert_eq!((fqn.as_str(), found, length), ("4", offset, 500));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_place_may_be_wanted_twice() {
    let payload = noise(2000);
    let entries = [0, 0].map(|at| (tensor(DType::UInt8, &[2000]), extent(at, &payload, Layout::default(), 1000)));
    let place = Place::new(&payload, entries.into());
    let (mut one, mut two) = (vec![0; 2000], vec![0; 2000]);
    let wanted = [&mut one, &mut two].into_iter().enumerate().map(|(number, buffer)| {
        let view = ViewMut::from_bytes(DType::UInt8, &[2000], buffer).expect("view");
        (place.whole(number), Dest::Memory(view))
    });
    place.read(wanted.collect()).expect("reads");
    assert!(one == payload && two == payload);
}

proptest! {
    #[test]
    fn any_neighbours(
        gaps_and_lengths in proptest::collection::vec((0_usize..200, 0_usize..6000), 1..40),
        gap in 0_u64..200,
        exact in 1_u64..6000,
        size in 1_u64..20_000,
        all in any::<bool>(),
    ) {
        let mut neighbours = Neighbours::new(&gaps_and_lengths, traits(gap, exact, size));
        if all {
            neighbours.place = neighbours.place.verify(Verify::All);
        }
        let report = neighbours.read(&[]).expect("reads");
        prop_assert_eq!(report.verified, report.needed);
        if !all {
            prop_assert_eq!(neighbours.place.watch.each_once(), report.read);
        }
    }
}
