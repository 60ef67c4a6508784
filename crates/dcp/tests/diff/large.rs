//! Tensors that are longer than what is read at a time, however they are cut and encoded.

use std::sync::Arc;

use dcp::{
    DType, DcpFormat, DeviceMesh, Elements, Format, LocalTensor, Location, MemoryStore, Mismatch, NativeFormat,
    Outcome, Placement, Saver, StateDict, TensorSpec, ThreadGroup, View, Zstd,
};

use crate::support::compare;

/// 9.5 MiB of float32.
const SHAPE: [u64; 2] = [1250, 2000];

pub(crate) fn numbers() -> Vec<u8> {
    (0..SHAPE[0] * SHAPE[1]).flat_map(|number| (number as f32).to_le_bytes()).collect()
}

/// Saves a tensor from some ranks, each of which has a part of this dimension.
pub(crate) fn save(format: impl Format + Clone + 'static, ranks: u32, dim: u32, bytes: &[u8]) -> MemoryStore {
    let store = MemoryStore::new();
    save_at(&store.clone().into(), format, ranks, dim, bytes);
    store
}

pub(crate) fn save_at(place: &Location, format: impl Format + Clone + 'static, ranks: u32, dim: u32, bytes: &[u8]) {
    let mesh = Arc::new(DeviceMesh::new([ranks]).expect("a mesh"));
    let spec = TensorSpec::sharded(DType::Float32, SHAPE, &mesh, [Placement::Shard(dim)]).expect("a spec");
    let saved = ThreadGroup::run(ranks as usize, |rank| {
        let whole = View::from_bytes(DType::Float32, &SHAPE, bytes).expect("a view");
        let part = &spec.parts(dcp::Collective::rank(&rank) as u32)[0].region;
        let tensor = LocalTensor::new(spec.clone(), whole.slice(part).expect("a part"));
        Saver::new().group(&rank).format(format.clone()).save_dict(&StateDict::new().with("w", tensor), place.clone())
    });
    saved.into_iter().for_each(|outcome| drop(outcome.expect("no panic").expect("saves")));
}

/// In every way.
fn saved(bytes: &[u8]) -> Vec<(&'static str, MemoryStore)> {
    vec![
        ("native", save(NativeFormat::new(), 1, 0, bytes)),
        ("native in columns", save(NativeFormat::new(), 3, 1, bytes)),
        ("native, compressed", save(NativeFormat::new().transform(Zstd::default()), 1, 0, bytes)),
        ("dcp", save(DcpFormat::new(), 1, 0, bytes)),
        ("dcp in rows", save(DcpFormat::new(), 2, 0, bytes)),
        ("dcp, compressed", save(DcpFormat::new().transform(Zstd::default()), 2, 1, bytes)),
    ]
}

#[test]
fn they_are_the_same_in_every_form_and_differ_in_every_form() {
    let bytes = numbers();
    // The last element of a row, and one before it in the order of columns.
    let mut changed = bytes.clone();
    for (row, column, by) in [(900, 3, 2.0), (700, 1999, 8.0)] {
        let at = (row * SHAPE[1] as usize + column) * 4;
        let number = (at / 4) as f32 + by;
        changed[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }
    let lefts = saved(&bytes);
    for (form, right) in saved(&bytes) {
        for (other, left) in &lefts {
            let comparison = compare(left, &right);
            assert_eq!(comparison.outcome(), Outcome::Same, "{other} and {form}: {comparison:?}");
            assert_eq!((comparison.tensors, comparison.bytes), (1, bytes.len() as u64));
        }
    }
    for (form, right) in saved(&changed) {
        for (other, left) in &lefts {
            let comparison = compare(left, &right);
            assert!(comparison.unreadable.is_empty(), "{other} and {form}: {comparison:?}");
            let [one] = &comparison.differences[..] else { panic!("{other} and {form}: {comparison:?}") };
            let Mismatch::Elements(Elements { differing, of, first, max_abs, .. }) = &one.mismatch else {
                panic!("{comparison:?}")
            };
            let found = (*differing, *of, first.as_slice(), *max_abs);
            assert_eq!(found, (2, SHAPE[0] * SHAPE[1], &[700, 1999][..], Some(8.0)), "{other} and {form}");
        }
    }
}

#[test]
fn what_is_the_same_is_read_once() {
    let bytes = numbers();
    for format in ["native", "dcp"] {
        let save = || match format {
            "native" => save(NativeFormat::new(), 1, 0, &bytes),
            _ => save(DcpFormat::new(), 1, 0, &bytes),
        };
        let comparison = compare(&save(), &save());
        // Beside the elements, the edges of checksum blocks, and headers.
        let most = 2 * bytes.len() as u64 + (2 << 20);
        assert!(comparison.read >= 2 * bytes.len() as u64 && comparison.read < most, "{format}: {comparison:?}");
    }
}
