//! How much is read at a time.

use super::runs::FileRuns;
use super::verify::Extent;
use crate::{Io, StoreTraits};

/// What a [store](StoreTraits) asks for, settled for one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// How many reads each thread keeps under way.
    pub(super) in_flight: usize,
    /// Runs shorter than [`exact_run`](Self::exact_run) with at most this gap between them are read as one.
    pub(super) coalesce_gap: u64,
    pub(super) exact_run: u64,
    /// What is longer is split.
    pub(super) longest: u64,
    /// What lies side by side is joined, up to this.
    pub(super) joined: u64,
    /// What goes through a buffer does so in pieces of this.
    pub(super) buffer: u64,
}

/// How many reads each thread has, if they can be long.
const TURNS: u64 = 4;

impl Sizes {
    /// For a call that reads so many bytes.
    pub(super) fn new(traits: &StoreTraits, io: &Io<'_>, bytes: u64) -> Self {
        let StoreTraits { reads_in_flight: in_flight, coalesce_gap, exact_run, .. } = *traits;
        // Everything that may be under way at a time should have its share, and several turns, so that all end at about the same time.
        let share = bytes / io.threads().saturating_mul(in_flight.max(1)) as u64;
        let longest = (share / TURNS).min(traits.longest_read).max(traits.read_size).clamp(1, 1 << 40);
        let joined = share.clamp(exact_run.min(longest), longest);
        Self { in_flight, coalesce_gap, exact_run, longest, joined, buffer: io.read_buffer(traits) }
    }

    /// How much of an extent fits a buffer: reads that are widened have room for a block on either side.
    pub(super) fn capacity(&self, extent: &Extent) -> u64 {
        if extent.widen { self.buffer.max(2 * extent.block()) } else { self.buffer }
    }

    /// Whether runs are read with what lies between them.
    pub(super) fn are_read_as_one(&self, runs: &FileRuns) -> bool {
        runs.length() < self.exact_run && runs.gap() <= self.coalesce_gap
    }
}
