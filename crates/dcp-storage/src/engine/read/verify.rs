//! Compares checksums of what passes by.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use dcp_types::{DataError, Fqn};

use crate::checksum::Hasher;
use crate::format::Steps;
use crate::{BlockChecks, Checksum, Io, ReadRange, StorageError, StorePath};

/// The bytes of one wanted item in a file, and what is known of their checksums so far. Shared by the tasks that read it.
pub(super) struct Extent {
    pub(super) file: StorePath,
    pub(super) offset: u64,
    pub(super) length: u64,
    /// What is to be done to its elements.
    pub(super) steps: Steps,
    /// Whether reads are widened to whole checksum blocks.
    pub(super) widen: bool,
    fqn: Fqn,
    location: String,
    needed: u64,
    checks: Option<BlockChecks>,
    /// Whether somebody else verifies all of it.
    elsewhere: bool,
    /// Bytes that were read but of whose blocks some are missing.
    unverified: AtomicU64,
    /// Parts of blocks that were cut apart between tasks.
    fragments: Mutex<HashMap<u64, Vec<Fragment>>>,
}

/// Nobody looks at them in the cache: few calls, and word of progress now and then.
const UNCHECKED_STEP: u64 = 8 << 20;

struct Fragment {
    start: u64,
    end: u64,
    hasher: Hasher,
}

/// How the checksums of an extent are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checking {
    /// Not at all.
    No,
    /// Of the blocks that are read whole.
    Covered,
    /// Of every block of which something is read: reads are widened.
    Widened,
    /// By somebody else in the same call, who reads all of them.
    Elsewhere,
}

impl Extent {
    /// The extent of an item of which `needed` bytes are wanted.
    pub(super) fn new(
        fqn: Fqn,
        location: String,
        located: crate::Extent,
        needed: u64,
        steps: Steps,
        checking: Checking,
    ) -> Self {
        let crate::Extent { file, offset, length, checks, .. } = located;
        let here = matches!(checking, Checking::Covered | Checking::Widened);
        let (widen, elsewhere) = (checking == Checking::Widened, checking == Checking::Elsewhere);
        let (checks, unverified, fragments) = (checks.filter(|_| here), AtomicU64::new(0), Mutex::default());
        Self { file, offset, length, steps, widen, fqn, location, needed, checks, elsewhere, unverified, fragments }
    }

    /// How many bytes go straight to where they are wanted at a time: whole elements.
    pub(super) fn step(&self) -> u64 {
        let step = if self.checks.is_some() { Io::READ_STEP } else { UNCHECKED_STEP };
        step.next_multiple_of(self.steps.unit())
    }

