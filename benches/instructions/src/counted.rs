//! What is counted of a case.

use std::hint::black_box;

/// Does the work. Only what happens in here is counted, on this thread: `xtask/src/instructions/callgrind.rs` knows this function by name.
#[inline(never)]
pub(crate) fn counted<T>(work: &dyn Fn() -> T) -> T {
    // Not the last thing that is done here: a jump into the work would be the end of this function.
    black_box(black_box(work)())
}
