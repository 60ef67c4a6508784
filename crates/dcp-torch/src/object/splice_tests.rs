//! Pickles of objects as parts of others.

use bytes::Bytes;
use dcp_types::{DType, Opaque, Shape, TensorValue, Value};
use proptest::prelude::*;

use super::law::check_again;
use super::recipe::Recipes;
use super::splice::{Splice, SpliceError};
use super::value::decode;
use super::write::{NotStorable, ObjectWriter, WrittenObject, encode};
use crate::archive::sample::{archive, record};
use crate::archive::{Archive, ArchiveWriter, Known, MAX_PICKLE};
use crate::peak::peak_of;
use crate::pickle::{Pickler, Protocol};

/// A pickle once more, without its beginning.
fn again(pickle: &[u8]) -> Result<Vec<u8>, SpliceError> {
    let (root, recipes) = Recipes::read(pickle).expect("reads");
    let mut pickler = Pickler::new(Protocol::Two);
    let mut numbers = |_: super::splice::Stored<'_>| Ok(7);
    Splice::new(&recipes, &mut pickler, &mut numbers).node(&root)?;
    Ok(pickler.finish().split_off(2))
}

fn shown(pickle: &[u8]) -> String {
    again(pickle).expect("writes").escape_ascii().to_string()
}

/// An opaque value of this pickle, with storages.
fn opaque(pickle: &[u8], storages: &[(&str, &[u8])]) -> Value {
    let mut writer = ArchiveWriter::new(pickle);
    storages.iter().for_each(|(key, bytes)| writer.storage(key, bytes));
    let value = decode(&writer.finish().into()).expect("decodes");
    assert!(matches!(value, Value::Opaque(_)), "{value:?}");
    value
}

/// An object with a storage of four bytes under this key, in the same list twice.
fn with_storage(key: u8) -> Vec<u8> {
    let id = [b"(X\x07\0\0\0storagectorch\nByteStorage\nX\x01\0\0\0", &[key][..], b"X\x06\0\0\0cuda:0K\x04tQ"].concat();
    [b"\x80\x02cm\nC\n(]q\x00(", &id[..], &id, b"eh\x00t\x81."].concat()
}

#[test]
fn what_is_one_object_stays_one() {
    assert_eq!(shown(b"\x80\x02]q\x05h\x05\x86."), r"]q\x00h\x00\x86q\x01.");
    assert_eq!(shown(b"\x80\x02cm\nC\n)\x81q\x05h\x05\x86."), r"cm\nC\nq\x00)\x81q\x01h\x01\x86q\x02.");
    assert_eq!(
        shown(b"\x80\x05\x96\x01\0\0\0\0\0\0\0b\x94h\x00\x86."),
        r"\x96\x01\x00\x00\x00\x00\x00\x00\x00bq\x00h\x00\x86q\x01."
    );
    let long = [&b"X\xd0\x07\0\0"[..], &[b't'; 2000], b"q\x00"].concat();
    let twice = [b"\x80\x02", &long[..], b"h\x00\x86."].concat();
    assert_eq!(again(&twice).expect("writes"), [&long[..], b"h\x00\x86q\x01."].concat());
}

