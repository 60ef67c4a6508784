//! Reads regions of chunks into destinations: in parallel, exactly, verified.
//!
//! A region of a chunk is a number of contiguous runs of the file, once its dimensions are put in the order in which the file
//! has them. The destination is cut into pieces; each piece is a task. Where runs of the file and spans of the destination's
//! memory are long enough, the file is read straight into the destination, and neighbours in the file at once ([`straight`]);
//! otherwise through a buffer of [`StoreTraits::read_buffer`](crate::StoreTraits::read_buffer) bytes.
//!
//! Three things do not fit in: a sink over a chunk that lies permuted ([`stage`]), elements that share bytes ([`gather`]), and
//! what is encoded ([`stream`]).

mod batch;
mod encoded;
mod fetch;
mod gather;
mod layout;
mod outlets;
mod reading;
mod runs;
mod sizes;
mod split;
mod stage;
mod straight;
mod stream;
mod target;
mod task;
mod together;
mod verify;

use std::collections::HashSet;
use std::sync::Arc;

use dcp_types::{DType, Dest, Digest, Fqn, ReadItem, ReadWhat, Region};

use crate::commons::Member;
use crate::format::Steps;
use crate::{BlockChecks, Io, Locator, ReadReport, StorageError, Store, StorePath, Verify};

use layout::{Grid, Order};
use sizes::Sizes;
use split::Piece;
use stream::Streams;
use task::Task;
use verify::{Checking, Extent};

/// Checksum blocks of more bytes are not read whole for the sake of a part of them.
const LARGE_BLOCK: u64 = 1 << 20;

/// Something to read, and where to.
pub(crate) struct Wanted<'a> {
    pub(crate) fqn: Fqn,
    pub(crate) item: ReadItem,
    /// The dtype of its elements; `None` for values.
    pub(crate) dtype: Option<DType>,
    pub(crate) locator: Locator,
    pub(crate) dest: Dest<'a>,
}

