//! Indexes with the right frame and the right checksum that lie.

use dcp::crates::dcp_types::TypesError;
use dcp::{Checkpoint, Error, StorageError};
use serde_json::{Value, json};

use crate::allocator::{alone, modestly};
use crate::support::{INDEX, Objects, corrupt_at, load, refused, store};

/// An index of version 1 with this body.
fn framed(body: &[u8]) -> Objects {
    framed_as(1, body)
}

/// An index of a version with this body.
pub(crate) fn framed_as(version: u8, body: &[u8]) -> Objects {
    let mut index = b"\x89DCPIDX\n".to_vec();
    index.extend([version, 0, 0, 0]);
    index.extend([0; 12]);
    index.extend((body.len() as u64).to_le_bytes());
    index.extend(body);
    index.extend(twox_hash::XxHash3_128::oneshot(&index).to_le_bytes());
    vec![(INDEX.to_owned(), index)]
}

/// Makes something large while nothing is measured.
fn large(make: impl FnOnce() -> Objects) -> Objects {
    let _alone = alone();
    make()
}

/// An index with a body that is MessagePack of the same structure as this JSON.
fn index(body: &Value) -> Objects {
    framed(&rmp_serde::to_vec(body).expect("encodes"))
}

/// The body of a sound index with these meshes, entries and facts of ranks.
fn body(meshes: &Value, entries: &Value, ranks: &Value) -> Value {
    json!([1, 1, 64, 65536, [meshes, entries], ranks, []])
}

/// An entry under a name.
pub(crate) fn entry(name: &str, kind: &Value) -> Value {
    json!([[{"k": {"s": name}}], kind])
}

/// One replicated tensor of bytes, written by rank 0.
pub(crate) fn tensor(shape: &Value) -> Value {
    json!([entry("x", &json!({"t": ["uint8", shape, {"w": 0}]}))])
}

fn facts(size: u64, values: &[u64]) -> Value {
    json!([[0, [[0, size, 0, values]]]])
}

fn is_corrupt(body: &Value) {
    let error = refused(&index(body));
    assert!(corrupt_at(&error, INDEX), "{body}: {error}");
}

#[test]
fn the_way_to_make_lies_is_right() {
    load(&index(&body(&json!([]), &json!([]), &json!([])))).expect("an empty checkpoint");
    let one = [json!([]), tensor(&json!([4])), facts(8, &[])];
    let error = refused(&index(&body(&one[0], &one[1], &one[2])));
    assert!(matches!(error, StorageError::NotFound { .. }), "all that is missing is the file: {error}");
}

#[test]
fn a_newer_version_is_told_from_damage() {
    for body in [json!([2, 1, 64, 65536, [[], []], [], []]), json!([1, 1, 64, 65536, [[], []], [], [[0]]])] {
        let error = refused(&index(&body));
        assert!(matches!(error, StorageError::TooNew { found: 5, supported: 4, .. }), "{error}");
    }
}

#[test]
fn numbers_that_make_no_sense_are_corrupt() {
    let with = |files: u64, align: u64, block: u64| json!([1, files, align, block, [[], []], [], []]);
    for (align, block) in
        [(0, 1 << 16), (3, 1 << 16), (64, 0), (64, 1), (64, 1 << 11), (64, 65535), (64, 1 << 25), (u64::MAX, 1 << 16)]
    {
        is_corrupt(&with(1, align, block));
    }
    is_corrupt(&with(u64::from(u32::MAX) + 1, 64, 65536));
}

