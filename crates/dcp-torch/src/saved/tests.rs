//! Files with objects that only Python can make. Those in `tests/fixtures/torch/26_objects` were made by `tests/python/odd_objects.py`.

use std::sync::Arc;

use bytes::Bytes;
use dcp_storage::{Locator, StorageError, Strictness};
use dcp_types::{DictKey, ReadItem, Segment, Value};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::in_memory::{answer, content, decode, locate, open, path};
use super::{LocateSaved, ReadSaved};
use crate::archive::sample::{archive, record};
use crate::archive::{Archive, Known, Storages};
use crate::object::{self, LeafContent};
use crate::peak::peak_of;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/torch/26_objects");
const FILES: [&str; 5] = ["zip2", "zip4", "zip5", "legacy2", "legacy4"];

/// The objects of a file: names, and archives.
fn objects(file: &Bytes) -> Vec<(String, Vec<u8>)> {
    let saved = open(file).expect("opens");
    let foreign = saved.leaves.iter().enumerate().filter(|(_, leaf)| matches!(leaf.content, LeafContent::Foreign(_)));
    let object = |(number, leaf): (usize, &object::Leaf)| {
        let locator = locate(&saved, number, file).unwrap_or_else(|error| panic!("{}: {error}", leaf.path));
        let whole = content(&locator, file, 1 << 16).expect("decodes");
        for pieces in [1, 7, 100] {
            assert!(content(&locator, file, pieces).expect("decodes") == whole, "{} in pieces of {pieces}", leaf.path);
        }
        let step = |segment: &Segment| match segment {
            Segment::Key(DictKey::Str(key)) => key.to_string(),
            other => format!("{other:?}"),
        };
        (leaf.path.segments().iter().map(step).collect::<Vec<_>>().join("/"), whole)
    };
    foreign.map(object).collect()
}

pub(super) fn fixture(name: &str) -> Bytes {
    std::fs::read(format!("{FIXTURE}/{name}.pt")).expect("fixture").into()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(list: &Json) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|item| item.as_str().expect("text")).collect()
}

/// What CPython writes in another way: it numbers less, and knows equal text only if it is one object.
const IN_ANOTHER_WAY: [&str; 3] = ["odd/reduced", "odd/storage", "odd/flags"];

#[test]
fn every_object_is_what_pytorch_saves_of_it_alone() {
    let expected = std::fs::read_to_string(format!("{FIXTURE}/expected.json")).expect("fixture");
    let expected: Json = serde_json::from_str(&expected).expect("JSON");
    for name in FILES {
        let mut compared = 0;
        for (path, archive) in objects(&fixture(name)) {
            let Some(expected) = path.strip_prefix("odd/").map(|key| &expected["objects"][key]) else { continue };
            let value = object::decode_strictly(&archive.into(), &path, Strictness::Salvage).expect("decodes");
            let Value::Opaque(opaque) = value else { panic!("{name}: {path}: {value:?}") };
            assert_eq!(&*opaque.encoding, "torch-save");
            let known = Known::whole(opaque.bytes.clone());
            let read = Archive::read(&known).expect("an archive");
            let storages = texts(&expected["storages"]);
            let stored = |number: usize| hex(&read.storage_bytes(&known, &number.to_string()).expect("a storage"));
            assert_eq!((0..storages.len()).map(stored).collect::<Vec<_>>(), storages, "{name}: {path}");
            assert!(read.storage_length(&storages.len().to_string()).is_err(), "{name}: {path}");
            // Newer protocols have other names for what was there in Python 2, and operations for some of it.
            if name.ends_with('2') {
                let named = texts(&expected["globals"]);
                let is_named = |global: &str| named.contains(&global);
                assert!(opaque.globals.iter().all(|global| is_named(global)), "{name}: {path}: {:?}", opaque.globals);
                let (pickle, _) = read.pickle(&known, u64::MAX).expect("a pickle");
                let is_same = hex(&pickle) == expected["pickle"].as_str().expect("text");
                assert_eq!(is_same, !IN_ANOTHER_WAY.contains(&&*path), "{name}: {path}");
            }
            compared += 1;
        }
        assert_eq!(compared, 41, "{name}");
    }
}

