//! Counts what is allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What may be allocated beside the size of the input.
const ALLOWANCE: usize = 64 << 20;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

/// Runs something that handles an input, and ends the process if it allocates out of proportion.
pub fn expect_modest<R>(input: &[u8], handle: impl FnOnce() -> R) -> R {
    LIMIT.store(LIVE.load(Ordering::Relaxed) + ALLOWANCE + input.len(), Ordering::Relaxed);
    let result = handle();
    LIMIT.store(usize::MAX, Ordering::Relaxed);
    result
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        take(size);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn take(size: usize) {
    let live = LIVE.fetch_add(size, Ordering::Relaxed).saturating_add(size);
    if live > LIMIT.load(Ordering::Relaxed) {
        // Nothing may fail twice: a message allocates.
        LIMIT.store(usize::MAX, Ordering::Relaxed);
        panic!("{live} bytes are allocated, {size} of them at once");
    }
}
