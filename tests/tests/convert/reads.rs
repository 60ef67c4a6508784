//! How much is read of a source.

use std::sync::Arc;

use dcp::{
    Converter, DcpFormat, DeviceMesh, Format, LocalTensor, MemoryStore, NativeFormat, Placement, Saver, StateDict,
};
use dcp_tests::{CountingStore, Place};

const ROWS: usize = 512;
const COLUMNS: usize = 2048;
const BYTES: u64 = 4 * (ROWS * COLUMNS) as u64;

/// A tensor of 4 MiB over this many ranks.
fn saved(format: impl Format + 'static, ranks: u32, dim: u32) -> MemoryStore {
    let tensor = ndarray::Array2::from_shape_fn((ROWS, COLUMNS), |(row, column)| (row * COLUMNS + column) as f32);
    let tensor = tensor.into_dyn();
    let (whole, cut) = (MemoryStore::new(), MemoryStore::new());
    let state = StateDict::new().with("weight", LocalTensor::whole(tensor.view()).expect("a tensor"));
    Saver::new().save_dict(&state, whole.clone()).expect("saves");
    over(ranks, dim).to(format).convert(whole, cut.clone()).expect("converts");
    cut
}

fn over<'a>(ranks: u32, dim: u32) -> Converter<'a> {
    let mesh = DeviceMesh::new([ranks]).expect("a mesh");
    Converter::new().reshard(mesh, [("*", vec![Placement::Shard(dim)])]).expect("a pattern")
}

/// How many times the bytes of the tensor are read.
fn times(source: MemoryStore, converter: &Converter<'_>) -> f64 {
    let store = CountingStore::new(source);
    let place: Place = Arc::new(store.clone());
    converter.convert(place, MemoryStore::new()).expect("converts");
    let read: u64 = store.reads().iter().map(|(_, _, length)| length).sum();
    read as f64 / BYTES as f64
}

#[test]
fn everything_is_read_once_or_checked_and_read() {
    // With little memory, more chunks meet than can be open at once.
    for memory in [1 << 20, Converter::MEMORY] {
        for (ranks, dim) in [(2, 0), (3, 1), (16, 1)] {
            let (native, dcp) = (saved(NativeFormat::new(), ranks, dim), saved(DcpFormat::new(), ranks, dim));
            let case = format!("{ranks} chunks along {dim}, {memory} bytes");
            for source in [native, dcp] {
                // Chunk by chunk.
                let kept = times(source.clone(), &Converter::new().memory(memory));
                assert!(kept < 1.05, "{case}: {kept} times");
                let cut = times(source, &over(4, 1 - dim).memory(memory));
                assert!(cut < 2.1, "{case}: {cut} times");
            }
        }
    }
}
