//! What a flipped bit does, block by block: which error names it, and who does not notice.

use dcp::{Checkpoint, Error, LocalTensor, MemoryStore, NativeFormat, Region, Saver, StateDict, StorageError, Verify};
use dcp_storage::conformance::block_on;
use dcp_storage::{Precondition, ReadRange, Store, StorePath};
use ndarray::Array2;

/// Bytes that one checksum covers.
const BLOCK: u64 = 64 << 10;
const ROWS: usize = 50;
/// Bytes of a row: it ends in the midst of blocks.
const ROW: usize = 5000;
const DATA: &str = "__0_0.distcp";

#[test]
fn each_block_is_named_when_all_is_read() {
    let place = place();
    for (fqn, start, length) in [("first", 0, LENGTH), ("second", SECOND, LENGTH)] {
        for block in 0..length.div_ceil(BLOCK) {
            let (from, to) = (block * BLOCK, length.min((block + 1) * BLOCK));
            for at in [from, (from + to) / 2, to - 1] {
                let damaged = flipped(&place, start + at);
                for verify in [Verify::Covered, Verify::All] {
                    let error = Checkpoint::open(damaged.clone()).expect("opens").verify(verify).load();
                    assert_names(error.expect_err("damaged"), fqn, start + from, to - from);
                }
                // Whoever asks for nothing to be checked gets what is there.
                let unchecked = Checkpoint::open(damaged).expect("opens").verify(Verify::None);
                let read = unchecked.tensor(fqn).expect("reads");
                assert_eq!(read.bytes()[at as usize], byte(at as usize) ^ 1);
            }
        }
    }
}

/// The other tensor of a damaged file is as good as ever.
#[test]
fn only_what_is_damaged_is_refused() {
    let damaged = Checkpoint::open(flipped(&place(), SECOND + 7)).expect("opens");
    assert_eq!(damaged.tensor("first").expect("sound").bytes(), content());
    let error = damaged.tensor("second").expect_err("damaged");
    assert_names(error, "second", SECOND, BLOCK);
}

/// Nobody reads padding, and nothing depends on it.
#[test]
fn padding_has_no_checksum() {
    for at in LENGTH..SECOND {
        let checkpoint = Checkpoint::open(flipped(&place(), at)).expect("opens").verify(Verify::All);
        assert_eq!(checkpoint.tensor("first").expect("sound").bytes(), content());
        assert_eq!(checkpoint.tensor("second").expect("sound").bytes(), content());
    }
}

/// A read that covers a block in part: `Covered` does not check that block, `All` reads the rest of it as well.
#[test]
fn blocks_that_are_read_in_part() {
    // Rows 13..20 are bytes 65,000..100,000: the end of block 0, and a part of block 1.
    let (offset, sizes) = ([13, 0], [7, ROW as u64]);
    let region = Region::new(offset, sizes).expect("region");
    let wanted = 13 * ROW..20 * ROW;
    for (at, block) in
        [(0, 0), (64_999, 0), (65_000, 0), (65_535, 0), (65_536, 1), (99_999, 1), (100_000, 1), (131_071, 1)]
    {
        let damaged = flipped(&place(), at);
        let covered = Checkpoint::open(damaged.clone()).expect("opens");
        let read = covered.slice("first", &region).expect("no block is read whole");
        let differs = |number: usize| read.bytes()[number] != byte(wanted.start + number);
        let wrong: Vec<usize> = (0..wanted.len()).filter(|&number| differs(number)).collect();
        let expected: Vec<usize> =
            wanted.contains(&(at as usize)).then(|| at as usize - wanted.start).into_iter().collect();
        assert_eq!(wrong, expected, "what is wrong comes through, and nothing else");

        let all = Checkpoint::open(damaged).expect("opens").verify(Verify::All);
        assert_names(all.slice("first", &region).expect_err("damaged"), "first", block * BLOCK, BLOCK);
    }
    // The next block is none of its business.
    let beyond = Checkpoint::open(flipped(&place(), 2 * BLOCK)).expect("opens").verify(Verify::All);
    beyond.slice("first", &region).expect("sound");
}

