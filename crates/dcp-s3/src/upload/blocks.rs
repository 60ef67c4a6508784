//! Memory for what is gathered, used again and again.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;

/// The bytes of a block.
pub(crate) const BLOCK: usize = 1 << 20;

/// Blocks that have been sent, to be filled again: the pages of new ones would have to be found, while those of freed ones lie about in
/// the allocator, beside the budget.
///
/// There are never more than were under way at once. They go with the last upload, and the last block on its way.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    free: Mutex<Vec<Vec<u8>>>,
}

/// The blocks that a budget's uploads share, while there are any uploads.
pub(crate) type Shared = Mutex<Weak<Blocks>>;

impl Blocks {
    pub(crate) fn of(shared: &Shared) -> Arc<Self> {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let blocks = Arc::new(Self::default());
            *shared = Arc::downgrade(&blocks);
            blocks
        })
    }

    /// An empty block, if there is one.
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// What a block holds. The block comes back when nobody needs that any more.
    pub(crate) fn lend(self: Arc<Self>, block: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { block, home: self })
    }
}

struct Lent {
    block: Vec<u8>,
    home: Arc<Blocks>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.block
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut block = std::mem::take(&mut self.block);
        // The end of an object may be less than a block.
        if block.capacity() >= BLOCK {
            block.clear();
            self.home.free.lock().unwrap_or_else(PoisonError::into_inner).push(block);
        }
    }
}
