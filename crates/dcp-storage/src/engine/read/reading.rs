//! Moves runs of a payload into memory, straight or through a buffer.

use dcp_types::{DataError, ViewMut};

use super::batch::{Batch, RANGES};
use super::fetch::fetch;
use super::runs::FileRuns;
use super::sizes::Sizes;
use super::target::{Delivery, Target};
use super::verify::{Extent, Verifier};
use crate::{Io, ReadRange, ReadReport, StorageError, Store};

/// Spans of memory shorter than this are not worth a range of their own.
const SHORTEST_SPAN: usize = 512;

/// What one task reads of an extent.
pub(super) struct Reading<'a> {
    store: &'a dyn Store,
    sizes: &'a Sizes,
    io: &'a Io<'a>,
    extent: &'a Extent,
    verifier: Verifier<'a>,
    buffer: Vec<u8>,
    report: ReadReport,
}

impl<'a> Reading<'a> {
    /// `shared` says whether other tasks may complete checksum blocks that this one reads in part.
    pub(super) fn new(
        store: &'a dyn Store,
        sizes: &'a Sizes,
        io: &'a Io<'a>,
        extent: &'a Extent,
        shared: bool,
    ) -> Self {
        let (verifier, report) = (Verifier::new(extent, shared), ReadReport::default());
        Self { store, sizes, io, extent, verifier, buffer: Vec::new(), report }
    }

    /// What it has cost.
    pub(super) fn finish(mut self) -> Result<ReadReport, StorageError> {
        self.close()?;
        Ok(self.report)
    }

    /// Reads runs into a target that takes just as many bytes.
    pub(super) async fn fill(&mut self, runs: FileRuns, target: Target<'_>) -> Result<(), StorageError> {
        // Short runs with small gaps are better read as one, and widened reads do not end where the memory does.
        let direct = match self.extent.widen {
            true => runs.is_whole_blocks(self.extent),
            false => runs.count() == 1 || !self.sizes.are_read_as_one(&runs),
        };
        match target {
            Target::View(view) if direct => match self.spans(view) {
                Ok(spans) => self.direct(runs, spans).await,
                Err(view) => self.buffered(runs, &mut Delivery::View(view, 0)).await,
            },
            other => self.buffered(runs, &mut other.into()).await,
        }
    }

    fn spans<'v>(&self, view: ViewMut<'v>) -> Result<Vec<&'v mut [u8]>, ViewMut<'v>> {
        view.into_spans(SHORTEST_SPAN)
    }

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
                let most = left.min(self.extent.step());
                let (now, later) = span.split_at_mut((span.len() as u64).min(most) as usize);
                let took = now.len() as u64;
                ranges.push(ReadRange { offset: self.extent.offset + position, buffer: now });
                position += took;
                left -= took;
                span = later;
                if ranges.len() == RANGES {
                    self.fetch_elements(&mut ranges).await?;
                    ranges.clear();
                }
            }
        }
        self.fetch_elements(&mut ranges).await
    }

    /// Reads through a buffer: gaps are skipped, edges are widened, and what comes out is delivered in order.
    async fn buffered(&mut self, runs: FileRuns, delivery: &mut Delivery<'_>) -> Result<(), StorageError> {
        let gap = if runs.length() < self.sizes.exact_run { self.sizes.coalesce_gap } else { 0 };
        self.coalesced(runs.pieces(), gap, delivery).await
    }

    /// The same for runs and pieces of them, with gaps of up to so many bytes between them.
    pub(super) async fn coalesced(
        &mut self,
        runs: impl Iterator<Item = (u64, u64)>,
        gap: u64,
        delivery: &mut Delivery<'_>,
    ) -> Result<(), StorageError> {
        let capacity = self.sizes.capacity(self.extent);
        let unit = self.extent.steps.unit();
        let mut batch = Batch::default();
        for (start, end) in runs {
            let mut from = start;
            while from < end {
                // A piece of a run that fits a buffer even when it is widened by a block on either side.
                let edge = (from / capacity + 1) * capacity;
                let to = if end - from > capacity / 2 { end.min(edge).min(from + capacity / 2) } else { end };
                // No element is cut that something is to be done to.
                let to = start + (to - start).next_multiple_of(unit);
                let cover = self.extent.cover((from, to));
                if !batch.add(cover, (from, to), gap, capacity) {
                    self.deliver(&mut batch, delivery).await?;
                    batch.add(cover, (from, to), gap, capacity);
                }
                from = to;
            }
        }
        self.deliver(&mut batch, delivery).await
    }

    async fn deliver(&mut self, batch: &mut Batch, delivery: &mut Delivery<'_>) -> Result<(), StorageError> {
        let total: u64 = batch.covers.iter().map(|(from, to)| to - from).sum();
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut rest = room(&mut buffer, total);
        let mut ranges = Vec::with_capacity(batch.covers.len());
        for &(from, to) in &batch.covers {
            let (now, later) = rest.split_at_mut((to - from) as usize);
            ranges.push(ReadRange { offset: self.extent.offset + from, buffer: now });
            rest = later;
        }
        self.fetch(&mut ranges).await?;
        // What is wanted moves to the front; it never overtakes what is still to be moved.
        let (mut filled, mut base, mut covers) = (0, 0, batch.covers.iter().peekable());
        for (from, to) in batch.parts() {
            while let Some(&&(start, end)) = covers.peek()
                && end <= from
            {
                base += (end - start) as usize;
                covers.next();
            }
            let start = covers.peek().map_or(from, |cover| cover.0);
            let (at, length) = (base + (from - start) as usize, (to - from) as usize);
            if at != filled {
                buffer.copy_within(at..at + length, filled);
            }
            filled += length;
        }
        *batch = Batch::default();
        self.extent.steps.apply(&mut buffer[..filled]);
        delivery.deliver(&buffer[..filled]).map_err(|fault| self.refused(fault))?;
        self.buffer = buffer;
        Ok(())
    }

    /// Reads into memory that holds whole elements and nothing else.
    async fn fetch_elements(&mut self, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        self.fetch(ranges).await?;
        ranges.iter_mut().for_each(|range| self.extent.steps.apply(range.buffer));
        Ok(())
    }

    /// How many bytes are read at a time through a buffer.
    pub(super) fn read_buffer(&self) -> u64 {
        self.sizes.buffer
    }

    /// What comes next does not go on where the last bytes ended.
    pub(super) fn close(&mut self) -> Result<(), StorageError> {
        self.verifier.close()
    }

    /// Reads bytes as they lie.
    pub(super) async fn fetch(&mut self, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        if ranges.is_empty() {
            return Ok(());
        }
        let (extent, verifier, mut bytes) = (self.extent, &mut self.verifier, 0);
        let mut look = |_, range: &ReadRange<'_>| {
            bytes += range.buffer.len() as u64;
            verifier.feed(range.offset - extent.offset, range.buffer)
        };
        self.report.ranges += fetch(self.store, &extent.file, ranges, &mut look).await?;
        self.report.read += bytes;
        self.io.advance(bytes);
        Ok(())
    }

    /// The destination says no.
    pub(super) fn refused(&self, fault: impl Into<DataError>) -> StorageError {
        self.extent.refused(fault)
    }
}

/// The first bytes of a buffer, which is replaced by a larger one if need be, after it is gone.
pub(super) fn room(buffer: &mut Vec<u8>, length: u64) -> &mut [u8] {
    let length = length as usize;
    if buffer.len() < length {
        *buffer = Vec::new();
        *buffer = vec![0; length];
    }
    &mut buffer[..length]
}
