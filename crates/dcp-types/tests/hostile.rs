//! Bytes from outside: whatever they are, decoding them gives a value or an error, and takes no more memory than they
//! can justify.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Debug;

use dcp_types::{
    DeviceMesh, GlobalPlan, PlanPart, RankSet, Region, RegionDecl, Shape, ShardingDecl, StatePath, TensorDecl,
    TypesError, Value, ValueDecl, strategies,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Remembers the largest piece of memory that each thread asked for.
struct Watched;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn note(layout: Layout, size: usize) {
    // A thread that is ending has no cell any more.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size.max(layout.size()))));
}

// SAFETY: every call goes to the system's allocator as it came.
#[expect(unsafe_code)]
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout, 0);
        // SAFETY: as this function's own.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout, 0);
        // SAFETY: as this function's own.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(layout, size);
        // SAFETY: as this function's own.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as this function's own.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// What a decoder may take at once: serde reserves up to 1 MiB for a list on its word; beyond that only what arrives counts.
fn allowance(bytes: &[u8]) -> usize {
    (1 << 20) + 256 * bytes.len()
}

/// Decodes and looks at the memory it took.
fn watched<T>(bytes: &[u8], decode: impl FnOnce(&[u8]) -> T) -> T {
    LARGEST.set(0);
    let decoded = decode(bytes);
    let largest = LARGEST.get();
    assert!(largest <= allowance(bytes), "{largest} bytes at once for an input of {}", bytes.len());
    decoded
}

fn unpacked<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    watched(bytes, |bytes| rmp_serde::from_slice(bytes).ok())
}

/// Decodes as everything that comes from outside. What decodes must encode, and decode to the same.
fn decode_all(bytes: &[u8]) {
    if let Some(value) = watched(bytes, |bytes| Value::decode(bytes).ok()) {
        let encoded = value.encode().expect("no deeper than it was");
        assert_eq!(Value::decode(&encoded).expect("decodes").encode(), Ok(encoded));
    }
    if let Some(plan) = unpacked::<GlobalPlan>(bytes) {
        same_again(&plan);
    }
    if let Some(mesh) = unpacked::<DeviceMesh>(bytes) {
        same_again(&mesh);
    }
    if let Some(set) = unpacked::<RankSet>(bytes) {
        same_again(&set);
    }
    if let Some(region) = unpacked::<Region>(bytes) {
        same_again(&region);
    }
    part::<TensorDecl>(bytes);
    part::<RegionDecl>(bytes);
    part::<ValueDecl>(bytes);
    part::<DeviceMesh>(bytes);
}

fn same_again<T: Serialize + DeserializeOwned + PartialEq + Debug>(decoded: &T) {
    let encoded = rmp_serde::to_vec(decoded).expect("encodes");
    assert_eq!(&rmp_serde::from_slice::<T>(&encoded).expect("decodes"), decoded);
}

fn part<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    match watched(bytes, PlanPart::<T>::decode) {
        Ok(part) => {
            let again = PlanPart::<T>::decode(&part.encode().expect("encodes")).expect("decodes");
            assert_eq!(again.items(), part.items());
        }
        Err(fault) => assert!(matches!(fault, TypesError::Decode { .. }), "{fault:?}"),
    }
}

/// The declarations of a rank, encoded.
fn declarations() -> impl Strategy<Value = Vec<u8>> {
    let places = (strategies::state_paths(), strategies::dtypes());
    let tensors = strategies::shapes().prop_flat_map(|shape| strategies::shard_grids(&shape, 16));
    let regions = strategies::shapes().prop_flat_map(|shape| strategies::tilings(&shape, 4));
    (places, tensors, regions, 0..4u8).prop_map(|((paths, dtype), grid, tiling, kind)| {
        let tensor = |path: StatePath| TensorDecl {
            path,
            dtype,
            shape: grid.shape().clone(),
            sharding: ShardingDecl::Mesh(0, grid.placements().into()),
            tied: None,
        };
        let region = |(tensor, region)| RegionDecl { tensor, region };
        let value = |path: StatePath| ValueDecl { object: false, content: dcp_types::Digest::of(b"17"), path };
        let paths = paths.into_iter();
        match kind {
            0 => encoded(paths.map(tensor).collect()),
            1 => encoded((0..).zip(tiling.held_by(0)).map(region).collect()),
            2 => encoded(paths.map(value).collect()),
            _ => encoded(vec![grid.mesh().as_ref().clone()]),
        }
    })
}

fn encoded<T: Serialize + DeserializeOwned>(items: Vec<T>) -> Vec<u8> {
    PlanPart::new(items).and_then(|part| part.encode()).expect("encodes")
}

