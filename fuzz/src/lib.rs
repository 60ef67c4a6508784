//! What the fuzz targets share: a store made of bytes, a walk over everything that a checkpoint offers, and an allocator that
//! ends the process when more memory is taken than an input justifies.

mod allocator;
mod walk;

pub use allocator::expect_modest;
pub use walk::walk;

use dcp::MemoryStore;
use dcp::crates::dcp_storage::{Io, Precondition, Store, StorePath};

/// A store that holds these objects.
pub fn store(objects: &[(&str, &[u8])]) -> MemoryStore {
    let store = MemoryStore::new();
    let io = Io::new().expect("threads");
    for (name, content) in objects {
        let path = StorePath::parse(name).expect("a valid name");
        io.block_on(store.publish(&path, content, Precondition::None)).expect("memory");
    }
    store
}

/// A native index around a body, with the right length and checksum (`docs/format.md`).
pub fn index(generation: u64, body: &[u8]) -> Vec<u8> {
    let mut index = b"\x89DCPIDX\n".to_vec();
    index.extend(1u32.to_le_bytes());
    index.extend(0u32.to_le_bytes());
    index.extend(generation.to_le_bytes());
    index.extend((body.len() as u64).to_le_bytes());
    index.extend(body);
    let checksum = twox_hash::XxHash3_128::oneshot(&index);
    index.extend(checksum.to_le_bytes());
    index
}

/// The parts of an input of `native_checkpoint`: the body of an index, and the content of every data file.
pub fn parts(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = input.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}

/// The input that has these parts.
pub fn join(body: &[u8], data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("a small body");
    [&length.to_le_bytes(), body, data].concat()
}
