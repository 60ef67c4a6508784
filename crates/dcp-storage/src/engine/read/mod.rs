//! Reads regions of chunks into destinations: in parallel, exactly, verified.
//!
//! A region of a row-major chunk is a number of contiguous runs of the file. The destination is cut into pieces; each piece
//! is a task. Where runs of the file and spans of the destination's memory are long enough, the file is read straight
//! into the destination; otherwise through a buffer of [`Io::READ_BUFFER`](crate::Io::READ_BUFFER) bytes.

mod split;
mod task;
mod verify;

use std::collections::HashSet;
use std::sync::Arc;

use dcp_types::{Dest, Fqn, ReadItem, ReadWhat, Region};

use crate::{Io, Locator, ReadReport, StorageError, Store};

use verify::Extent;

/// Something to read, and where to.
pub(crate) struct Wanted<'a> {
    pub(crate) fqn: Fqn,
    pub(crate) item: ReadItem,
    /// The size of an element in bytes; 1 for values.
    pub(crate) element: u64,
    pub(crate) locator: Locator,
    pub(crate) dest: Dest<'a>,
}

/// The largest checksum block: a block must fit a buffer.
const MAX_BLOCK: u64 = 1 << 24;

/// Reads everything that is wanted.
pub(crate) fn read(store: &dyn Store, wanted: Vec<Wanted<'_>>, io: &Io<'_>) -> Result<ReadReport, StorageError> {
    let mut traits = store.traits();
    traits.read_size = traits.read_size.clamp(1, 1 << 40);
    let mut report = ReadReport::default();
    let mut extents = Vec::with_capacity(wanted.len());
    let mut chunks = HashSet::new();
    let mut tasks = Vec::new();
    for Wanted { fqn, item, element, locator, dest } in wanted {
        let Locator::Extent(located) = locator;
        if let Some(block) =
            located.checks.as_ref().map(|checks| checks.block).filter(|block| !(1..=MAX_BLOCK).contains(block))
        {
            let reason = format!("a checksum block of {block} bytes is not sensible");
            return Err(StorageError::Corrupt { path: located.file, offset: located.offset, reason });
        }
        let (sizes, region) = geometry(&item, element, &located)?;
        if chunks.insert((located.file.clone(), located.offset)) {
            report.whole_chunks += located.length;
        }
        let needed = region.numel() * element;
        report.needed += needed;
        let extent = Arc::new(Extent::new(fqn, store.location(), located, needed, io.verify()));
        extents.push(Arc::clone(&extent));
        tasks.extend(split::tasks(extent, &sizes, region, element, dest, &traits)?);
    }
    let done = io.run(tasks.into_iter().map(|task| task.run(store, &traits, io)).collect(), traits.reads_in_flight)?;
    for (read, ranges) in done {
        report.read += read;
        report.ranges += ranges;
    }
    report.verified = extents.iter().map(|extent| extent.verified()).sum();
    Ok(report)
}

/// The extents of the chunk, and the region in its coordinates.
fn geometry(item: &ReadItem, element: u64, located: &crate::Extent) -> Result<(Vec<u64>, Region), StorageError> {
    let corrupt = |reason| StorageError::Corrupt { path: located.file.clone(), offset: located.offset, reason };
    let (sizes, region) = match &item.what {
        ReadWhat::Value => (vec![located.length], Region::new([0], [located.length])),
        ReadWhat::Region { chunk, region } => (chunk.region.sizes().to_vec(), region.relative_to(&chunk.region)),
    };
    let bytes = sizes.iter().product::<u64>() * element;
    if bytes != located.length {
        return Err(corrupt(format!("a chunk of {sizes:?} has {bytes} bytes, but {} are stored", located.length)));
    }
    Ok((sizes, region.map_err(|fault| corrupt(fault.to_string()))?))
}
