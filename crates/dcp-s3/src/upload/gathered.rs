//! Bytes that were given and not yet sent.

use std::sync::Arc;

use bytes::Bytes;
use object_store::PutPayload;

use super::blocks::{BLOCK, Blocks};

/// Bytes in blocks: each is copied once, and no more memory is taken than they need.
#[derive(Debug)]
pub(crate) struct Gathered {
    blocks: Arc<Blocks>,
    full: Vec<Bytes>,
    last: Vec<u8>,
    length: u64,
}

impl Gathered {
    pub(crate) fn new(blocks: Arc<Blocks>) -> Self {
        Self { blocks, full: Vec::new(), last: Vec::new(), length: 0 }
    }

    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    pub(crate) fn push(&mut self, mut data: &[u8]) {
        self.length += data.len() as u64;
        while !data.is_empty() {
            if self.last.capacity() == 0 {
                self.last = self.next_block();
            }
            let (now, later) = data.split_at(data.len().min(BLOCK - self.last.len()));
            self.last.extend_from_slice(now);
            if self.last.len() == BLOCK {
                self.fill_up();
            }
            data = later;
        }
    }

    /// All of them, for a request.
    pub(crate) fn take(&mut self) -> PutPayload {
        if !self.last.is_empty() {
            self.fill_up();
        }
        self.length = 0;
        std::mem::take(&mut self.full).into_iter().collect()
    }

    /// The first one grows with what is put into it: an object may be small.
    fn next_block(&self) -> Vec<u8> {
        let new = || if self.full.is_empty() { Vec::new() } else { Vec::with_capacity(BLOCK) };
        self.blocks.take().unwrap_or_else(new)
    }

    fn fill_up(&mut self) {
        self.full.push(Arc::clone(&self.blocks).lend(std::mem::take(&mut self.last)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upload::blocks::Shared;

    /// So many bytes, no two blocks of which are alike.
    fn bytes(count: usize) -> Vec<u8> {
        (0..count).map(|place| (place / 7 + place / BLOCK) as u8).collect()
    }

    fn addresses(payload: &PutPayload) -> Vec<*const u8> {
        let mut addresses: Vec<_> = payload.iter().map(|block| block.as_ptr()).collect();
        addresses.sort();
        addresses
    }

    #[test]
    fn all_of_it_comes_out_once() {
        let mut gathered = Gathered::new(Arc::default());
        for (count, step) in [(0, 1), (5, 2), (BLOCK, BLOCK), (2 * BLOCK + 3, 70_001), (3 * BLOCK, usize::MAX)] {
            let given = bytes(count);
            given.chunks(step).for_each(|piece| gathered.push(piece));
            assert_eq!(gathered.len(), count as u64);
            assert!(Bytes::from(gathered.take()) == given, "{count} bytes");
            assert_eq!(gathered.len(), 0);
        }
    }

    #[test]
    fn blocks_are_used_again_once_they_are_sent() {
        let mut gathered = Gathered::new(Arc::default());
        gathered.push(&bytes(2 * BLOCK));
        let first = gathered.take();
        let used = addresses(&first);
        gathered.push(&bytes(2 * BLOCK));
        let second = gathered.take();
        assert!(addresses(&second).iter().all(|address| !used.contains(address)), "the first ones are on their way");
        drop(first);
        gathered.push(&bytes(2 * BLOCK));
        assert_eq!(addresses(&gathered.take()), used);
    }

    #[test]
    fn small_objects_take_little() {
        let blocks = Arc::new(Blocks::default());
        let mut gathered = Gathered::new(Arc::clone(&blocks));
        gathered.push(&bytes(1000));
        assert!(gathered.last.capacity() < BLOCK / 100);
        drop(gathered.take());
        assert_eq!(blocks.take(), None, "less than a block is not kept");
    }

    #[test]
    fn blocks_go_with_the_last_upload() {
        let shared = Shared::default();
        let (one, other) = (Blocks::of(&shared), Blocks::of(&shared));
        assert!(Arc::ptr_eq(&one, &other), "all uploads share them");
        drop(Arc::clone(&one).lend(bytes(BLOCK)));
        assert!(other.take().is_some());
        let gone = Arc::downgrade(&one);
        let on_its_way = Arc::clone(&one).lend(bytes(BLOCK));
        drop((one, other));
        assert!(gone.upgrade().is_some(), "a block is on its way");
        drop(on_its_way);
        assert!(gone.upgrade().is_none());
    }
}