/// Reads everything that is wanted of a checkpoint, which is known by the digest of its index.
pub(crate) fn read(
    store: &dyn Store,
    checkpoint: Digest,
    wanted: Vec<Wanted<'_>>,
    io: &Io<'_>,
) -> Result<ReadReport, StorageError> {
    let sizes = Sizes::new(&store.traits(), io, bytes_of(&wanted));
    let (mut work, mut streams) = (Work::new(store.location(), checkpoint, sizes, io), Streams::default());
    let mut chunks = HashSet::new();
    for Wanted { fqn, item, dtype, locator, dest } in wanted {
        let mut count = |file: &StorePath, offset, length| {
            if chunks.insert((file.clone(), offset)) {
                work.report.whole_chunks += length;
            }
        };
        match locator {
            Locator::Extent(located) => {
                count(&located.file, located.offset, located.length);
                work.add(fqn, &item, dtype, located, dest)?;
            }
            Locator::Stream(stream) => {
                count(&stream.file, stream.offset, stream.length);
                let only_stored = stream.checks.is_some() && stream.layers.missing().is_some();
                if only_stored && matches!(dest, Dest::Discard) {
                    // What cannot be decoded can be checked all the same: for that it is so many bytes, as a value is.
                    work.add(fqn, &ReadItem::value(item.entry), None, stream.stored(), dest)?;
                } else {
                    streams.add(fqn, item, dtype, stream, dest)?;
                }
            }
            Locator::Inline(bytes) => take_over(fqn, &bytes, dest)?,
        }
    }
    let Work { mut report, tasks, extents, .. } = work;
    let (mut straight, mut together, mut others, mut sinks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for task in tasks.into_iter().chain(streams.tasks()) {
        match task {
            Task::Straight(read) => straight.push(read),
            Task::Together(read) => together.push(read),
            task if task.feeds_sink() => sinks.push(task),
            task => others.push(task),
        }
    }
    others.extend(straight::join(straight, &sizes).into_iter().map(Task::Straight));
    // All ranks go through the files in the same order, so that they meet.
    together.sort_by(|a, b| a.place().cmp(&b.place()));
    let others = together.into_iter().map(Task::Together).chain(others).collect();
    // A sink may block its thread until somebody takes what it has. What else that thread had begun would stand still with it, and keep what a
    // store gives out only so often, as requests, from those for whom the sink waits.
    for tasks in [others, sinks] {
        // Few are spread over the threads, each of which computes.
        let in_flight = tasks.len().div_ceil(io.threads()).clamp(1, sizes.in_flight.max(1));
        let done = io.run(tasks.into_iter().map(|task| task.run(store, &sizes, io)).collect(), in_flight)?;
        done.into_iter().for_each(|cost| report += cost);
    }
    report.verified += extents.iter().map(|extent| extent.verified()).sum::<u64>();
    Ok(report)
}

/// How many bytes there are to read, about.
fn bytes_of(wanted: &[Wanted<'_>]) -> u64 {
    let bytes = wanted.iter().map(|wanted| match (&wanted.item.what, &wanted.locator) {
        (ReadWhat::Region { region, .. }, _) => {
            region.sizes().iter().fold(wanted.dtype.map_or(1, DType::size), |bytes, size| bytes.saturating_mul(*size))
        }
        (ReadWhat::Value, Locator::Extent(extent)) => extent.length,
        (ReadWhat::Value, _) => 0,
    });
    bytes.fold(0, u64::saturating_add)
}

/// Hands over what is known without reading.
fn take_over(fqn: Fqn, bytes: &[u8], dest: Dest<'_>) -> Result<(), StorageError> {
    match dest {
        Dest::Value(buffer) => {
            buffer.clear();
            buffer.extend_from_slice(bytes);
            Ok(())
        }
        Dest::Discard => Ok(()),
        other => Err(StorageError::Destination { fqn, source: format!("{other:?} cannot take a value").into() }),
    }
}

/// What is to be done about extents.
struct Work<'a> {
    location: String,
    sizes: Sizes,
    verify: Verify,
    member: Option<Arc<Member>>,
    report: ReadReport,
    extents: Vec<Arc<Extent>>,
    tasks: Vec<Task<'a>>,
    /// Extents that are read through for their checksums.
    through: HashSet<(StorePath, u64, u64)>,
}

impl<'a> Work<'a> {
    fn new(location: String, checkpoint: Digest, sizes: Sizes, io: &Io<'_>) -> Self {
        let (report, extents, tasks, through) = Default::default();
        let member = io.commons().map(|commons| Member::new(commons, location.clone(), checkpoint, io.threads()));
        Self { location, sizes, verify: io.verify(), member, report, extents, tasks, through }
    }

    fn add(
        &mut self,
        fqn: Fqn,
        item: &ReadItem,
        dtype: Option<DType>,
        located: crate::Extent,
        dest: Dest<'a>,
    ) -> Result<(), StorageError> {
        let corrupt = |reason| StorageError::Corrupt { path: located.file.clone(), offset: located.offset, reason };
        if let Some(reason) = nonsense(located.offset, located.length, located.checks.as_ref()) {
            return Err(corrupt(reason));
        }
        let (sizes, region) = geometry(item, located.length).map_err(corrupt)?;
        let element = dtype.map_or(1, DType::size);
        let grid = Grid::new(&located.layout, &sizes, element, Some(located.length)).map_err(corrupt)?;
        let steps = Steps::new(&located.layout.steps, dtype).map_err(corrupt)?;
        if matches!(dest, Dest::Discard) {
            let is_checked = located.checks.is_some() && self.verify != Verify::None;
            self.report.needed += located.length;
            self.report.verified += if is_checked { located.length } else { 0 };
            self.read_through(&fqn, &located);
            return Ok(());
        }
        let needed = region.numel() * element;
        self.report.needed += needed;
        if matches!(dest, Dest::Value(_)) && located.layout != crate::Layout::default() {
            return Err(corrupt("a value has no layout".into()));
        }
        if region.is_empty() && !matches!(dest, Dest::Value(_)) {
            return Ok(());
        }
        let order = grid.order();
        let is_whole = is_whole(&grid, &order, &region, &dest, located.length);
        let checking = self.checking(&located, &order, &dest, is_whole);
        if checking == Checking::Elsewhere {
            self.read_through(&fqn, &located);
        }
        let extent = Arc::new(Extent::new(fqn, self.location.clone(), located, needed, steps, checking));
        self.extents.push(Arc::clone(&extent));
        let piece = Piece { extent, grid, order, region, dtype, member: self.member.clone() };
        self.tasks.extend(piece.tasks(dest, &self.sizes)?);
        Ok(())
    }

    /// How the checksums of what is read for a destination are compared.
    fn checking(&self, located: &crate::Extent, order: &Order, dest: &Dest<'_>, is_whole: bool) -> Checking {
        let Some(checks) = &located.checks else { return Checking::No };
        let is_large = checks.block > LARGE_BLOCK;
        let is_in_order = match order {
            Order::Rows => true,
            Order::Permuted(_) => !matches!(dest, Dest::Sink(_)),
            Order::Tangled => false,
        };
        match self.verify {
            Verify::None => Checking::No,
            Verify::All if is_large && is_whole => Checking::Covered,
            Verify::All if is_large || !is_in_order => Checking::Elsewhere,
            Verify::All => Checking::Widened,
            // Not a single block could be completed.
            Verify::Covered if !is_whole && checks.block >= located.length => Checking::No,
            Verify::Covered if *order == Order::Tangled => Checking::No,
            Verify::Covered => Checking::Covered,
        }
    }

    /// Reads through an extent for its checksums, unless that is done already.
    fn read_through(&mut self, fqn: &Fqn, located: &crate::Extent) {
        if self.through.insert((located.file.clone(), located.offset, located.length)) {
            let checking = if self.verify == Verify::None { Checking::No } else { Checking::Covered };
            let (fqn, location) = (fqn.clone(), self.location.clone());
            let extent = Arc::new(Extent::new(fqn, location, located.clone(), 0, Steps::default(), checking));
            self.tasks.extend(split::whole(&extent, &self.sizes));
        }
    }
}

/// What a format must not say of bytes of a file, if it does.
fn nonsense(offset: u64, length: u64, checks: Option<&BlockChecks>) -> Option<String> {
    if offset.checked_add(length).is_none() {
        return Some(format!("{length} bytes from there on overflow"));
    }
    checks.filter(|checks| checks.block == 0).map(|_| "a checksum block of 0 bytes is not sensible".into())
}

/// The extents of the chunk, and the region in its coordinates; says what is wrong with them.
fn geometry(item: &ReadItem, length: u64) -> Result<(Vec<u64>, Region), String> {
    let (sizes, region) = match &item.what {
        ReadWhat::Value => (vec![length], Region::new([0], [length])),
        ReadWhat::Region { chunk, region } => (chunk.region.sizes().to_vec(), region.relative_to(&chunk.region)),
    };
    Ok((sizes, region.map_err(|fault| fault.to_string())?))
}

/// Whether all of a payload is read, from its first byte to its last and each once.
fn is_whole(grid: &Grid, order: &Order, region: &Region, dest: &Dest<'_>, length: u64) -> bool {
    let runs = match (order, dest) {
        (Order::Rows, _) => grid.runs(region),
        (Order::Permuted(order), Dest::Memory(_)) => {
            region.permute(order).and_then(|region| grid.permuted(order).runs(&region))
        }
        _ => return false,
    };
    runs.is_ok_and(|runs| runs.single() == Some((0, length)))
}