/// A pickle of a state with a tensor of `weights` bytes, and `objects` that have one of `inside` bytes in common, behind the same long text.
fn state(weights: u32, objects: u16, inside: u32, text: usize) -> Vec<u8> {
    let tensor = |key: char, numel: u32| {
        let pid =
            [&b"(X\x07\0\0\0storagectorch\nByteStorage\nX\x01\0\0\0"[..], &[key as u8], b"X\x03\0\0\0cpuJ"].concat();
        let numel = numel.to_le_bytes();
        let after = [b"tQK\0J", &numel[..], b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"].concat();
        [b"ctorch._utils\n_rebuild_tensor_v2\n(", &pid[..], &numel, &after].concat()
    };
    let text = [b"X", &(text as u32).to_le_bytes()[..], &vec![b't'; text]].concat();
    let object = [b"cm\nC\n)\x81}(", &text[..], &tensor('1', inside), b"ub"].concat();
    let mut pickle = [b"\x80\x02}(X\x01\0\0\0w", &tensor('0', weights)[..]].concat();
    pickle.extend([b"X\x05\0\0\0first", &object[..], b"q\x02"].concat());
    for number in 0..objects {
        let number = number.to_le_bytes();
        pickle.extend([b"M", &number[..], b"cm\nD\n)\x81h\x02b"].concat());
    }
    pickle.extend(b"u.");
    pickle
}

fn file(pickle: &[u8], storages: &[&[u8]]) -> Bytes {
    let mut records = vec![record("a/data.pkl", pickle)];
    records.extend(storages.iter().enumerate().map(|(key, bytes)| record(&format!("a/data/{key}"), bytes)));
    records.push(record("a/version", b"3\n"));
    archive(&records).into()
}

#[test]
fn storages_of_objects_are_read_when_they_are_wanted_and_in_little_memory() {
    const WEIGHTS: usize = 3 << 20;
    const INSIDE: usize = 5 << 20;
    let storages = [vec![1; WEIGHTS], vec![2; INSIDE]];
    let file = file(&state(WEIGHTS as u32, 3, INSIDE as u32, 10), &[&storages[0], &storages[1]]);
    let mut read = Vec::new();
    let saved = answer(ReadSaved::new(path(), file.len() as u64), &file, &mut read).map(Arc::new).expect("opens");
    let all = LocateSaved::new(Arc::clone(&saved), (0..5).collect());
    let (located, peak) = peak_of(|| answer(all, &file, &mut read).expect("located"));
    assert!(peak < 100_000, "{peak}");
    assert!(read.iter().map(|(_, length)| length).sum::<u64>() < 200_000, "{read:?}");
    for locator in &located[1..] {
        let Locator::Stream(stream) = locator else { panic!("{locator:?}") };
        assert_eq!(stream.length, INSIDE as u64);
        let encoded = &file[stream.offset as usize..][..INSIDE];
        let (length, peak) = peak_of(|| {
            let (mut length, mut decoder) =
                (0, stream.codec.as_ref().expect("a codec").decoder(stream, &ReadItem::value(0)));
            assert!(decode(&mut *decoder, encoded, 4096, |piece| length += piece.len()).expect("decodes"));
            length
        });
        assert!(length > INSIDE && peak < 50_000, "{length} {peak}");
        let mut damaged = encoded.to_vec();
        damaged[77] ^= 1;
        let mut decoder = stream.codec.as_ref().expect("a codec").decoder(stream, &ReadItem::value(0));
        let refused = decode(&mut *decoder, &damaged, 4096, |_| ());
        assert!(matches!(refused, Err(StorageError::Corrupt { .. })), "{refused:?}");
        let mut decoder = stream.codec.as_ref().expect("a codec").decoder(stream, &ReadItem::value(0));
        let refused = decode(&mut *decoder, &encoded[..INSIDE - 1], 4096, |_| ());
        assert!(matches!(refused, Err(StorageError::Corrupt { .. })), "{refused:?}");
    }
}

#[test]
fn what_many_objects_share_is_kept_once() {
    const TEXT: usize = 1 << 20;
    let file = file(&state(8, 1000, 4, TEXT), &[&[0; 8], &[0; 4]]);
    let (saved, peak) = peak_of(|| open(&file).expect("opens"));
    assert!(peak < 6 * TEXT, "{peak}");
    let (_, peak) = peak_of(|| {
        for leaf in [1, 2, 1001, 500] {
            let locator = locate(&saved, leaf, &file).expect("located");
            assert!(content(&locator, &file, 1 << 16).expect("decodes").len() > TEXT);
        }
    });
    assert!(peak < 16 * TEXT, "{peak}");
}