/// Encodings of everything there is.
fn encodings() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        strategies::values().prop_map(|value| value.encode().expect("not deep").to_vec()),
        strategies::global_plans(16).prop_map(|plan| rmp_serde::to_vec(&plan).expect("encodes")),
        strategies::global_plans(16).prop_map(|plan| rmp_serde::to_vec_named(&plan).expect("encodes")),
        declarations(),
    ]
}

#[derive(Clone, Debug)]
enum Damage {
    Byte(Index, u8),
    Insert(Index, u8),
    Remove(Index, Index),
    Repeat(Index, Index),
    Truncate(Index),
}

fn damages() -> impl Strategy<Value = Damage> {
    // MessagePack's own markers: large numbers, long strings, bytes, lists and maps.
    let bytes = || prop_oneof![any::<u8>(), 0xc0..=0xdfu8, Just(0xff), Just(0)];
    prop_oneof![
        4 => (any::<Index>(), bytes()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        2 => (any::<Index>(), bytes()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        1 => any::<(Index, Index)>().prop_map(|(from, to)| Damage::Remove(from, to)),
        1 => any::<(Index, Index)>().prop_map(|(from, to)| Damage::Repeat(from, to)),
        1 => any::<Index>().prop_map(Damage::Truncate),
    ]
}

fn damage(bytes: &mut Vec<u8>, damage: &Damage) {
    let ends = |from: &Index, to: &Index| {
        let (from, to) = (from.index(bytes.len() + 1), to.index(bytes.len() + 1));
        from.min(to)..from.max(to)
    };
    match damage {
        Damage::Insert(at, byte) => bytes.insert(at.index(bytes.len() + 1), *byte),
        Damage::Remove(from, to) => drop(bytes.drain(ends(from, to))),
        Damage::Repeat(from, to) => {
            let range = ends(from, to);
            let twice = bytes[range.clone()].to_vec();
            bytes.splice(range.start..range.start, twice);
        }
        Damage::Truncate(at) => bytes.truncate(at.index(bytes.len() + 1)),
        Damage::Byte(at, byte) if !bytes.is_empty() => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        Damage::Byte(..) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..64)) {
        decode_all(&bytes);
    }

    #[test]
    fn damaged_encodings_never_panic(mut bytes in encodings(), damages in vec(damages(), 0..5)) {
        damages.iter().for_each(|one| damage(&mut bytes, one));
        decode_all(&bytes);
    }
}

#[test]
fn a_length_is_not_believed() {
    for claim in [&[0xdd, 0xff, 0xff, 0xff, 0xff][..], &[0xdd, 0x10, 0, 0, 0], &[0xdc, 0xff, 0xff]] {
        assert_eq!(unpacked::<Shape>(claim), None);
        assert_eq!(unpacked::<Region>(&[&[0x92], claim].concat()), None);
        assert_eq!(unpacked::<StatePath>(claim), None);
        assert_eq!(unpacked::<RankSet>(claim), None);
        assert_eq!(unpacked::<DeviceMesh>(&[&[0x93], claim].concat()), None);
        decode_all(claim);
    }
    // The length is honest, but no tensor has so many dimensions.
    let dims = vec![1u64; Shape::MAX_DIMS];
    assert!(unpacked::<Shape>(&rmp_serde::to_vec(&dims).expect("encodes")).is_some());
    let dims = vec![1u64; Shape::MAX_DIMS + 1];
    assert_eq!(unpacked::<Shape>(&rmp_serde::to_vec(&dims).expect("encodes")), None);
}

#[test]
fn what_is_nested_deeply_is_refused() {
    let lists = [[0x91].repeat(100_000), vec![0xc0]].concat();
    let maps = [[0x81, 0xa1, b'x'].repeat(100_000), vec![0xc0]].concat();
    for nested in [lists, maps] {
        // Alone; as the value of a field that nobody knows; the same in a list, in the middle of a mesh, in a value.
        let field = [&[0x81, 0xa1, b'x'][..], &nested].concat();
        let opaque = [&[0x81, 0xa6][..], b"Opaque", &field].concat();
        decode_all(&[&[0x91][..], &field].concat());
        decode_all(&[&[0x93, 0x91, 2, 0x90, 0x81, 0xa1, b'a'][..], &field].concat());
        [nested, field, opaque].iter().for_each(|bytes| decode_all(bytes));
    }
}

#[test]
fn what_follows_is_refused() {
    let part = PlanPart::new(vec![DeviceMesh::new([2, 2]).expect("mesh")]).expect("encodes");
    let longer = [part.encode().expect("encodes"), vec![0xc0]].concat();
    let expected = TypesError::Decode { what: "a part of a plan", reason: "bytes follow it".into() };
    assert_eq!(PlanPart::<DeviceMesh>::decode(&longer), Err(expected));
}
