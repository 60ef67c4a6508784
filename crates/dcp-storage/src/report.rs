//! What a save or load did, in numbers.

use std::ops::AddAssign;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What reading cost. All in bytes but the counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadReport {
    /// Bytes of tensors and values that were asked for.
    pub needed: u64,
    /// Bytes that were read for them; of what is encoded, the encoded ones. What ranks of one process [read together](crate::Commons) counts
    /// for the one that read it.
    pub read: u64,
    /// Of the bytes asked for, those whose checksum was compared, at least.
    pub verified: u64,
    /// Bytes read of indexes, headers and checksum tables.
    pub overhead: u64,
    /// What reading each chunk whole, as PyTorch does, would have read.
    pub whole_chunks: u64,
    /// How many ranges were read; those that were asked for together and touch are one.
    pub ranges: u64,
}

impl AddAssign for ReadReport {
    fn add_assign(&mut self, other: Self) {
        self.needed += other.needed;
        self.read += other.read;
        self.verified += other.verified;
        self.overhead += other.overhead;
        self.whole_chunks += other.whole_chunks;
        self.ranges += other.ranges;
    }
}

/// What a rank wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteReport {
    /// Bytes of tensors and values; of what is encoded, the encoded ones.
    pub data: u64,
    /// Bytes of files: data, padding, checksums, headers.
    pub written: u64,
    /// How many files.
    pub files: u64,
}

impl WriteReport {
    /// Counts values that are written elsewhere than in files of their own.
    pub(crate) fn wrote(&mut self, values: &[(usize, Bytes)]) {
        let bytes: u64 = values.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        self.data += bytes;
        self.written += bytes;
    }
}

impl AddAssign for WriteReport {
    fn add_assign(&mut self, other: Self) {
        self.data += other.data;
        self.written += other.written;
        self.files += other.files;
    }
}
