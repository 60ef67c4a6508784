//! Uses everything that a checkpoint offers.

use dcp::crates::dcp_types::EntryKind;
use dcp::{Checkpoint, Region, Verify};

/// Opens a checkpoint and looks at all of it. Errors are fine; anything else is not.
pub fn walk(store: dcp::MemoryStore) {
    let Ok(checkpoint) = Checkpoint::open(store) else { return };
    for (fqn, entry) in checkpoint.metadata().entries() {
        let EntryKind::Tensor(tensor) = &entry.kind else {
            drop(checkpoint.value(fqn.as_str()));
            continue;
        };
        assert!(tensor.nbytes() <= i64::MAX as u64);
        for region in corners(tensor.shape.dims()) {
            let chunks = tensor.chunks_meeting(&region);
            let covered: u64 =
                chunks.iter().filter_map(|chunk| chunk.region.intersect(&region)).map(|r| r.numel()).sum();
            assert_eq!(covered, region.numel(), "{fqn}: {region} of {:?}", tensor.shape);
            drop(checkpoint.slice(fqn.as_str(), &region));
        }
    }
    drop(checkpoint.load());
    drop(checkpoint.verify(Verify::All).load());
}

/// Small regions at both ends of a tensor.
fn corners(extents: &[u64]) -> Vec<Region> {
    let sizes = || extents.iter().enumerate().map(|(dim, &extent)| extent.min(if dim < 3 { 3 } else { 1 }));
    let ends = extents.iter().zip(sizes()).map(|(extent, size)| extent - size);
    let first = Region::new(extents.iter().map(|_| 0), sizes());
    let last = Region::new(ends, sizes());
    first.into_iter().chain(last).collect()
}
