//! A second thread that talks to the others while this rank works.

use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Progress;

/// Runs `work` on this thread, and meanwhile `tick` on another one every `period`, until the work ends or `tick` breaks.
///
/// The first tick comes after a whole period, so that short work costs no more than a thread that is started and ends.
/// Should the system refuse another thread the work runs without ticks: the others may then lose patience with this
/// rank, which beats failing work that may well be short.
pub(super) fn watched<R>(
    period: Duration,
    work: impl FnOnce(&Progress) -> R,
    mut tick: impl FnMut(&Progress) -> ControlFlow<()> + Send,
) -> R {
    let progress = Progress::new();
    let done = Done::default();
    thread::scope(|scope| {
        // Dropped before the scope waits for the thread, also when the work panics.
        let _work = Ending(&done);
        let (progress, done) = (&progress, &done);
        let monitor = move || {
            while !done.within(period) {
                if tick(progress).is_break() {
                    break;
                }
            }
        };
        let _ = thread::Builder::new().name("dcp-monitor".to_owned()).spawn_scoped(scope, monitor);
        work(progress)
    })
}

/// Tells whether a counter moved since the last time it was asked.
#[derive(Debug, Default)]
pub(super) struct Movement {
    seen: u64,
}

impl Movement {
    pub(super) fn of(&mut self, progress: &Progress) -> bool {
        let total = progress.total();
        std::mem::replace(&mut self.seen, total) != total
    }
}

#[derive(Default)]
struct Done {
    done: Mutex<bool>,
    changed: Condvar,
}

impl Done {
    /// Waits for the end of the work, at most for `period`; whether it ended.
    fn within(&self, period: Duration) -> bool {
        let until = super::patience::after(Instant::now(), period);
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        while !*done {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            done = self.changed.wait_timeout(done, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// Says on drop that the work ended.
struct Ending<'a>(&'a Done);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        *self.0.done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}
