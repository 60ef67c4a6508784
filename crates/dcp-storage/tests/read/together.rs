//! Ranks of one process that want short runs of the same bytes.

use std::ops::Range;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use dcp_storage::{Layout, Locator, ReadReport, StorageError, StoreTraits, Verify};
use dcp_types::{DType, Dest, EntryKind, Region, ViewMut};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{Place, extent, naive, noise, strided, tensor};

const RANKS: usize = 4;
/// Of 2 KiB each: parts end in the middle of a row, since no part ends where a block does not.
const ROWS: u64 = 1200;
const COLUMNS: u64 = 512;
const BLOCK: usize = 3000;
const BYTES: usize = (ROWS * COLUMNS * 4) as usize;
/// Before that lies a small tensor for each rank, of which it wants half of each row: nobody else does.
const OWN: [u64; 2] = [4, 8];
const OWN_BYTES: usize = 4 * 8 * 4;
const START: usize = RANKS * OWN_BYTES;

/// The file, where its bytes may not be what was saved, and what was saved.
fn place(file: &[u8], saved: &[u8], layout: &Layout) -> Place {
    let own = |rank: usize| &saved[rank * OWN_BYTES..][..OWN_BYTES];
    let owns = (0..RANKS).map(|rank| (rank * OWN_BYTES, own(rank)));
    let owns = owns.map(|(at, bytes)| (tensor(DType::Float32, &OWN), extent(at as u64, bytes, Layout::default(), 0)));
    let all = extent(START as u64, &saved[START..], layout.clone(), BLOCK);
    let entries: Vec<(EntryKind, Locator)> = owns.chain([(tensor(DType::Float32, &[ROWS, COLUMNS]), all)]).collect();
    Place::new(file, entries).threads(1).together()
}

fn columns(rank: usize) -> Region {
    let wide = COLUMNS / RANKS as u64;
    Region::new([0, rank as u64 * wide], [ROWS, wide]).expect("region")
}

type Outcome = Result<(Vec<u8>, ReadReport), StorageError>;

/// What a rank gets: its columns, into memory with these strides.
fn load(place: &Place, rank: usize, strides: [u64; 2]) -> Outcome {
    let sizes = columns(rank).sizes().to_vec();
    let (mut own, mut memory) = (vec![0; OWN_BYTES / 2], vec![0; BYTES / RANKS]);
    let view = ViewMut::from_bytes(DType::Float32, &[4, 4], &mut own).expect("view");
    let columns_view = ViewMut::from_strided_bytes(DType::Float32, &sizes, &strides, &mut memory).expect("view");
    let report = place.read(vec![
        (place.part(rank, Region::new([0, 0], [4, 4]).expect("region")), Dest::Memory(view)),
        (place.part(RANKS, columns(rank)), Dest::Memory(columns_view)),
    ])?;
    let all = Region::new([0, 0], sizes).expect("region");
    Ok((naive(&memory, 0, &strides, 4, &all), report))
}

/// All ranks at once: each has said what it wants before the first reads what others want, and `before` happens before each such read.
fn all(
    place: &Place,
    strides: [u64; 2],
    before: impl Fn(&[Range<u64>]) -> Result<(), StorageError> + Send + Sync + 'static,
) -> Vec<thread::Result<Outcome>> {
    let barrier = Barrier::new(RANKS);
    place.watch.before(move |ranges| {
        if ranges.iter().any(|range| range.end <= START as u64) {
            barrier.wait();
            return Ok(());
        }
        before(ranges)
    });
    thread::scope(|scope| {
        let ranks: Vec<_> = (0..RANKS).map(|rank| scope.spawn(move || load(place, rank, strides))).collect();
        ranks.into_iter().map(thread::ScopedJoinHandle::join).collect()
    })
}

fn expected(saved: &[u8], strides: &[u64], rank: usize) -> Vec<u8> {
    naive(&saved[START..], 0, strides, 4, &columns(rank))
}