#[test]
fn every_way_to_make_an_object_is_kept() {
    for (pickle, expected) in [
        (&b"\x80\x02cm\nf\nK\x01\x85R."[..], r"cm\nf\nq\x00K\x01\x85q\x01Rq\x02."),
        (b"\x80\x02cm\nC\n)\x81}K\x01K\x02sb.", r"cm\nC\nq\x00)\x81q\x01}q\x02K\x01K\x02sb."),
        (b"\x80\x02cm\nC\nK\x01\x85}K\x01K\x02s\x92.", r"cm\nC\nq\x00K\x01\x85q\x01}q\x02K\x01K\x02s\x92q\x03."),
        (b"\x80\x02cm\nC\n)R(K\x01K\x02eK\x03aK\x04K\x05sNb.", r"cm\nC\nq\x00)Rq\x01(K\x01K\x02K\x03eK\x04K\x05sNb."),
        (b"(cm\nC\nK\x01o.", r"cm\nC\nq\x00K\x01\x85q\x01Rq\x02."),
        (b"(im\nC\n.", r"cm\nC\nq\x00)\x81q\x01."),
        // The result of a call is called.
        (b"cm\nf\n)R)R.", r"cm\nf\nq\x00)Rq\x01)Rq\x02."),
        // A state that a function sets.
        (b"cm\nC\n)Rq\x00cm\nset\nh\x00K\x05\x86R0.", r"cm\nC\nq\x00)Rq\x01cm\nset\nq\x02h\x01K\x05\x86q\x03Rq\x040."),
        (b"\x8f(K\x01\x90(K\x02\x91\x86.", r"\x8fq\x00(K\x01\x90(K\x02\x91q\x01\x86q\x02."),
    ] {
        assert_eq!(shown(pickle), expected);
    }
}

#[test]
fn names_mean_what_they_did() {
    // Up to protocol 2 a name is that of Python 2, and has no dots.
    assert_eq!(shown(b"\x80\x02c__builtin__\nset\n."), r"c__builtin__\nset\nq\x00.");
    assert_eq!(
        shown(b"\x80\x04\x8c\x01m\x8c\x03A.B\x93\x94h\x00\x86."),
        r"\x80\x04X\x01\x00\x00\x00mq\x00X\x03\x00\x00\x00A.Bq\x01\x93\x80\x02q\x02h\x02\x86q\x03."
    );
    let both = shown(b"(\x80\x02cm\nC\n\x80\x03cm\nC\n\x80\x02cm\nC\nt.");
    assert_eq!(
        both,
        r"cm\nC\nq\x00\x80\x04X\x01\x00\x00\x00mq\x01X\x01\x00\x00\x00Cq\x02\x93\x80\x02q\x03h\x00\x87q\x04."
    );
    // A name must not become two lines.
    assert_eq!(
        shown(b"\x8c\x04m\no\n\x8c\x01C\x93."),
        r"X\x04\x00\x00\x00m\no\nq\x00X\x01\x00\x00\x00Cq\x01\x93q\x02."
    );
}

#[test]
fn what_cannot_be_pickled_again_is_refused() {
    assert!(matches!(again(b"K\x01Q."), Err(SpliceError::PersistentId)));
    let id = |rest: &[u8]| [b"(X\x07\0\0\0storagectorch\nByteStorage\nX\x01\0\0\x000X\x03\0\0\0cpu", rest].concat();
    assert!(matches!(again(&id(b"K\x04K\x01tQ.")), Err(SpliceError::View)));
    assert!(matches!(again(&id(b"J\xff\xff\xff\xfftQ.")), Err(SpliceError::Numel(-1))));
    assert!(again(&id(b"K\x04NtQ.")).is_ok());
    // What throws away something that was called for nothing.
    assert!(Recipes::read(b"cos\nsystem\n)R0N.").is_err());
    assert!(Recipes::read(b"cm\nC\n)\x81q\x00}h\x00h\x00sb.").is_err());
}

#[test]
fn states_that_functions_set_do_not_nest_without_end() {
    // Each state holds the next object, whose own state is set when it is written.
    for (count, is_fine) in [(20, true), (100_000, false)] {
        let mut pickle = b"cm\nC\nq\x01)Rq\x02cm\nset\nq\x03h\x02N\x86R00".to_vec();
        for _ in 0..count {
            pickle.extend(b"h\x01)Rq\x04h\x03h\x04h\x02\x86R0q\x020");
        }
        pickle.extend(b"h\x02.");
        let outcome = again(&pickle);
        assert_eq!(outcome.is_ok(), is_fine, "{outcome:?}");
        assert!(is_fine || matches!(outcome, Err(SpliceError::TooDeep)));
    }
    // Calls that are made for one another.
    let mut pickle = b"\x80\x02(X\x06\0\0\0modulecm\nC\nNNtQq\x00".to_vec();
    pickle.extend(b"cm\nset\nq\x01h\x00N\x86R0".repeat(1000));
    pickle.push(b'.');
    assert!(again(&pickle).is_ok());
}

