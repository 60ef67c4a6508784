//! Running checksums.

use crate::Checksum;
use crate::checksum::Hasher;

/// Checksums of the blocks of a stream.
pub(super) struct BlockSums {
    block: u64,
    filled: u64,
    hasher: Hasher,
    sums: Vec<u32>,
}

impl BlockSums {
    pub(super) fn new(block: u64, kind: Checksum) -> Self {
        Self { block, filled: 0, hasher: Hasher::new(kind), sums: Vec::new() }
    }

    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        while self.block > 0 && !bytes.is_empty() {
            let len = (self.block - self.filled).min(bytes.len() as u64);
            let (now, later) = bytes.split_at(len as usize);
            self.hasher.update(now);
            self.filled += len;
            if self.filled == self.block {
                self.close();
            }
            bytes = later;
        }
    }

    fn close(&mut self) {
        self.sums.push(self.hasher.take());
        self.filled = 0;
    }

    pub(super) fn finish(mut self) -> Vec<u32> {
        if self.filled > 0 {
            self.close();
        }
        self.sums
    }
}