#[test]
fn a_body_of_another_structure_is_corrupt() {
    for body in [
        json!(null),
        json!([]),
        json!({}),
        json!([1, 1, 64, 65536, [[], []], []]),
        json!([1, 1, 64, 65536, [[], []], [], [], 0]),
        json!([1, 1, 64, 65536, [[], [], []], [], []]),
        json!({"rule": 1, "surprise": [[[]]]}),
        body(&json!([]), &json!([entry("x", &json!({"z": 0}))]), &json!([])),
        body(&json!([]), &json!([entry("x", &json!({"t": ["float33", [1], {"w": 0}]}))]), &json!([])),
        body(&json!([]), &json!([entry("x", &json!({"v": -1}))]), &json!([])),
    ] {
        is_corrupt(&body);
    }
    let mut trailing = rmp_serde::to_vec(&body(&json!([]), &json!([]), &json!([]))).expect("encodes");
    trailing.push(0xc0);
    assert!(corrupt_at(&refused(&framed(&trailing)), INDEX));
}

#[test]
fn counts_that_cannot_be_are_corrupt() {
    let sound = rmp_serde::to_vec(&body(&json!([]), &json!([]), &json!([]))).expect("encodes");
    // Each empty list in turn says that it has 2^32 - 1 items.
    for (at, _) in sound.iter().enumerate().filter(|(_, byte)| **byte == 0x90) {
        let lie = [&sound[..at], &[0xdd, 0xff, 0xff, 0xff, 0xff], &sound[at + 1..]].concat();
        assert!(corrupt_at(&refused(&framed(&lie)), INDEX), "the list at {at}");
    }
}

#[test]
fn deep_nesting_is_corrupt() {
    for (open, depth) in [(vec![0x91], 1 << 20), (vec![0x81, 0xa1, b'k'], 1 << 18), (vec![0xdd, 0, 0, 0, 1], 1 << 18)] {
        let deep = open.repeat(depth);
        assert!(corrupt_at(&refused(&framed(&deep)), INDEX));
        let sound = rmp_serde::to_vec(&body(&json!([]), &json!([]), &json!([]))).expect("encodes");
        let in_place = [&sound[..sound.len() - 1], &deep].concat();
        assert!(corrupt_at(&refused(&framed(&in_place)), INDEX));
    }
}

/// A list for which memory is taken on its word, in a list for which it is, and so on.
#[test]
fn lengths_are_not_believed_on_any_level_of_a_value() {
    for name in [b"\xa4List".as_slice(), b"\xa5Tuple", b"\xa4Dict"] {
        let level = [&[0x81], name, &[0xdd, 0xff, 0xff, 0xff, 0xff]].concat();
        let deep = level.repeat(96);
        let decoded = modestly(deep.len(), || dcp::Value::decode(&deep));
        assert!(matches!(decoded, Err(TypesError::Decode { .. })), "{decoded:?}");
    }
}

#[test]
fn shapes_that_overflow_are_corrupt() {
    for shape in [json!([1u64 << 40, 1u64 << 40]), json!([u64::MAX]), json!([0, u64::MAX, 2]), json!(vec![1; 65])] {
        is_corrupt(&body(&json!([]), &tensor(&shape), &facts(8, &[])));
    }
}

#[test]
fn a_tensor_that_is_not_there_takes_no_memory() {
    // Exabytes, as the index says; the file has not a byte.
    let size = (1u64 << 58) + 4 * ((1 << 58) / 65536);
    let mut objects = index(&body(&json!([]), &tensor(&json!([1u64 << 58])), &facts(size, &[])));
    objects.push(("__0_0.distcp".to_owned(), Vec::new()));
    assert!(corrupt_at(&refused(&objects), "__0_0.distcp"));
}

#[test]
fn values_that_overflow_are_corrupt() {
    let values = json!([entry("a", &json!({"v": 0})), entry("b", &json!({"o": 0}))]);
    for lengths in [[u64::MAX, 1], [u64::MAX - 8, 4], [1 << 62, 1 << 62]] {
        let error = refused(&index(&body(&json!([]), &values, &facts(8, &lengths))));
        assert!(corrupt_at(&error, "__0_0.distcp"), "{error}");
    }
}