    /// Where so many bytes that go straight to where they are wanted are read from, in steps.
    pub(super) fn in_steps<'b>(&self, mut offset: u64, bytes: &'b mut [u8]) -> impl Iterator<Item = ReadRange<'b>> {
        bytes.chunks_mut(self.step() as usize).map(move |buffer| {
            let range = ReadRange { offset, buffer };
            offset += range.buffer.len() as u64;
            range
        })
    }

    /// How many of the wanted bytes were verified, at least: of what was read beside them, some may have been verified instead.
    pub(super) fn verified(&self) -> u64 {
        if self.elsewhere {
            return self.needed;
        }
        if self.checks.is_none() {
            return 0;
        }
        let fragments = self.fragments.lock().unwrap_or_else(PoisonError::into_inner);
        let open: u64 = fragments.values().flatten().map(|part| part.end - part.start).sum();
        self.needed.saturating_sub(open + self.unverified.load(Ordering::Relaxed))
    }

    /// The destination of the item says no.
    pub(super) fn refused(&self, fault: impl Into<DataError>) -> StorageError {
        StorageError::Destination { fqn: self.fqn.clone(), source: fault.into() }
    }

    /// The checksums that are compared.
    pub(super) fn checks(&self) -> Option<&BlockChecks> {
        self.checks.as_ref()
    }

    /// What is read for bytes that are wanted.
    pub(super) fn cover(&self, (from, to): (u64, u64)) -> (u64, u64) {
        if !self.widen {
            return (from, to);
        }
        let block = self.block();
        (from / block * block, to.next_multiple_of(block).min(self.length))
    }

    /// How many bytes of those between two places in it belong to blocks of which some are missing there.
    pub(super) fn unverified(&self, from: u64, to: u64) -> u64 {
        let block = self.block();
        let end = if to == self.length { to } else { to / block * block };
        (to - from) - end.saturating_sub(from.next_multiple_of(block))
    }

    /// So many bytes were read or taken that could not be verified.
    pub(super) fn add_unverified(&self, bytes: u64) {
        self.unverified.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The size of a checksum block; 1 where nothing is checked.
    pub(super) fn block(&self) -> u64 {
        self.checks.as_ref().map_or(1, |checks| checks.block)
    }

    fn hasher(&self) -> Hasher {
        Hasher::new(self.checks.as_ref().map_or(Checksum::Crc32, |checks| checks.kind))
    }

    /// One past the last byte of a block.
    fn block_end(&self, block: u64) -> u64 {
        (block + 1).saturating_mul(self.block()).min(self.length)
    }

    fn compare(&self, block: u64, found: u32) -> Result<(), StorageError> {
        let Some(checks) = &self.checks else { return Ok(()) };
        let start = block * checks.block;
        let length = self.block_end(block) - start;
        match checks.expected(block) {
            Some(expected) if expected == found => Ok(()),
            expected => Err(StorageError::Damaged {
                fqn: self.fqn.clone(),
                location: self.location.clone(),
                path: self.file.clone(),
                offset: self.offset + start,
                length,
                expected: expected.unwrap_or(0),
                found,
            }),
        }
    }

    /// Keeps a part of a block until the others are there.
    fn keep(&self, block: u64, fragment: Fragment) -> Result<(), StorageError> {
        let mut all = self.fragments.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = all.entry(block).or_default();
        parts.push(fragment);
        let covered: u64 = parts.iter().map(|part| part.end - part.start).sum();
        if covered < self.block_end(block) - block * self.block() {
            return Ok(());
        }
        let mut parts = all.remove(&block).unwrap_or_default();
        drop(all);
        parts.sort_by_key(|part| part.start);
        let mut whole = self.hasher();
        parts.iter().for_each(|part| whole.combine(&part.hasher));
        self.compare(block, whole.take())
    }
}

/// Follows the bytes that one task reads, in ascending order.
pub(super) struct Verifier<'a> {
    extent: &'a Extent,
    /// Whether blocks that this task reads in part may be completed by other tasks.
    shared: bool,
    open: Option<Open>,
    /// Of what is open.
    hasher: Hasher,
}

/// What was fed of the last block.
struct Open {
    block: u64,
    start: u64,
    end: u64,
}

impl<'a> Verifier<'a> {
    pub(super) fn new(extent: &'a Extent, shared: bool) -> Self {
        Self { extent, shared, open: None, hasher: extent.hasher() }
    }

    /// Takes bytes that stand at `offset` in the extent.
    pub(super) fn feed(&mut self, mut offset: u64, mut bytes: &[u8]) -> Result<(), StorageError> {
        if self.extent.checks.is_none() {
            return Ok(());
        }
        while !bytes.is_empty() {
            let block = offset / self.extent.block();
            let end = self.extent.block_end(block);
            let (now, later) = bytes.split_at((end - offset).min(bytes.len() as u64) as usize);
            if self.open.as_ref().is_some_and(|open| open.end != offset) {
                self.close()?;
            }
            let open = self.open.get_or_insert(Open { block, start: offset, end: offset });
            // A fragment that will never be completed need not be summed.
            if self.shared || open.start == block * self.extent.block() {
                self.hasher.update(now);
            }
            offset += now.len() as u64;
            open.end = offset;
            if offset == end {
                self.close()?;
            }
            bytes = later;
        }
        Ok(())
    }

    /// Ends the run of bytes.
    pub(super) fn close(&mut self) -> Result<(), StorageError> {
        let Some(Open { block, start, end }) = self.open.take() else { return Ok(()) };
        if start == block * self.extent.block() && end == self.extent.block_end(block) {
            return self.extent.compare(block, self.hasher.take());
        }
        if self.shared {
            self.extent.keep(block, Fragment { start, end, hasher: self.hasher.clone() })?;
        } else {
            self.extent.add_unverified(end - start);
        }
        self.hasher.take();
        Ok(())
    }
}