#[test]
fn what_all_want_is_read_and_verified_once() {
    let saved = noise(START + BYTES);
    let wide = COLUMNS / RANKS as u64;
    for (verify, verified) in [(Verify::None, 0), (Verify::Covered, BYTES), (Verify::All, BYTES)] {
        for strides in [[wide, 1], [1, ROWS]] {
            let place = place(&saved, &saved, &Layout::default()).verify(verify);
            let mut total = ReadReport::default();
            for (rank, outcome) in all(&place, strides, |_| Ok(())).into_iter().enumerate() {
                let (found, report) = outcome.expect("no panic").expect("reads");
                assert!(found == expected(&saved, &[COLUMNS, 1], rank), "rank {rank}");
                total += report;
            }
            let own = RANKS * (OWN_BYTES - 16);
            assert_eq!(place.watch.each_once(), (BYTES + own) as u64, "{verify:?}");
            assert_eq!(total.read, (BYTES + own) as u64);
            assert_eq!(total.verified, verified as u64, "{verify:?}");
        }
    }
}

/// At least for the rank whose bytes they are. The others read what they need by themselves in the end, and may get along without that block.
#[test]
fn damage_is_an_error_whoever_reads() {
    let saved = noise(START + BYTES);
    for (at, owner) in [(0, 0), (BYTES / 2 + 600, 1), (BYTES - 1, 3)] {
        let mut file = saved.clone();
        file[START + at] ^= 1;
        for verify in [Verify::Covered, Verify::All] {
            let place = place(&file, &saved, &Layout::default()).verify(verify);
            let outcomes = all(&place, [COLUMNS / RANKS as u64, 1], |_| Ok(()));
            for (rank, outcome) in outcomes.into_iter().enumerate() {
                match outcome.expect("no panic") {
                    Err(StorageError::Damaged { offset, length, .. }) => {
                        assert!((offset..offset + length).contains(&((START + at) as u64)), "{offset} for {at}");
                    }
                    Err(other) => panic!("{other}"),
                    Ok((found, _)) => {
                        assert!(rank != owner, "rank {rank} has not noticed");
                        assert!(found == expected(&saved, &[COLUMNS, 1], rank), "rank {rank}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_one_rank_fails_to_read_the_next_reads() {
    let saved = noise(START + BYTES);
    let place = place(&saved, &saved, &Layout::default());
    let failed = AtomicBool::new(false);
    let outcomes = all(&place, [COLUMNS / RANKS as u64, 1], move |_| {
        let is_first = !failed.swap(true, Ordering::SeqCst);
        let source = || std::io::Error::other("as it was told");
        let error =
            || StorageError::Io { operation: "read", location: "here".into(), path: "data".into(), source: source() };
        if is_first { Err(error()) } else { Ok(()) }
    });
    let mut errors = 0;
    for (rank, outcome) in outcomes.into_iter().enumerate() {
        match outcome.expect("no panic") {
            Ok((found, _)) => assert!(found == expected(&saved, &[COLUMNS, 1], rank), "rank {rank}"),
            Err(StorageError::Io { .. }) => errors += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(errors, 1);
}

#[test]
fn a_rank_that_panics_holds_nobody_up() {
    let saved = noise(START + BYTES);
    let place = place(&saved, &saved, &Layout::default());
    let panicked = AtomicBool::new(false);
    let outcomes = all(&place, [COLUMNS / RANKS as u64, 1], move |_| {
        assert!(panicked.swap(true, Ordering::SeqCst), "as it was told");
        Ok(())
    });
    let mut panics = 0;
    for (rank, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(read) => assert!(read.expect("reads").0 == expected(&saved, &[COLUMNS, 1], rank), "rank {rank}"),
            Err(_) => panics += 1,
        }
    }
    assert_eq!(panics, 1);
}

/// Two payloads that begin at the same place, where one is longer: neither rank reads for the other.
#[test]
fn payloads_that_overlap_are_kept_apart() {
    let saved = noise(4000 * 16);
    let entries = [1000, 4000].map(|rows: u64| {
        let payload = &saved[..rows as usize * 16];
        (tensor(DType::Float32, &[rows, 4]), extent(0, payload, Layout::default(), BLOCK))
    });
    let place = Place::new(&saved, entries.into()).together();
    let column = |entry: usize, rows: u64| {
        let region = Region::new([0, 1], [rows, 1]).expect("region");
        let (found, report) = place.bytes(DType::Float32, place.part(entry, region.clone())).expect("reads");
        assert!(found == naive(&saved, 0, &[4, 1], 4, &region));
        report.read
    };
    thread::scope(|scope| {
        let ranks =
            [(0, 1000), (1, 4000), (0, 1000), (1, 4000)].map(|(entry, rows)| scope.spawn(move || column(entry, rows)));
        for rank in ranks {
            rank.join().expect("no panic");
        }
    });
}

/// A chunk whose dimensions lie the other way round: its columns are rows.
#[test]
fn what_lies_permuted_arrives_as_well() {
    let saved = noise(START + BYTES);
    let place = place(&saved, &saved, &strided(0, &[1, ROWS]));
    let read = |rank: usize| {
        let tall = ROWS / RANKS as u64;
        let rows = Region::new([rank as u64 * tall, 0], [tall, COLUMNS]).expect("region");
        (place.bytes(DType::Float32, place.part(RANKS, rows.clone())), naive(&saved[START..], 0, &[1, ROWS], 4, &rows))
    };
    thread::scope(|scope| {
        let ranks: Vec<_> = (0..RANKS).map(|rank| scope.spawn(move || read(rank))).collect();
        for rank in ranks {
            let (found, expected) = rank.join().expect("no panic");
            assert!(found.expect("reads").0 == expected);
        }
    });
}

/// A chunk of one part or of several, and what each rank wants of it.
fn regions() -> impl Strategy<Value = ([u64; 2], Vec<Region>)> {
    let axis = |size: u64| (0..size, 1..=size).prop_map(move |(from, length)| (from, length.min(size - from)));
    let region = move |shape: [u64; 2]| {
        let axes = (axis(shape[0]), axis(shape[1]));
        axes.prop_map(|(rows, columns)| Region::new([rows.0, columns.0], [rows.1, columns.1]).expect("region"))
    };
    let shapes = prop_oneof![3 => Just([40, 30]), 1 => Just([1500, 512])];
    shapes.prop_flat_map(move |shape| (Just(shape), vec(region(shape), 2..7)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Whatever ranks want, and whoever comes first: the right bytes arrive, and no more are read than by each for itself.
    #[test]
    fn together_no_more_is_read_than_alone(
        (shape, regions) in regions(),
        block in 1..4000usize,
        coalesce_gap in prop_oneof![5 => 0..2000u64, 1 => Just(u64::MAX)],
    ) {
        let payload = noise((shape[0] * shape[1] * 4) as usize);
        let mut traits = StoreTraits::default();
        traits.coalesce_gap = coalesce_gap;
        for verify in [Verify::Covered, Verify::All] {
            let entries = || vec![(tensor(DType::Float32, &shape), extent(0, &payload, Layout::default(), block))];
            let alone = Place::with(&payload, entries(), traits.clone()).verify(verify);
            let together = Place::with(&payload, entries(), traits.clone()).verify(verify).together();
            let read = |place: &Place, region: &Region| {
                place.bytes(DType::Float32, place.part(0, region.clone())).expect("reads")
            };
            let each: Vec<_> = regions.iter().map(|region| read(&alone, region)).collect();
            let all: Vec<_> = thread::scope(|scope| {
                let (read, together) = (&read, &together);
                let ranks = regions.iter().map(|region| scope.spawn(move || read(together, region)));
                let ranks: Vec<_> = ranks.collect();
                ranks.into_iter().map(|rank| rank.join().expect("no panic")).collect()
            });
            for (one, other) in each.iter().zip(&all) {
                prop_assert!(one.0 == other.0);
                prop_assert!(other.1.verified <= other.1.needed);
                if verify == Verify::All {
                    prop_assert_eq!(other.1.verified, other.1.needed);
                }
            }
            let sum = |reads: &[(Vec<u8>, ReadReport)]| reads.iter().map(|read| read.1.read).sum::<u64>();
            // Where there are several parts, buffers end elsewhere, and what lies behind the last run of one is not read.
            let gaps = if shape[0] > 1000 { regions.len() as u64 * 4 * shape[1] * 4 } else { 0 };
            prop_assert!(sum(&all) <= sum(&each) + gaps, "{} instead of {}", sum(&all), sum(&each));
        }
    }
}
