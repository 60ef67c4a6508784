//! One piece of reading.

use std::sync::Arc;

use dcp_types::{DataError, DataSink, Region, ViewMut};

use super::verify::{Extent, Verifier};
use crate::{Io, ReadRange, StorageError, Store, StoreTraits};

/// Spans of memory shorter than this are not worth a range of their own.
const SHORTEST_SPAN: usize = 512;
/// Runs of this length or more are read exactly: nothing of the gaps between them.
pub(super) const EXACT_RUN: u64 = 4096;
/// The most ranges in one call to the store.
const RANGES: usize = 1024;
/// The most series of wanted parts in one buffer.
const SERIES: usize = 4096;

/// Some runs of an extent, and where they go.
pub(super) struct Task<'a> {
    extent: Arc<Extent>,
    runs: FileRuns,
    /// Whether other tasks may complete checksum blocks that this one reads in part.
    shared: bool,
    target: Target<'a>,
}

/// Where bytes go.
pub(super) enum Target<'a> {
    Bytes(&'a mut [u8]),
    View(ViewMut<'a>),
    Sink(Box<dyn DataSink + 'a>),
}

/// Runs of equal length at ascending offsets, in bytes.
enum FileRuns {
    One { start: u64, length: u64 },
    Many { runs: dcp_types::Runs, element: u64 },
}

impl<'a> Task<'a> {
    /// A contiguous run into contiguous memory.
    pub(super) fn flat(extent: Arc<Extent>, start: u64, bytes: &'a mut [u8]) -> Self {
        let runs = FileRuns::One { start, length: bytes.len() as u64 };
        Self { extent, runs, shared: true, target: Target::Bytes(bytes) }
    }

    /// A region of a chunk of the given extents.
    pub(super) fn new(
        extent: Arc<Extent>,
        sizes: Arc<Vec<u64>>,
        region: Region,
        element: u64,
        target: Target<'a>,
    ) -> Result<Self, StorageError> {
        let failed = |fault| StorageError::Destination { fqn: extent.fqn().clone(), source: DataError::from(fault) };
        let runs = region.runs(&sizes).map_err(|fault: dcp_types::TypesError| failed(fault))?;
        let shared = runs.remaining() == 1;
        Ok(Self { extent, runs: FileRuns::Many { runs, element }, shared, target })
    }

    /// Reads; returns how many bytes and how many ranges.
    pub(super) async fn run(
        self,
        store: &dyn Store,
        traits: &StoreTraits,
        io: &Io<'_>,
    ) -> Result<(u64, u64), StorageError> {
        let Self { extent, runs, shared, target } = self;
        let mut reading = Reading {
            store,
            io,
            extent: &extent,
            verifier: Verifier::new(&extent, shared),
            buffer: Vec::new(),
            read: 0,
            ranges: 0,
        };
        let gap = if runs.length() < EXACT_RUN { traits.coalesce_gap } else { 0 };
        // Short runs with small gaps are better read as one, and widened reads do not end where the memory does.
        let direct = if extent.widen { runs.is_whole_blocks(&extent) } else { runs.gap() >= gap || runs.is_one() };
        match target {
            Target::Bytes(bytes) if direct => reading.direct(runs, vec![bytes]).await?,
            Target::Bytes(bytes) => reading.buffered(runs, Delivery::Bytes(bytes), gap).await?,
            Target::Sink(sink) => reading.buffered(runs, Delivery::Sink(sink), gap).await?,
            Target::View(view) if direct => match view.into_spans(SHORTEST_SPAN) {
                Ok(spans) => reading.direct(runs, spans).await?,
                Err(view) => reading.buffered(runs, Delivery::View(view, 0), gap).await?,
            },
            Target::View(view) => reading.buffered(runs, Delivery::View(view, 0), gap).await?,
        }
        reading.verifier.close()?;
        Ok((reading.read, reading.ranges))
    }
}

impl FileRuns {
    fn length(&self) -> u64 {
        match self {
            Self::One { length, .. } => *length,
            Self::Many { runs, element } => runs.run_length() * element,
        }
    }

    fn is_one(&self) -> bool {
        match self {
            Self::One { .. } => true,
            Self::Many { runs, .. } => runs.remaining() == 1,
        }
    }

    /// The smallest gap between two runs.
    fn gap(&self) -> u64 {
        match self {
            Self::One { .. } => 0,
            Self::Many { runs, element } => runs.gap() * element,
        }
    }

    /// Whether this is one run from the edge of a checksum block to the edge of one.
    fn is_whole_blocks(&self, extent: &Extent) -> bool {
        match self {
            Self::One { start, length } => {
                let end = start + length;
                start % extent.block() == 0 && (end % extent.block() == 0 || end == extent.length)
            }
            Self::Many { .. } => false,
        }
    }

    /// The start of each run, in ascending order.
    fn starts(self) -> Box<dyn Iterator<Item = u64> + Send> {
        match self {
            Self::One { start, .. } => Box::new(std::iter::once(start)),
            Self::Many { runs, element } => Box::new(runs.map(move |start| start * element)),
        }
    }
}

struct Reading<'a> {
    store: &'a dyn Store,
    io: &'a Io<'a>,
    extent: &'a Extent,
    verifier: Verifier<'a>,
    buffer: Vec<u8>,
    read: u64,
    ranges: u64,
}

impl Reading<'_> {
    /// Reads straight into memory: runs of the file and spans of memory are two ways to cut the same bytes.
    async fn direct(&mut self, runs: FileRuns, spans: Vec<&mut [u8]>) -> Result<(), StorageError> {
        let length = runs.length();
        let mut starts = runs.starts();
        let (mut position, mut left) = (0, 0);
        let mut ranges = Vec::new();
        for mut span in spans {
            while !span.is_empty() {
                if left == 0 {
                    (position, left) = (starts.next().unwrap_or(self.extent.length), length);
                }
                let (now, later) = span.split_at_mut((span.len() as u64).min(left) as usize);
                let took = now.len() as u64;
                ranges.push(ReadRange { offset: self.extent.offset + position, buffer: now });
                position += took;
                left -= took;
                span = later;
                if ranges.len() == RANGES {
                    self.fetch(&mut ranges).await?;
                    ranges.clear();
                }
            }
        }
        self.fetch(&mut ranges).await
    }

    /// Reads through a buffer: gaps are skipped, edges are widened, and what comes out is delivered in order.
    async fn buffered(&mut self, runs: FileRuns, mut delivery: Delivery<'_>, gap: u64) -> Result<(), StorageError> {
        let capacity = Io::READ_BUFFER.max(2 * self.extent.block());
        let length = runs.length();
        let mut batch = Batch::default();
        for start in runs.starts() {
            let (mut from, end) = (start, start + length);
            while from < end {
                // A piece of a run that fits a buffer even when it is widened by a block on either side.
                let edge = (from / capacity + 1) * capacity;
                let to = if end - from > capacity / 2 { end.min(edge).min(from + capacity / 2) } else { end };
                let cover = if self.extent.widen {
                    let block = self.extent.block();
                    (from / block * block, to.next_multiple_of(block).min(self.extent.length))
                } else {
                    (from, to)
                };
                if !batch.add(cover, (from, to), gap, capacity) {
                    self.deliver(&mut batch, &mut delivery).await?;
                    batch.add(cover, (from, to), gap, capacity);
                }
                from = to;
            }
        }
        self.deliver(&mut batch, &mut delivery).await
    }

    async fn deliver(&mut self, batch: &mut Batch, delivery: &mut Delivery<'_>) -> Result<(), StorageError> {
        let total: u64 = batch.covers.iter().map(|(from, to)| to - from).sum();
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(total as usize, 0);
        let mut rest = buffer.as_mut_slice();
        let mut ranges = Vec::with_capacity(batch.covers.len());
        for &(from, to) in &batch.covers {
            let (now, later) = rest.split_at_mut((to - from) as usize);
            ranges.push(ReadRange { offset: self.extent.offset + from, buffer: now });
            rest = later;
        }
        self.fetch(&mut ranges).await?;
        // What is wanted moves to the front; it never overtakes what is still to be moved.
        let (mut filled, mut base, mut covers) = (0, 0, batch.covers.iter().peekable());
        for (from, to) in batch.wanted.iter().flat_map(Series::parts) {
            while let Some(&&(start, end)) = covers.peek()
                && end <= from
            {
                base += (end - start) as usize;
                covers.next();
            }
            let start = covers.peek().map_or(from, |cover| cover.0);
            let at = base + (from - start) as usize;
            buffer.copy_within(at..at + (to - from) as usize, filled);
            filled += (to - from) as usize;
        }
        *batch = Batch::default();
        let failed = |source| StorageError::Destination { fqn: self.extent.fqn().clone(), source };
        delivery.deliver(&buffer[..filled]).map_err(failed)?;
        self.buffer = buffer;
        Ok(())
    }

    async fn fetch(&mut self, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        if ranges.is_empty() {
            return Ok(());
        }
        self.store.read(&self.extent.file, ranges).await?;
        let mut bytes = 0;
        for range in ranges.iter() {
            self.verifier.feed(range.offset - self.extent.offset, range.buffer)?;
            bytes += range.buffer.len() as u64;
        }
        self.read += bytes;
        self.ranges += ranges.len() as u64;
        self.io.advance(bytes);
        Ok(())
    }
}

