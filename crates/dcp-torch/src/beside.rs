//! Two things at once.

use std::thread;

/// So many bytes take far longer than to start a thread.
pub(crate) const LARGE: usize = 4 << 20;

/// Does something on this thread, and something else beside it. `None` if there is no thread for that, or it has panicked.
pub(crate) fn beside<A: Send, B>(other: impl FnOnce() -> A + Send, this: impl FnOnce() -> B) -> (Option<A>, B) {
    thread::scope(|scope| {
        let other = thread::Builder::new().spawn_scoped(scope, other);
        let this = this();
        (other.ok().and_then(|other| other.join().ok()), this)
    })
}
