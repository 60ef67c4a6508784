//! Bytes that were given and not yet sent.

use bytes::Bytes;
use object_store::PutPayload;

/// Bytes in blocks: each is copied once, and no more memory is taken than they need.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    full: Vec<Bytes>,
    last: Vec<u8>,
    length: u64,
}

impl Gathered {
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    pub(crate) fn push(&mut self, mut data: &[u8]) {
        self.length += data.len() as u64;
        while !data.is_empty() {
            let (now, later) = data.split_at(data.len().min(BLOCK - self.last.len()));
            if self.last.is_empty() && !self.full.is_empty() {
                self.last.reserve_exact(BLOCK);
            }
            self.last.extend_from_slice(now);
            if self.last.len() == BLOCK {
                self.full.push(std::mem::take(&mut self.last).into());
            }
            data = later;
        }
    }

    /// All of them, for a request.
    pub(crate) fn take(&mut self) -> PutPayload {
        let Self { mut full, last, .. } = std::mem::take(self);
        if !last.is_empty() {
            full.push(last.into());
        }
        full.into_iter().collect()
    }
}

/// In bytes.
const BLOCK: usize = 1 << 20;