/// A read that covers some blocks whole checks those, however it is cut; and reports say how much was checked.
#[test]
fn blocks_that_are_read_whole() {
    // Rows 10..40 are bytes 50,000..200,000: parts of blocks 0 and 3, and all of 1 and 2.
    let region = Region::new([10, 0], [30, ROW as u64]).expect("region");
    for at in [BLOCK, 2 * BLOCK - 1, 2 * BLOCK, 3 * BLOCK - 1] {
        let error = Checkpoint::open(flipped(&place(), at)).expect("opens").slice("first", &region);
        assert_names(error.expect_err("damaged"), "first", at / BLOCK * BLOCK, BLOCK);
    }
    for at in [BLOCK - 1, 3 * BLOCK] {
        Checkpoint::open(flipped(&place(), at)).expect("opens").slice("first", &region).expect("not checked");
    }
    for (verify, verified) in [(Verify::None, 0), (Verify::Covered, 2 * BLOCK), (Verify::All, 150_000)] {
        let checkpoint = Checkpoint::open(place()).expect("opens").verify(verify);
        let mut into = Array2::<u8>::zeros((30, ROW));
        let view = dcp::ViewMut::from_array(into.view_mut().into_dyn());
        let report = checkpoint.read_into("first", &region, view).expect("reads");
        assert_eq!((report.needed, report.verified), (150_000, verified), "{verify:?}");
        assert_eq!(report.read, if verify == Verify::All { LENGTH.min(4 * BLOCK) } else { 150_000 }, "{verify:?}");
    }
}

/// Columns cover no block whole; with everything to be checked each block is read, and each is known.
#[test]
fn blocks_that_are_read_in_many_parts() {
    let region = Region::new([0, 4990], [ROWS as u64, 10]).expect("region");
    for at in (0..LENGTH).step_by(7001) {
        let checkpoint = Checkpoint::open(flipped(&place(), at)).expect("opens").verify(Verify::All);
        let length = BLOCK.min(LENGTH - at / BLOCK * BLOCK);
        assert_names(checkpoint.slice("first", &region).expect_err("damaged"), "first", at / BLOCK * BLOCK, length);
    }
}

/// Bytes of a tensor, and where the second one starts: at the next multiple of 64.
const LENGTH: u64 = (ROWS * ROW) as u64;
const SECOND: u64 = LENGTH.next_multiple_of(64);

fn byte(at: usize) -> u8 {
    (at % 251) as u8
}

fn content() -> Vec<u8> {
    (0..ROWS * ROW).map(byte).collect()
}

/// Two equal tensors in one file.
fn place() -> MemoryStore {
    let array = Array2::from_shape_vec((ROWS, ROW), content()).expect("as many");
    let tensor = || LocalTensor::whole(array.view().into_dyn()).expect("tensor");
    let store = MemoryStore::new();
    let state = StateDict::new().with("first", tensor()).with("second", tensor());
    Saver::new().format(NativeFormat::new()).save_dict(&state, store.clone()).expect("saves");
    store
}

/// The same with one bit of the data file flipped.
fn flipped(place: &MemoryStore, at: u64) -> MemoryStore {
    let store = MemoryStore::new();
    for object in block_on(place.list(None)).expect("listed") {
        let mut content = vec![0; object.size as usize];
        block_on(place.read(&object.path, &mut [ReadRange { offset: 0, buffer: &mut content }])).expect("read");
        if object.path.as_str() == DATA {
            content[at as usize] ^= 1;
        }
        block_on(store.publish(&object.path, &content, Precondition::Absent)).expect("published");
    }
    store
}

fn assert_names(error: Error, fqn: &str, from: u64, bytes: u64) {
    let Error::Storage(error) = error else { panic!("not an error of the storage: {error}") };
    match *error {
        StorageError::Damaged { fqn: named, path, offset, length, expected, found, .. } => {
            assert_eq!((named.as_str(), path), (fqn, StorePath::parse(DATA).expect("a name")));
            assert_eq!((offset, length), (from, bytes));
            assert_ne!(expected, found);
        }
        other => panic!("{other}"),
    }
}
