//! Files in the form from before PyTorch 1.6.

use bytes::Bytes;
use dcp_storage::{Locator, StorageError};

use super::ReadSaved;
use super::in_memory::{answer, content, locate, open, path};
use super::tests::fixture;
use crate::object::LeafContent;
use crate::peak::peak_of;

/// The pickles before that of the state, as protocol 2 has them.
const BEGINNING: &[u8] =
    b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s.";

/// A file of this state, and of storages with what stands before them.
fn legacy(state: &[u8], keys: &[&str], storages: &[(u64, &[u8])]) -> Bytes {
    let mut file = [BEGINNING, state, b"\x80\x02]("].concat();
    for key in keys {
        file.extend([b"X", &(key.len() as u32).to_le_bytes()[..], key.as_bytes()].concat());
    }
    file.extend(b"e.");
    for (numel, bytes) in storages {
        file.extend([&numel.to_le_bytes(), *bytes].concat());
    }
    file.into()
}

/// The persistent id of a storage of shorts, with the end of its tuple.
fn id(key: &str, numel: u8, end: &[u8]) -> Vec<u8> {
    let key = [&(key.len() as u32).to_le_bytes()[..], key.as_bytes()].concat();
    [b"(X\x07\0\0\0storagectorch\nShortStorage\nX", &key[..], b"X\x03\0\0\0cpuK", &[numel], end, b"tQ"].concat()
}

/// A dict with one tensor, of this storage.
fn state(id: &[u8], numel: u8) -> Vec<u8> {
    let after = [b"K\0K", &[numel][..], b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRs."].concat();
    [b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(", id, &after].concat()
}

fn refused(file: &Bytes) -> String {
    match open(file) {
        Ok(saved) => locate(&saved, 0, file).expect_err("refused"),
        Err(error) => error,
    }
    .to_string()
}

#[test]
fn tensors_lie_behind_one_another() {
    let file = legacy(&state(&id("77", 2, b"N"), 2), &["77"], &[(2, b"abcd")]);
    let Locator::Extent(extent) = locate(&open(&file).expect("opens"), 0, &file).expect("located") else {
        panic!("an extent")
    };
    assert_eq!((extent.offset, extent.length), (file.len() as u64 - 4, 4));
}

#[test]
fn what_is_wrong_is_said() {
    let sound = state(&id("7", 2, b"N"), 2);
    let huge = [b"\x80\x02\x8d", &u64::MAX.to_le_bytes()[..]].concat();
    for (file, reason) in [
        (legacy(&sound, &["7"], &[(1 << 62, b"abcd")]), "should have 2 elements, but has 4611686018427387904"),
        (legacy(&sound, &["7"], &[(2, b"abc")]), "of 4 bytes, of"),
        (legacy(&sound, &[], &[]), "no storage \"7\""),
        (legacy(&sound, &["7", "7"], &[(2, b"abcd"), (2, b"abcd")]), "twice"),
        (legacy(&sound, &["7", "8"], &[(2, b"abcd"), (0, b"")]), "belongs to nothing"),
        (legacy(&state(&id("7", 2, b"X\x01\0\0\x008K\0K\x02\x87"), 2), &["7"], &[(2, b"abcd")]), "view of another one"),
        (legacy(&huge, &[], &[]), "beyond the end of the file"),
    ] {
        let error = refused(&file);
        assert!(error.contains(reason), "{error}, expected {reason}");
    }
    let otherwise = |from: &[u8], to: &[u8]| {
        let file = legacy(&sound, &["7"], &[(2, b"abcd")]);
        let at = file.windows(from.len()).position(|window| window == from).expect("there");
        Bytes::from([&file[..at], to, &file[at + from.len()..]].concat())
    };
    assert!(refused(&otherwise(b"M\xe9\x03", b"M\xe8\x03")).contains("version Int(1000)"));
    assert!(refused(&otherwise(b"endian\x88", b"endian\x89")).contains("big-endian"));
    assert!(refused(&otherwise(b"ShortStorage", b"OtherStorage")).contains("class that is not known"));
}

#[test]
fn little_is_read_of_a_large_file() {
    const LENGTH: usize = 300_000;
    // More of a pickle than is read at first.
    let text = [b"\x80\x02}X\x01\0\0\0tX", &(LENGTH as u32).to_le_bytes()[..], &vec![b't'; LENGTH], b"s."].concat();
    let mut file = legacy(&text, &[], &[]).to_vec();
    file.resize(20 << 20, 0);
    let file = Bytes::from(file);
    let mut read = Vec::new();
    let (saved, peak) = peak_of(|| answer(ReadSaved::new(path(), file.len() as u64), &file, &mut read).expect("opens"));
    assert!(matches!(saved.leaves[0].content, LeafContent::Value(_)));
    assert!(read.iter().map(|(_, length)| length).sum::<u64>() < 4 * LENGTH as u64, "{read:?}");
    assert!(peak < 4 * LENGTH, "{peak}");
}

#[test]
fn a_file_that_was_cut_off_is_refused() {
    let whole = fixture("legacy2");
    for length in (0..whole.len()).step_by(61).chain([whole.len() - 1]) {
        let error = open(&whole.slice(..length)).expect_err("refused");
        assert!(matches!(error, StorageError::Corrupt { .. } | StorageError::Unreadable { .. }), "{length}: {error}");
    }
}

#[test]
fn a_damaged_file_is_read_or_refused() {
    let whole = fixture("legacy4");
    for at in (0..whole.len()).step_by(211) {
        let mut damaged = whole.to_vec();
        damaged[at] ^= 1 << (at % 8);
        let damaged = Bytes::from(damaged);
        let Ok(saved) = open(&damaged) else { continue };
        for leaf in 0..saved.leaves.len() {
            if let Ok(locator @ (Locator::Stream(_) | Locator::Inline(_))) = locate(&saved, leaf, &damaged) {
                drop(content(&locator, &damaged, 1 << 12));
            }
        }
    }
}