#[test]
fn facts_that_contradict_the_plan_are_corrupt() {
    let entries = tensor(&json!([4]));
    for files in [
        json!([]),
        json!([[0, [[1, 8, 0, []]]]]),
        json!([[0, [[0, 9, 0, []]]]]),
        json!([[0, [[0, 8, 0, [1]]]]]),
        json!([[0, [[0, 8, 0, []], [1, 8, 0, []]]]]),
        json!([[1, [[0, 8, 0, []]]]]),
    ] {
        let error = refused(&index(&body(&json!([]), &entries, &files)));
        assert!(corrupt_at(&error, "__0_0.distcp"), "{files}: {error}");
    }
    for files in [
        json!([[0, []]]),
        json!([[0, [[0, 8, 0, []]]], [0, [[0, 8, 0, []]]]]),
        json!([[1, [[0, 8, 0, []]]], [0, [[0, 8, 0, []]]]]),
    ] {
        is_corrupt(&body(&json!([]), &entries, &files));
    }
}

#[test]
fn two_entries_of_one_name_are_corrupt() {
    let dotted = json!([[{"k": {"s": "a"}}, {"k": {"s": "b"}}], {"v": 0}]);
    is_corrupt(&body(&json!([]), &json!([entry("a.b", &json!({"v": 0})), dotted]), &json!([])));
}

#[test]
fn paths_that_are_of_no_tree_are_refused() {
    let values = |first: &Value, second: &Value| json!([[first, {"t": ["uint8", [0], {"w": 0}]}], [second, {"t": ["uint8", [0], {"w": 0}]}]]);
    let key = |key: &str| json!({"k": {"s": key}});
    for (first, second) in [
        (json!([key("a")]), json!([key("a"), key("b")])),
        (json!([key("a"), key("b")]), json!([key("a"), {"l": 1}])),
        (json!([key("a"), {"l": 0}]), json!([key("a"), {"t": 1}])),
        (json!([]), json!([key("a")])),
        (json!([{"l": 0}]), json!([key("a")])),
    ] {
        let objects = index(&body(&json!([]), &values(&first, &second), &json!([])));
        let refused = load(&objects);
        let found = matches!(&refused, Err(Error::Types(error)) if matches!(**error, TypesError::Tree { .. }));
        assert!(found, "{first} {second}: {refused:?}");
    }
    let deep = json!(vec![key("a"); 100_000]);
    let refused = load(&index(&body(&json!([]), &values(&deep, &json!([key("b")])), &json!([]))));
    assert!(matches!(&refused, Err(Error::Types(error)) if matches!(**error, TypesError::TooDeep(_))), "{refused:?}");
}

fn mesh(shape: &Value, ranks: &Value) -> Value {
    json!([[shape, [], ranks]])
}

fn sharded(shape: &Value, chunks: &Value) -> Value {
    json!([entry("x", &json!({"t": ["uint8", shape, chunks]}))])
}

#[test]
fn meshes_and_placements_that_make_no_sense_are_corrupt() {
    let line = mesh(&json!([4]), &json!({"a": [0, [1]]}));
    for meshes in [
        mesh(&json!([0]), &json!({"a": [0, [1]]})),
        mesh(&json!([1u64 << 25]), &json!({"a": [0, [1]]})),
        mesh(&json!(vec![2; 65]), &json!({"a": [0, vec![1; 65]]})),
        mesh(&json!([4]), &json!({"a": [0, [1, 1]]})),
        mesh(&json!([4, 4]), &json!({"a": [0, [1, 1]]})),
        mesh(&json!([4]), &json!({"a": [u32::MAX, [1]]})),
        mesh(&json!([4]), &json!({"l": [0, 1, 2]})),
        mesh(&json!([4]), &json!({"l": [0, 1, 2, 2]})),
    ] {
        is_corrupt(&body(&meshes, &sharded(&json!([4]), &json!({"g": [0, [{"s": 0}], 0]})), &json!([])));
    }
    for chunks in [
        json!({"g": [1, [{"s": 0}], 0]}),
        json!({"g": [0, [], 0]}),
        json!({"g": [0, [{"s": 1}], 0]}),
        json!({"g": [0, [{"t": [0, 0]}], 0]}),
        json!({"g": [0, [{"t": [0, u32::MAX]}], 0]}),
        json!({"g": [0, [{"s": 0}], 1]}),
        json!({"g": [0, ["r"], 4]}),
        json!({"l": []}),
        json!({"l": [[[[0], [3]], 0]]}),
        json!({"l": [[[[0], [5]], 0]]}),
        json!({"l": [[[[0], [3]], 0], [[[2], [2]], 0]]}),
        json!({"l": [[[[0], [4]], 0], [[[0], [4]], 0]]}),
        json!({"l": [[[[0], [4]], 0], [[[4], [0]], 0]]}),
        json!({"l": [[[[0, 0], [4]], 0]]}),
        json!({"l": [[[[u64::MAX], [1]], 0]]}),
    ] {
        is_corrupt(&body(&line, &sharded(&json!([4]), &chunks), &json!([])));
    }
}