/// Ranges that are read together, and the parts of them that are wanted. Both ascending.
#[derive(Default)]
struct Batch {
    covers: Vec<(u64, u64)>,
    wanted: Vec<Series>,
    bytes: u64,
}

/// Parts of one length at equal distances: there may be as many as bytes in a buffer.
struct Series {
    first: u64,
    length: u64,
    distance: u64,
    count: u64,
}

impl Batch {
    /// Adds a part; says no if the batch is full.
    fn add(&mut self, cover: (u64, u64), wanted: (u64, u64), gap: u64, capacity: u64) -> bool {
        let end = self.covers.last().map(|last| last.1).filter(|end| cover.0 <= end.saturating_add(gap));
        let more = end.map_or(cover.1 - cover.0, |end| cover.1.saturating_sub(end));
        let is_full = self.bytes + more > capacity || self.covers.len() == RANGES || self.wanted.len() == SERIES;
        if !self.wanted.is_empty() && is_full {
            return false;
        }
        match self.covers.last_mut() {
            Some(last) if end.is_some() => last.1 = last.1.max(cover.1),
            _ => self.covers.push(cover),
        }
        if !self.wanted.last_mut().is_some_and(|last| last.goes_on(wanted)) {
            self.wanted.push(Series { first: wanted.0, length: wanted.1 - wanted.0, distance: 0, count: 1 });
        }
        self.bytes += more;
        true
    }
}

impl Series {
    /// Adds a part that is next in the series; says no if it is not.
    fn goes_on(&mut self, (from, to): (u64, u64)) -> bool {
        let distance = if self.count == 1 { from - self.first } else { self.distance };
        let is_next = to - from == self.length && from == self.first + distance * self.count;
        if is_next {
            self.distance = distance;
            self.count += 1;
        }
        is_next
    }

    fn parts(&self) -> impl Iterator<Item = (u64, u64)> {
        let Self { first, length, distance, count } = *self;
        (0..count).map(move |number| first + number * distance).map(move |from| (from, from + length))
    }
}

enum Delivery<'a> {
    Bytes(&'a mut [u8]),
    View(ViewMut<'a>, u64),
    Sink(Box<dyn DataSink + 'a>),
}

impl Delivery<'_> {
    fn deliver(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        match self {
            Self::Sink(sink) => sink.write(bytes),
            Self::View(view, offset) => {
                view.write_at(*offset, bytes)?;
                *offset += bytes.len() as u64;
                Ok(())
            }
            Self::Bytes(rest) => {
                let (now, later) = std::mem::take(rest).split_at_mut(bytes.len());
                now.copy_from_slice(bytes);
                *rest = later;
                Ok(())
            }
        }
    }
}
