//! Checksums that no later read could compare, or only by reading much more than it wants: of chunks of the source that are cut, where
//! a checksum is over much, or where they are cut across the order in which they lie. Such chunks are read through beforehand.

use dcp_storage::{Io, Locator, StorageError, StorageReader, Verify};
use dcp_types::{Chunk, DataError, DataSink, Dest, GlobalPlan, ReadItem, ReadWhat, Region, TensorEntry};

use super::cancel::Cancel;
use super::source::open_at_once;
use crate::{Checkpoint, Error};

/// The chunks that are to be read through, tensor by tensor.
pub(super) struct Checks {
    tensors: Vec<(usize, Vec<ReadItem>)>,
    /// The bytes of all of them.
    pub(super) bytes: u64,
}

/// Blocks up to this size, in bytes, are read whole where a run begins or ends in them.
const SMALL: u64 = 64 << 10;

/// So many chunks are located, or read, in one call.
const CHUNKS: usize = 1 << 10;

/// Who may ask for a stop, and who is told of bytes that were read.
pub(super) struct Watch<'a> {
    pub(super) cancel: &'a Cancel,
    pub(super) advance: &'a (dyn Fn(u64) + Send + Sync),
}

impl Checks {
    /// What must be checked. `origins` are the entries of the source by number in the plan; `most_open` says how many chunks can be merged
    /// before they are read in bands.
    pub(super) fn needed(
        source: &Checkpoint,
        plan: &GlobalPlan,
        origins: &[usize],
        most_open: u64,
    ) -> Result<Self, Error> {
        let mut checks = Self { tensors: Vec::new(), bytes: 0 };
        for ((_, entry), &origin) in plan.metadata().entries().zip(origins) {
            let stored = source.metadata().entry(origin).and_then(|(_, entry)| entry.as_tensor());
            let (Some(stored), Some(planned)) = (stored, entry.as_tensor()) else { continue };
            let items = Self::of_tensor(source, origin, stored, planned, most_open)?;
            if !items.is_empty() {
                let elements: u64 = items.iter().filter_map(region_of).map(Region::numel).sum();
                checks.bytes = checks.bytes.saturating_add(elements * stored.dtype.size());
                checks.tensors.push((origin, items));
            }
        }
        Ok(checks)
    }

    fn of_tensor(
        source: &Checkpoint,
        origin: usize,
        stored: &TensorEntry,
        planned: &TensorEntry,
        most_open: u64,
    ) -> Result<Vec<ReadItem>, Error> {
        let item = |chunk| ReadItem::whole_chunk(origin, chunk);
        if stored.chunk_count() > most_open {
            for chunk in planned.all_chunks() {
                if open_at_once(stored, &chunk.region)? > most_open {
                    return in_blocks_above(0, source, stored.all_chunks().map(item));
                }
            }
        }
        // Of those that no single chunk of what is written has all of.
        let is_cut = |chunk: &Chunk| planned.chunks_meeting(&chunk.region).len() > 1;
        let mut cut = stored.all_chunks().filter(is_cut).peekable();
        if cut.peek().is_none() {
            return Ok(Vec::new());
        }
        let small = if cut.all(|chunk| is_cut_in_runs(planned, &chunk.region)) { SMALL } else { 0 };
        in_blocks_above(small, source, stored.all_chunks().map(item))
    }

    /// Reads through all of it. Returns, for each entry of the source, whether it has been read.
    pub(super) fn run(self, source: &Checkpoint, io: &Io<'_>, watch: &Watch<'_>) -> Result<Vec<bool>, Error> {
        let mut checked = vec![false; source.metadata().len()];
        for (entry, items) in self.tensors {
            read_through(source, &items, io, watch)?;
            checked[entry] = true;
        }
        Ok(checked)
    }
}

/// All of some chunks of a tensor if one of them has a checksum over more than so many bytes; none otherwise.
fn in_blocks_above(
    bytes: u64,
    source: &Checkpoint,
    chunks: impl Iterator<Item = ReadItem>,
) -> Result<Vec<ReadItem>, Error> {
    let is_large = |locator: &Locator| {
        let checks = if let Locator::Extent(extent) = locator { extent.checks.as_ref() } else { None };
        checks.is_some_and(|checks| checks.block > bytes)
    };
    let chunks: Vec<_> = chunks.collect();
    for batch in chunks.chunks(CHUNKS) {
        if source.locate(batch.to_vec())?.iter().any(is_large) {
            return Ok(chunks);
        }
    }
    Ok(Vec::new())
}

/// Whether each part of a chunk that another chunk has is one run of it, of which only the ends need not be whole blocks.
fn is_cut_in_runs(planned: &TensorEntry, chunk: &Region) -> bool {
    let is_run = |other: Chunk| {
        let part = other.region.intersect(chunk)?.relative_to(chunk).ok()?;
        Some(part.runs(chunk.sizes()).ok()?.remaining() == 1)
    };
    planned.chunks_meeting(chunk).into_iter().all(|other| is_run(other).unwrap_or(false))
}

/// Reads whole chunks for their checksums.
fn read_through(source: &Checkpoint, chunks: &[ReadItem], io: &Io<'_>, watch: &Watch<'_>) -> Result<(), StorageError> {
    let io = io.clone().with_verify(Verify::All);
    chunks.chunks(CHUNKS).try_for_each(|batch| {
        let reads = batch.iter().map(|item| (item.clone(), Dest::Sink(Box::new(Through(watch))))).collect();
        io.block_on(source.reader().read_data(reads, &io)).map(drop)
    })
}

fn region_of(item: &ReadItem) -> Option<&Region> {
    if let ReadWhat::Region { region, .. } = &item.what { Some(region) } else { None }
}

/// Takes what is read, and does nothing with it.
struct Through<'a>(&'a Watch<'a>);

impl DataSink for Through<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        self.0.cancel.check()?;
        (self.0.advance)(bytes.len() as u64);
        Ok(())
    }
}
