//! Reads bytes of a file straight into memory: those of many items at once, where they are neighbours in the file.

use std::mem;
use std::sync::Arc;

use super::batch::RANGES;
use super::fetch::fetch;
use super::sizes::Sizes;
use super::verify::{Extent, Verifier};
use crate::{Io, ReadRange, ReadReport, StorageError, Store, StorePath};

/// Bytes of one file, ascending, that are read as one.
pub(super) struct Straight<'a> {
    parts: Vec<Part<'a>>,
    /// How many bytes lie between the parts.
    gaps: u64,
}

/// Contiguous bytes of an extent, and the memory for them.
struct Part<'a> {
    extent: Arc<Extent>,
    /// From the start of the file on.
    offset: u64,
    bytes: &'a mut [u8],
}

impl<'a> Straight<'a> {
    /// Whole elements of an extent, from `start` on.
    pub(super) fn new(extent: Arc<Extent>, start: u64, bytes: &'a mut [u8]) -> Self {
        let offset = extent.offset + start;
        Self { parts: vec![Part { extent, offset, bytes }], gaps: 0 }
    }

    /// Does it; returns what it has cost.
    pub(super) async fn run(self, store: &dyn Store, io: &Io<'_>) -> Result<ReadReport, StorageError> {
        let mut skipped = vec![0; self.gaps as usize];
        let (mut gaps, mut ranges, mut owners) = (&mut skipped[..], Vec::new(), Vec::new());
        let (from, to) = (self.offset(), self.end());
        let (mut position, mut extents) = (from, Vec::with_capacity(self.parts.len()));
        for Part { extent, offset, bytes } in self.parts {
            if position < offset {
                let (gap, later) = mem::take(&mut gaps).split_at_mut((offset - position) as usize);
                ranges.push(ReadRange { offset: position, buffer: gap });
                owners.push(None);
                gaps = later;
            }
            position = offset + bytes.len() as u64;
            ranges.extend(extent.in_steps(offset, bytes));
            owners.resize(ranges.len(), Some(extents.len()));
            extents.push(extent);
        }
        let mut verifiers: Vec<_> = extents.iter().map(|extent| Verifier::new(extent, true)).collect();
        let mut look = |number: usize, range: &ReadRange<'_>| {
            io.advance(range.buffer.len() as u64);
            match owners.get(number) {
                Some(&Some(owner)) => verifiers[owner].feed(range.offset - extents[owner].offset, range.buffer),
                _ => Ok(()),
            }
        };
        let parts = fetch(store, &extents[0].file, &mut ranges, &mut look).await?;
        verifiers.iter_mut().try_for_each(Verifier::close)?;
        for (range, owner) in ranges.iter_mut().zip(&owners) {
            if let Some(owner) = owner {
                extents[*owner].steps.apply(range.buffer);
            }
        }
        Ok(ReadReport { read: to - from, ranges: parts, ..ReadReport::default() })
    }

    /// Its file, and where it begins there.
    fn place(&self) -> Option<(&StorePath, u64)> {
        self.parts.first().map(|part| (&part.extent.file, part.offset))
    }

    fn offset(&self) -> u64 {
        self.parts.first().map_or(0, |part| part.offset)
    }

    fn end(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.offset + part.bytes.len() as u64)
    }

    /// Goes on with what comes next in the file; gives it back if it had better be read by itself.
    fn extend(&mut self, next: Self, sizes: &Sizes) -> Result<(), Self> {
        let (Some(last), Some(first)) = (self.parts.last(), next.parts.first()) else { return Err(next) };
        let gap = next.offset().checked_sub(self.end());
        let is_short = |part: &Part<'_>| (part.bytes.len() as u64) < sizes.exact_run;
        let is_near = |gap| gap == 0 || gap <= sizes.coalesce_gap && is_short(last) && is_short(first);
        match gap {
            Some(gap)
                if last.extent.file == first.extent.file
                    && is_near(gap)
                    && next.end() - self.offset() <= sizes.joined
                    && self.gaps + gap <= sizes.buffer
                    && self.parts.len() < RANGES =>
            {
                self.gaps += gap;
                self.parts.extend(next.parts);
                Ok(())
            }
            _ => Err(next),
        }
    }
}

/// Joins what lies side by side in a file, or nearly so, into longer reads.
pub(super) fn join<'a>(mut reads: Vec<Straight<'a>>, sizes: &Sizes) -> Vec<Straight<'a>> {
    reads.sort_by(|a, b| a.place().cmp(&b.place()));
    let mut joined: Vec<Straight<'a>> = Vec::new();
    for read in reads {
        let rest = match joined.last_mut() {
            Some(last) => last.extend(read, sizes).err(),
            None => Some(read),
        };
        joined.extend(rest);
    }
    joined
}
