//! Work on several threads, and how long it takes all of them.

use std::sync::Barrier;
use std::time::Instant;

/// Gives each item a thread; returns what they make, in order.
pub(crate) fn each_on_a_thread<T: Send, R: Send>(
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> R + Sync,
) -> Result<Vec<R>, &'static str> {
    let work = &work;
    std::thread::scope(|scope| {
        let workers: Vec<_> = items.into_iter().map(|item| scope.spawn(move || work(item))).collect();
        workers.into_iter().map(|worker| worker.join().map_err(|_| "a thread panicked")).collect()
    })
}

/// Seconds from when all are ready until all are done, and what this one has made.
pub(crate) fn timed<T>(all: &Barrier, work: impl FnOnce() -> T) -> (f64, T) {
    all.wait();
    let start = Instant::now();
    let made = work();
    all.wait();
    (start.elapsed().as_secs_f64(), made)
}