/// A few bytes of mesh are millions of chunks.
#[test]
fn more_chunks_than_files_are_corrupt() {
    let meshes = mesh(&json!([1 << 24]), &json!({"a": [0, [1]]}));
    let entries = sharded(&json!([1u64 << 40]), &json!({"g": [0, [{"s": 0}], 0]}));
    is_corrupt(&body(&meshes, &entries, &facts(8, &[])));
}

fn many_ranks(count: u64) -> Value {
    (0..count).map(|rank| json!([rank, [[0, 0, 0, []]]])).collect()
}

/// Each rank that is listed would have thousands of chunks, which cost the index nothing.
#[test]
fn strided_shards_do_not_multiply() {
    let grid = json!({"t": ["uint8", [1u64 << 50], {"g": [0, [{"t": [0, 4096]}], 0]}]});
    // Too many for one tensor; and few enough for one, but not for all of them.
    for (ranks, tensors) in [(20_000, 1), (16, 2000)] {
        let objects = large(|| {
            let meshes = mesh(&json!([ranks]), &json!({"a": [0, [1]]}));
            let entries: Value = (0..tensors).map(|number: u64| entry(&number.to_string(), &grid)).collect();
            index(&body(&meshes, &entries, &many_ranks(ranks)))
        });
        let error = refused(&objects);
        assert!(corrupt_at(&error, INDEX), "{error}");
    }
}

/// Counting the chunks of a tensor does not take a step for each of them.
#[test]
fn many_large_meshes_are_opened_at_once() {
    // 10,000 chunks each, as there are files, but twice as many ranks in the mesh.
    let grid = json!({"t": ["uint8", [20_000], {"g": [0, [{"s": 0}], 0]}]});
    let objects = large(|| {
        let meshes = mesh(&json!([19_999]), &json!({"a": [0, [1]]}));
        let entries: Value = (0..10_000).map(|number: u64| entry(&number.to_string(), &grid)).collect();
        index(&body(&meshes, &entries, &many_ranks(10_000)))
    });
    let _alone = alone();
    let start = std::time::Instant::now();
    Checkpoint::open(store(&objects)).expect("opens");
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

/// However many files the index says that there are, items are placed in no time.
#[test]
fn many_files_for_many_items_are_laid_out_at_once() {
    let _alone = alone();
    let count = 50_000u64;
    let one = |number: u64| entry(&number.to_string(), &json!({"t": ["uint8", [1], {"w": 0}]}));
    let entries: Value = (0..count).map(one).collect();
    let files: Value = (0..count).map(|number| json!([number, 5, 0, []])).collect();
    let objects = index(&json!([1, u32::MAX, 64, 65536, [[], entries], [[0, files]], []]));
    // Not measured: all that an index of some MB describes is more than a few MB in memory.
    let start = std::time::Instant::now();
    let refused = Checkpoint::open(store(&objects)).and_then(|checkpoint| checkpoint.tensor("0"));
    let missing = matches!(&refused, Err(Error::Storage(error)) if matches!(**error, StorageError::NotFound { .. }));
    assert!(missing, "{refused:?}");
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}