#[test]
fn little_is_made_of_much_that_is_shared() {
    // A quarter of a million lists, and a long text a thousand times.
    let laughs = [b"\x80\x02]q\x000".to_vec(), b"(h\x00h\x00lq\x000".repeat(18), b"h\x00.".to_vec()].concat();
    assert!(again(&laughs).expect("writes").len() < 300);
    let text = [&b"(X\x40\x42\x0f\0"[..], &vec![b't'; 1_000_000], b"q\x00", &b"h\x00".repeat(1000), b"l."].concat();
    let (written, peak) = peak_of(|| again(&text).expect("writes").len());
    assert!(written < 1_010_000 && peak < 5_000_000, "{written} {peak}");
}

#[test]
fn objects_in_values_bring_their_storages() {
    let (first, second) =
        (opaque(&with_storage(b'5'), &[("5", b"five")]), opaque(&with_storage(b'0'), &[("0", b"zero")]));
    let value = Value::Tuple(vec![first.clone(), Value::Dict(vec![("x".into(), Value::List(vec![second, first]))])]);
    let written = encode(&value).expect("encodes");
    let Value::Opaque(Opaque { globals, .. }) = decode(&written).expect("decodes") else { panic!("opaque") };
    assert_eq!(globals.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["m.C"]);
    let known = Known::whole(written);
    let archive = Archive::read(&known).expect("an archive");
    let storages: Vec<Bytes> = (0..3)
        .map(|key| crate::archive::Storages::storage_bytes(&archive, &known, &key.to_string()).expect("there"))
        .collect();
    assert_eq!(storages, ["five", "zero", "five"].map(Bytes::from));
    let (pickle, _) = archive.pickle(&known, MAX_PICKLE).expect("a pickle");
    assert_eq!(pickle.windows(6).filter(|at| at == b"cuda:0").count(), 1, "{}", pickle.escape_ascii());
}

#[test]
fn many_values_go_into_one_pickle() {
    let mut writer = ObjectWriter::new(4);
    writer.pickler().empty_dict();
    writer.pickler().mark();
    let tensor = TensorValue::new(DType::UInt8, Shape::new([3]).expect("a shape"), b"one".to_vec()).expect("a tensor");
    let inside = Value::Tuple(vec![tensor.into()]);
    for (key, value) in [("a", opaque(&with_storage(b'0'), &[("0", b"zero")])), ("b", inside.clone())] {
        writer.pickler().text(key).expect("short");
        writer.value(&value).expect("writes");
    }
    writer.pickler().set_items();
    let WrittenObject { pickle, storages } = writer.finish();
    assert_eq!(storages, [(4, Bytes::from("zero")), (5, Bytes::from("one"))]);
    let mut archive = ArchiveWriter::new(&pickle);
    storages.iter().for_each(|(key, bytes)| archive.storage(&key.to_string(), bytes));
    let archive = archive.finish().into();
    let known = Known::whole(archive);
    let read = Archive::read(&known).expect("an archive");
    let (pickle, start) = read.pickle(&known, MAX_PICKLE).expect("a pickle");
    let super::TreeRead::Done(tree) = super::SavedTree::read(&read, &known, &pickle, start).expect("reads") else {
        panic!("nothing is missing")
    };
    assert!(matches!(tree.leaves[0].content, super::LeafContent::Foreign(_)));
    assert!(matches!(&tree.leaves[1].content, super::LeafContent::Value(value) if *value == inside));
}

