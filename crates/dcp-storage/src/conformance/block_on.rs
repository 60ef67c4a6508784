//! Running a future to its end on the calling thread.

use std::future::Future;

use crate::Io;

/// Runs `future` to its end on this thread, as [`Io::block_on`] does.
///
/// Unlike a runtime's own `block_on` it may be nested, so that the hook of a [`Fault::Before`](super::Fault::Before) can use a store while another
/// operation is under way.
///
/// ```
/// use dcp_storage::conformance::block_on;
/// assert_eq!(block_on(async { 1 + block_on(async { 1 }) }), 2);
/// ```
///
/// # Panics
/// If the system gives no threads for I/O.
pub fn block_on<F: Future>(future: F) -> F::Output {
    Io::new().expect("threads for I/O").block_on(future)
}
