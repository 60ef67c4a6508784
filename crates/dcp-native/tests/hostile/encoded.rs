//! Files of versions 2 and 4, whose items went through transforms, that were damaged or that lie.

use dcp::{NativeFormat, StorageError, Zstd};
use serde_json::{Value, json};

use crate::bodies::{framed_as, tensor};
use crate::support::{DATA, INDEX, Objects, corrupt_at, get, load, refused, small_in, with};

fn small() -> Objects {
    small_in(NativeFormat::new().transform(Zstd::default()))
}

#[test]
fn it_is_version_4() {
    assert_eq!(get(&small(), INDEX)[8..12], [4, 0, 0, 0]);
    load(&small()).expect("loads");
}

#[test]
fn files_of_any_other_length_are_corrupt() {
    let sound = small();
    for name in [INDEX, DATA] {
        for length in 0..get(&sound, name).len() {
            let error = refused(&with(&sound, name, |content| content.truncate(length)));
            assert!(corrupt_at(&error, name), "{name} of {length} bytes: {error}");
        }
        let error = refused(&with(&sound, name, |content| content.push(0)));
        assert!(corrupt_at(&error, name), "{error}");
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let sound = small();
    for name in [INDEX, DATA] {
        for bit in 0..8 * get(&sound, name).len() {
            let error = refused(&with(&sound, name, |content| content[bit / 8] ^= 1 << (bit % 8)));
            let is_found = match &error {
                StorageError::TooNew { .. } => name == INDEX && (8..16).contains(&(bit / 8)),
                StorageError::Damaged { path, .. } => name == DATA && path.as_str() == DATA,
                error => corrupt_at(error, name),
            };
            assert!(is_found, "{name}, bit {bit}: {error:?}");
        }
    }
}

/// The body of an index with one tensor of bytes, which rank 0 has written.
fn body(rule: u32, transforms: &Value, file: &Value) -> Value {
    json!([rule, 1, 64, 65536, [[], tensor(&json!([4]))], [[0, [file]]], [], transforms])
}

/// An index of a version with this body.
fn index(version: u8, body: &Value) -> Objects {
    framed_as(version, &rmp_serde::to_vec(body).expect("encodes"))
}

/// A checkpoint with a file of `data` before this footer.
fn with_footer(footer: &[u8], data: &[u8]) -> Objects {
    let file = [data, footer].concat();
    let facts = json!([0, file.len(), crc32fast::hash(footer), [data.len()]]);
    let mut objects = index(2, &body(2, &json!(["stream.zstd/1"]), &facts));
    objects.push((DATA.to_owned(), file));
    objects
}

fn footer(lengths: &[u64], checksums: &[u32]) -> Vec<u8> {
    let lengths = lengths.iter().flat_map(|length| length.to_le_bytes());
    lengths.chain(checksums.iter().flat_map(|checksum| checksum.to_le_bytes())).collect()
}

#[test]
fn transforms_and_versions_belong_together() {
    let (file, zstd) = (json!([0, 100, 0, [80]]), json!(["stream.zstd/1"]));
    for (version, body) in [
        (1, body(1, &zstd, &file)),
        (2, body(2, &json!([]), &file)),
        (2, json!([2, 1, 64, 65536, [[], []], [], []])),
        (2, body(2, &json!(vec!["stream.zstd/1"; 5]), &file)),
    ] {
        let error = refused(&index(version, &body));
        assert!(corrupt_at(&error, INDEX), "{version} {body}: {error}");
    }
    for (version, rule) in [(1, 2), (2, 1), (2, 3)] {
        let transforms = if version == 1 { json!([]) } else { zstd.clone() };
        let error = refused(&index(version, &body(rule, &transforms, &file)));
        assert!(matches!(error, StorageError::TooNew { supported: 4, .. }), "{version} {rule}: {error}");
    }
}

#[test]
fn facts_that_cannot_be_are_corrupt() {
    let zstd = json!(["stream.zstd/1"]);
    for file in [
        json!([0, 100, 0, []]),
        json!([0, 100, 0, [80, 80]]),
        json!([0, 100, 0, [101]]),
        json!([0, 100, 0, [95]]),
        json!([0, 100, 0, [81]]),
        json!([0, 100, 0, [u64::MAX]]),
        json!([1, 100, 0, [80]]),
    ] {
        let error = refused(&index(2, &body(2, &zstd, &file)));
        assert!(corrupt_at(&error, DATA), "{file}: {error}");
    }
    let error = refused(&index(2, &body(2, &zstd, &json!([0, 100, 0, [80]]))));
    assert!(matches!(error, StorageError::NotFound { .. }), "all that is missing is the file: {error}");
}

#[test]
fn footers_that_lie_are_corrupt() {
    let data = b"\x28\xb5\x2f\xfd\x20\x04\x21\0\0four";
    let length = data.len() as u64;
    load(&with_footer(&footer(&[length], &[crc32fast::hash(data)]), data)).expect("this one is sound");
    for (lengths, checksums) in
        [(&[length - 1][..], &[0][..]), (&[u64::MAX], &[0]), (&[length], &[]), (&[length], &[0, 0])]
    {
        let error = refused(&with_footer(&footer(lengths, checksums), data));
        assert!(corrupt_at(&error, DATA), "{lengths:?} {checksums:?}: {error}");
    }
    // Sound, but it decodes to something else: too little, too much, nothing.
    for data in [&b"\x28\xb5\x2f\xfd\x20\x03\x19\0\0fou"[..], b"\x28\xb5\x2f\xfd\x20\x05\x29\0\0four!"] {
        let error = refused(&with_footer(&footer(&[data.len() as u64], &[crc32fast::hash(data)]), data));
        assert!(corrupt_at(&error, DATA), "{error}");
    }
    let error = refused(&with_footer(&footer(&[4], &[crc32fast::hash(b"four")]), b"four"));
    assert!(matches!(error, StorageError::Undecodable { .. }), "{error}");
}

#[test]
fn a_transform_that_nobody_knows_is_not_readable() {
    for descriptor in ["evil.xor/1", "stream.zstd/2", "stream.zstd", "", "/"] {
        let data = b"four";
        let (content, sums) = (footer(&[4], &[crc32fast::hash(data)]), data.to_vec());
        let file = [sums, content.clone()].concat();
        let facts = json!([0, file.len(), crc32fast::hash(&content), [4]]);
        let mut objects = index(2, &body(2, &json!([descriptor]), &facts));
        objects.push((DATA.to_owned(), file));
        let error = refused(&objects);
        let StorageError::Unreadable { path, what, .. } = &error else { panic!("{descriptor:?}: {error:?}") };
        assert_eq!(path.as_str(), DATA);
        assert!(what.contains(descriptor), "{what}");
    }
}