#[test]
fn archives_that_cannot_be_taken_apart_are_no_part_of_a_value() {
    let inside = |value: Value| encode(&Value::List(vec![value])).expect_err("refused");
    let with =
        |bytes: Vec<u8>| Value::Opaque(Opaque { encoding: "torch-save".into(), bytes: bytes.into(), globals: vec![] });
    assert!(matches!(inside(with(b"no archive".to_vec())), NotStorable::NoArchive(_)));
    let entries = |storage: &[u8], order: &[u8]| {
        let data = record("a/data/0", storage);
        with(archive(&[
            record("a/data.pkl", &with_storage(b'0')),
            data,
            record("a/byteorder", order),
            record("a/version", b"3\n"),
        ]))
    };
    assert!(encode(&Value::List(vec![entries(b"four", b"little")])).is_ok());
    for (storage, order) in [(&b"four"[..], b"big".as_slice()), (b"three", b"little")] {
        assert!(matches!(inside(entries(storage, order)), NotStorable::NotAgain(_)));
    }
    let mut other = entries(b"four", b"little");
    if let Value::Opaque(opaque) = &mut other {
        opaque.encoding = "another".into();
    }
    assert_eq!(inside(other), NotStorable::Foreign("another".into()));
}

const LEAVES: &[&[u8]] = &[
    b"N",
    b"K\x01",
    b"X\x01\0\0\0a",
    b"X\x14\0\0\0aaaaaaaaaabbbbbbbbbb",
    b"C\x01b",
    b"cm\nC\n",
    b"\x80\x04cm\nC\n\x80\x02",
    b"]",
    b"(X\x07\0\0\0storagectorch\nByteStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ",
];

/// What comes before and after some nodes.
const SHAPES: &[(&[u8], &[u8])] = &[
    (b"(", b"t"),
    (b"(", b"l"),
    (b"cm\nf\n(", b"tR"),
    (b"cm\nC\n(", b"t\x81"),
    (b"cm\nC\n)R(", b"e"),
    (b"cm\nC\n)\x81(", b"tb"),
    (b"cm\nC\n)}X\x01\0\0\0k(", b"ts\x92"),
    // A function sets the state.
    (b"cm\nC\n)Rq\x04cm\nset\nh\x04(", b"t\x86R0"),
];

/// Pickles of objects in objects, of which some are there several times.
fn pickles() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop::sample::select(LEAVES).prop_map(<[u8]>::to_vec);
    let fetched = (0u8..4).prop_map(|slot| vec![b'h', slot]);
    let node = prop_oneof![3 => leaf, 2 => fetched].prop_recursive(6, 60, 4, |node| {
        let kept = (node.clone(), 0u8..4).prop_map(|(node, slot)| [&node[..], b"q", &[slot]].concat());
        let several = |items: Vec<Vec<u8>>| items.concat();
        let shaped = (prop::sample::select(SHAPES), prop::collection::vec(node, 0..4));
        prop_oneof![1 => kept, 4 => shaped.prop_map(move |((start, end), items)| [start, &several(items)[..], end].concat())]
    });
    // Every slot holds something from the start.
    node.prop_map(|node| [b"\x80\x02]q\x00q\x01q\x02q\x030", &node[..], b"."].concat())
}

proptest! {
    #[test]
    fn whatever_is_pickled_again_stays_so(pickle in pickles(), damage in any::<prop::sample::Index>(), byte in any::<u8>()) {
        prop_assert!(Recipes::read(&pickle).is_ok(), "{}", pickle.escape_ascii());
        check_again(&pickle);
        let mut damaged = pickle.clone();
        damaged[damage.index(pickle.len())] = byte;
        check_again(&damaged);
    }
}

#[test]
fn what_pytorch_pickles_can_be_pickled_again_if_damaged_too() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/torch/26_objects");
    for name in ["zip2", "zip5"] {
        let known = Known::whole(std::fs::read(format!("{root}/{name}.pt")).expect("fixture").into());
        let (pickle, _) = Archive::read(&known).expect("an archive").pickle(&known, MAX_PICKLE).expect("a pickle");
        check_again(&pickle);
        for at in (0..pickle.len()).step_by(211) {
            let mut damaged = pickle.to_vec();
            damaged[at] ^= 1 << (at % 8);
            check_again(&damaged);
        }
    }
}
