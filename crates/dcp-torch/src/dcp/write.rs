//! Lays out what a rank writes: in each file objects first, then tensors, as PyTorch does; each an archive, one after the other.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bytes::Bytes;
use dcp_storage::{
    Checksum, DataName, Encoded, FileLayout, Generation, Segment, StorageError, Transforms, WrittenSegment,
};
use dcp_types::{DType, Outline, RankPlan, WriteItem, WriteWhat};

use super::format::unsupported;
use crate::object::TensorArchive;

pub(super) fn lay_out(
    plan: &RankPlan,
    items: Vec<WriteItem>,
    generation: Generation,
    files_per_rank: u32,
    transforms: &Transforms,
) -> Result<Vec<FileLayout>, StorageError> {
    let files = spread(items, files_per_rank);
    let numbered = (0..).zip(files).filter(|(_, file)| !file.values.is_empty() || !file.chunks.is_empty());
    let name = |number| DataName { rank: plan.rank(), number, generation };
    numbered.map(|(number, file)| file.layout(plan.outline(), name(number), transforms)).collect()
}

/// What one file holds.
#[derive(Default)]
struct Planned {
    values: Vec<WriteItem>,
    chunks: Vec<WriteItem>,
}

/// Values go to the first file; each chunk to the one that has the fewest bytes so far.
fn spread(items: Vec<WriteItem>, files_per_rank: u32) -> Vec<Planned> {
    let count = (files_per_rank as usize).min(items.len());
    let mut files: Vec<Planned> = (0..count).map(|_| Planned::default()).collect();
    let mut loads: BinaryHeap<_> = (0..count).map(|file| Reverse((0u64, file))).collect();
    for item in items {
        match item.what {
            WriteWhat::Value => files[0].values.push(item),
            WriteWhat::Chunk(_, length) => {
                let Some(Reverse((load, file))) = loads.pop() else { continue };
                loads.push(Reverse((load.saturating_add(length), file)));
                files[file].chunks.push(item);
            }
        }
    }
    files
}

impl Planned {
    fn layout(self, outline: &Outline, name: DataName, transforms: &Transforms) -> Result<FileLayout, StorageError> {
        let is_known = self.values.is_empty() && transforms.is_empty();
        let mut expected_size = is_known.then_some(0u64);
        let mut segments = Vec::with_capacity(self.values.len() + 3 * self.chunks.len());
        for item in self.values {
            add(&mut segments, [Segment::Item { item, checksum_block: 0, checksum: Checksum::Crc32 }], transforms);
        }
        for item in self.chunks {
            let (dtype, sizes, length) = kind(outline, &item)?;
            let around = archive(dtype, &sizes)?;
            let frame = (around.head.len() + around.tail(0).len()) as u64;
            expected_size = expected_size.and_then(|size| size.checked_add(frame)?.checked_add(length));
            // Made when its turn comes: heads of many small tensors are more than the tensors.
            let of_tail = sizes.clone();
            let head = Segment::Late(Box::new(move |_| Ok(archive(dtype, &sizes)?.head.into())));
            // One checksum of it all.
            let payload = Segment::Item { item, checksum_block: u64::MAX, checksum: Checksum::Crc32 };
            let tail = Segment::Late(Box::new(move |before| tail(dtype, &of_tail, before)));
            add(&mut segments, [head, payload, tail], transforms);
        }
        Ok(FileLayout { path: name.path()?, expected_size, segments })
    }
}

/// Adds the parts of one item: as they are, or as one that is encoded.
fn add<const N: usize>(segments: &mut Vec<Segment>, parts: [Segment; N], transforms: &Transforms) {
    if transforms.is_empty() {
        segments.extend(parts);
    } else {
        let (transforms, parts) = (transforms.clone(), parts.into());
        segments.push(Segment::Encoded(Encoded {
            transforms,
            segments: parts,
            checksum_block: 0,
            checksum: Checksum::Crc32,
        }));
    }
}

/// The dtype and extents of a chunk, and its size in bytes.
fn kind(outline: &Outline, item: &WriteItem) -> Result<(DType, Vec<u64>, u64), StorageError> {
    match (&item.what, outline.tensor(item.entry)) {
        (WriteWhat::Chunk(chunk, length), Some(tensor)) => Ok((tensor.dtype, chunk.region.sizes().to_vec(), *length)),
        _ => Err(unsupported(format!("an item of entry {}, which is no tensor", item.entry))),
    }
}

fn archive(dtype: DType, sizes: &[u64]) -> Result<TensorArchive, StorageError> {
    TensorArchive::new(dtype, sizes).map_err(|fault| unsupported(fault.to_string()))
}

/// What follows the tensor that was written last.
fn tail(dtype: DType, sizes: &[u64], before: &[WrittenSegment]) -> Result<Bytes, StorageError> {
    let crc = before.last().and_then(|item| item.checksums.first()).copied().unwrap_or(0);
    Ok(archive(dtype, sizes)?.tail(crc).into())
}
